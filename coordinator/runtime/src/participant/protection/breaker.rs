//! The circuit breaker of one participant: when nobody calls it, and how it is called again.
//!
//! ```text
//!   Closed ──out of order──► Open ──time──► Probing ──3 good──► Resuming ──nothing waits──► Closed
//!                             ▲ twice as long ─┘ one bad            │
//!                             └──────────── out of order ───────────┘
//! ```
//!
//! A pure state machine; who waits meanwhile is `gate.rs`'s business. Invariants: while it is open nothing passes; while it is
//! probing at most [`PROBES`] calls are out; while it is resuming calls pass at its pace only; what was sent before it opened
//! says nothing about the time after.

use std::time::Duration;

use amends_engine::ids::SagaKey;
use amends_engine::time::Timestamp;

use super::limits::{BreakerMode, RATE_MAX, Rate};
use super::pace::Pace;
use super::window::{Health, Window};

/// Calls that find out whether the participant is back.
pub const PROBES: u32 = 3;
/// How long it isn't called at first; twice as long after each probe that fails.
pub const OPEN_MIN: Duration = Duration::from_secs(1);
/// Longest time without a probe.
pub const OPEN_MAX: Duration = Duration::from_secs(30);
/// How often the pace grows by a tenth once resuming takes too long, so that more traffic than before isn't held back for ever.
const GROW_EVERY: Duration = Duration::from_secs(60);
/// How often it doubles where nobody knows what is usual: as long as all goes well, the participant bears more.
const DOUBLE_EVERY: Duration = Duration::from_secs(5);

/// What a participant may be called with again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resume {
    pub(super) rate: Rate,
    /// Whether that is what it can take: measured, or said. Else it is where to begin.
    pub(super) known: bool,
}

/// What a breaker does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Nobody calls until then.
    Open {
        /// When it will be probed.
        until: Timestamp,
    },
    /// A few calls find out.
    Probing,
    /// Calls pass at a bounded rate.
    Resuming {
        /// How many per second in the end.
        rate: Rate,
    },
    /// A person holds it open.
    Held,
}

#[derive(Debug)]
enum State {
    Closed,
    Open { until: Timestamp },
    Probing { out: u32, good: u32 },
    Resuming { pace: Pace, known: bool, grow_at: Timestamp },
    Held,
}

/// Says under which state a call was let through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    opened: u64,
    probe: bool,
}

/// One participant's breaker.
#[derive(Debug)]
pub(super) struct Breaker {
    mode: BreakerMode,
    state: State,
    since: Timestamp,
    window: Window,
    /// How often it has opened, ever: answers to calls from before the last time don't count.
    opened: u64,
    /// How often in a row without closing.
    in_a_row: u32,
    /// What it may be called with again.
    resume: Resume,
}

