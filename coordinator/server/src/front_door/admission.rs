//! What gives way when there is too much to do: pure.
//!
//! The sign of it is how long starts wait for their commit: an owner takes answers before requests, so starts wait first, and a
//! wait that lasts is a queue that doesn't drain. What is let in then shrinks by factors and grows again by steps (AIMD), as
//! TCP's windows do: starts first, and looking only once hardly a start is let in. Invariants: a little is always let in, so
//! that it is noticed when there is room again; one slow commit changes nothing; with few starts under way slowness is the
//! store's, and refusing wouldn't help.

use std::time::Duration;

/// How often it is judged.
const WINDOW: Duration = Duration::from_millis(100);
/// How long starts must wait too long before anything gives way.
const LASTING: Duration = Duration::from_secs(1);
/// Fewer starts under way are no queue.
const QUEUE_MIN: usize = 16;
/// What remains after a bad window, and what is added after a good one.
const SHRINK: f64 = 0.85;
const GROW: f64 = 0.02;
/// The least that is let in.
const LEAST: f64 = 0.02;
/// When to try again: at the least, and when hardly anything is let in.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// What gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Start,
    Read,
}

impl Level {
    /// Whether there is room for one more among all requests under way: the last quarter is not for starts, the last eighth
    /// not for looking.
    pub(super) fn has_room(self, under_way: usize, room: usize) -> bool {
        let reserved = match self {
            Self::Start => room / 4,
            Self::Read => room / 8,
        };
        under_way < room.saturating_sub(reserved).max(1)
    }
}

/// A share of requests, let in evenly.
#[derive(Debug)]
struct Share {
    admitted: f64,
    owed: f64,
}

impl Share {
    const ALL: Self = Self { admitted: 1.0, owed: 0.0 };

    fn admit(&mut self) -> bool {
        self.owed += self.admitted;
        if self.owed < 1.0 {
            return false;
        }
        self.owed -= 1.0;
        true
    }

    fn shrink(&mut self) {
        self.admitted = (self.admitted * SHRINK).max(LEAST);
    }

    /// Whether there was nothing left to give.
    fn grow(&mut self) -> bool {
        let was_all = self.admitted >= 1.0;
        self.admitted = (self.admitted + GROW).min(1.0);
        was_all
    }
}

/// How much is let in.
#[derive(Debug)]
pub(super) struct Admission {
    /// Zero: everything, always.
    target: Duration,
    starts: Share,
    reads: Share,
    /// The window that is being filled: its end, and what it has seen.
    ends: Duration,
    waited: Duration,
    samples: u32,
    queue: usize,
    /// Since when starts have waited too long.
    over_since: Option<Duration>,
}

impl Admission {
    pub(super) fn new(target: Duration) -> Self {
        Self {
            target,
            starts: Share::ALL,
            reads: Share::ALL,
            ends: WINDOW,
            waited: Duration::ZERO,
            samples: 0,
            queue: 0,
            over_since: None,
        }
    }

    /// A start has waited so long for its commit, with so many under way.
    pub(super) fn sample(&mut self, took: Duration, under_way: usize, now: Duration) {
        self.roll(now);
        self.waited += took;
        self.samples += 1;
        self.queue = self.queue.max(under_way);
    }

    /// Whether one is let in; else, when to try again.
    pub(super) fn admit(&mut self, level: Level, now: Duration) -> Result<(), Duration> {
        self.roll(now);
        let share = match level {
            Level::Start => &mut self.starts,
            Level::Read => &mut self.reads,
        };
        if self.target.is_zero() || share.admit() {
            return Ok(());
        }
        Err(RETRY_MIN + (RETRY_MAX - RETRY_MIN).mul_f64(1.0 - share.admitted))
    }

    pub(super) fn starts_per_mille(&self) -> u32 {
        // From 20 to 1000.
        (self.starts.admitted * 1000.0).round() as u32
    }

    fn roll(&mut self, now: Duration) {
        if now < self.ends {
            return;
        }
        // Windows in which nothing happened at all are good ones.
        let silent = (now - self.ends).as_millis() / WINDOW.as_millis();
        self.judge(self.ends);
        for _ in 0..silent.min(100) {
            self.over_since = None;
            self.relax();
        }
        self.ends = now + WINDOW;
        (self.waited, self.samples, self.queue) = (Duration::ZERO, 0, 0);
    }

    fn judge(&mut self, at: Duration) {
        let mean = self.waited.checked_div(self.samples);
        let is_over = mean.is_some_and(|mean| mean > self.target) && self.queue >= QUEUE_MIN;
        if !is_over {
            self.over_since = None;
            return self.relax();
        }
        let since = *self.over_since.get_or_insert(at);
        if at.saturating_sub(since) < LASTING && self.starts.admitted >= 1.0 {
            return;
        }
        if self.starts.admitted <= LEAST {
            self.reads.shrink();
        }
        self.starts.shrink();
    }

    /// Looking comes back before starting.
    fn relax(&mut self) {
        if self.reads.grow() {
            self.starts.grow();
        }
    }
}

#[cfg(test)]
mod tests;