impl Breaker {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            mode: BreakerMode::Auto,
            state: State::Closed,
            since: now,
            window: Window::default(),
            opened: 0,
            in_a_row: 0,
            resume: Resume { rate: Rate(1), known: true },
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        match &self.state {
            State::Closed => BreakerState::Closed,
            State::Open { until } => BreakerState::Open { until: *until },
            State::Probing { .. } => BreakerState::Probing,
            State::Resuming { pace, .. } => BreakerState::Resuming { rate: pace.rate() },
            State::Held => BreakerState::Held,
        }
    }

    /// Since when it is in its state.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    /// How often it has opened, ever.
    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn enter(&mut self, state: State, now: Timestamp) {
        (self.state, self.since) = (state, now);
    }

    /// A person says how it is to behave.
    pub(super) fn set_mode(&mut self, mode: BreakerMode, now: Timestamp) {
        if self.mode == mode {
            return;
        }
        let was_held = self.mode == BreakerMode::Held;
        self.mode = mode;
        match mode {
            BreakerMode::Held => {
                self.opened += 1;
                self.enter(State::Held, now);
            }
            BreakerMode::Off => self.close(now),
            // What was held back comes at the same pace as after an outage.
            BreakerMode::Auto if was_held => self.enter(State::Probing { out: 0, good: 0 }, now),
            BreakerMode::Auto => {}
        }
    }

    /// What it may be called with again; also while it is.
    pub(super) fn set_resume(&mut self, resume: Resume, now: Timestamp) {
        if self.resume == resume {
            return;
        }
        self.resume = resume;
        if let State::Resuming { pace, known, .. } = &mut self.state {
            *pace = Pace::new(resume.rate, false, now);
            *known = resume.known;
        }
    }

    /// Time has passed. `waiting`: how many want to be called.
    pub(super) fn tick(&mut self, now: Timestamp, waiting: usize) {
        match &mut self.state {
            State::Open { until } if now >= *until => self.enter(State::Probing { out: 0, good: 0 }, now),
            State::Resuming { .. } if waiting == 0 => self.close(now),
            State::Resuming { pace, known, grow_at } if now >= *grow_at => {
                let more = if *known { pace.rate().0 / 10 } else { pace.rate().0 };
                *pace = Pace::new(Rate(pace.rate().0.saturating_add(more).min(RATE_MAX.0)), false, now);
                *grow_at = now + if *known { GROW_EVERY } else { DOUBLE_EVERY };
            }
            State::Open { .. } | State::Probing { .. } | State::Resuming { .. } | State::Closed | State::Held => {}
        }
    }

    fn close(&mut self, now: Timestamp) {
        self.in_a_row = 0;
        self.window = Window::default();
        self.enter(State::Closed, now);
    }

    /// Whether a call may pass; else when to look again, where time alone can change that.
    pub(super) fn may(&mut self, now: Timestamp) -> Result<(), Option<Timestamp>> {
        match &mut self.state {
            State::Closed => Ok(()),
            State::Open { until } => Err(Some(*until)),
            State::Probing { out, good } if *out + *good < PROBES => Ok(()),
            State::Probing { .. } | State::Held => Err(None),
            State::Resuming { pace, .. } => pace.may(now).map_err(Some),
        }
    }

    /// A call passes.
    pub(super) fn pass(&mut self) -> Pass {
        let mut probe = false;
        match &mut self.state {
            State::Probing { out, .. } => {
                *out += 1;
                probe = true;
            }
            State::Resuming { pace, .. } => pace.take(),
            State::Closed | State::Open { .. } | State::Held => {}
        }
        Pass { opened: self.opened, probe }
    }

    /// A call has ended. `waiting`: how many want to be called.
    pub(super) fn ended(&mut self, pass: Pass, health: Health, saga: &SagaKey, now: Timestamp, waiting: usize) {
        if pass.opened != self.opened || self.mode == BreakerMode::Off {
            return;
        }
        match &mut self.state {
            State::Closed | State::Resuming { .. } => {
                self.window.note(health, saga, now);
                if health == Health::Bad && self.window.is_bad() {
                    self.open(now);
                }
            }
            State::Probing { out, good } if pass.probe => {
                *out = out.saturating_sub(1);
                match health {
                    Health::Bad => self.open(now),
                    Health::Good => {
                        *good += 1;
                        if *good >= PROBES {
                            self.resume(now, waiting);
                        }
                    }
                    Health::Silent => {}
                }
            }
            State::Probing { .. } | State::Open { .. } | State::Held => {}
        }
    }

    fn open(&mut self, now: Timestamp) {
        let doublings = self.in_a_row.min(16);
        self.opened += 1;
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.window = Window::default();
        self.enter(State::Open { until: now + OPEN_MAX.min(OPEN_MIN * (1 << doublings)) }, now);
    }

    fn resume(&mut self, now: Timestamp, waiting: usize) {
        let Resume { rate, known } = self.resume;
        let pace = Pace::new(rate, known, now);
        let foretold = pace.time_of(u64::try_from(waiting).unwrap_or(u64::MAX), now).since(now);
        // Twice what was foretold: by then something is otherwise than before.
        let patience = if known { foretold.saturating_mul(2).max(GROW_EVERY) } else { DOUBLE_EVERY };
        self.enter(State::Resuming { pace, known, grow_at: now + patience }, now);
    }

    /// By when so many calls will have passed at the latest; `None`: nobody can know. While it is open: if the participant is back
    /// by then.
    pub(super) fn time_of(&self, calls: u64, now: Timestamp) -> Option<Timestamp> {
        let Resume { rate, known } = self.resume;
        let fresh = |from| Pace::new(rate, known, from).time_of(calls.saturating_sub(u64::from(PROBES)), from);
        match &self.state {
            State::Closed => Some(now),
            State::Open { until } => Some(fresh(now.max(*until))),
            State::Probing { .. } => Some(fresh(now)),
            State::Resuming { pace, .. } => Some(pace.time_of(calls, now)),
            State::Held => None,
        }
    }
}

#[cfg(test)]
mod tests;
