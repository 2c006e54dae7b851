//! Who may call a participant now, and who waits: limits, retry budget and breaker together, and the queue before them.
//!
//! ```text
//!   compensate, confirm, query ──► first  ─┬─ in due order ──► breaker ─► slots ─► rate ─► budget ──► call
//!   action ─────────────────────► second ─┘                   (who waits uses up nothing)
//! ```
//!
//! Pure: time is an argument, and whoever drives it makes the calls. Invariants: what must be finished comes before what begins, and
//! has a part of every limit to itself; within one class calls pass in due order, retries beside the budget apart; nothing
//! passes by somebody who waits and could pass.

use std::collections::BTreeMap;

use amends_engine::ids::{Operation, SagaKey};
use amends_engine::time::Timestamp;

use super::breaker::{Breaker, BreakerState, Pass, Resume};
use super::budget::Budget;
use super::limits::{Limits, Rate};
use super::pace::Bucket;
use super::queue::{Ask, Class, Lane, Place, Queue, Who};
use super::usual::Usual;
use super::window::Health;
use crate::planted;

/// At least so many calls per second pass after an outage, at each node; where nobody knows what is usual it begins with them, and
/// doubles every five seconds.
pub const RESUME_MIN: Rate = Rate::per_second(10);
/// What passes after an outage, in hundredths of what passed before: enough to catch up, too little to knock it over.
pub const RESUME_PERCENT: u64 = 115;

impl Class {
    fn of(operation: Operation) -> Self {
        if planted::is("no_reserve") {
            return Self::Beginning;
        }
        match operation {
            Operation::Compensate | Operation::Confirm | Operation::Query => Self::Finishing,
            Operation::Action => Self::Beginning,
        }
    }
}

/// Why a call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// The breaker isn't closed.
    Breaker,
    /// Calls at a time, calls per second, or the retry budget.
    Limit,
}

/// A call that may be made. To be given back by [`Gate::ended`], whatever becomes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant {
    class: Class,
    pass: Pass,
}

/// How a participant is called now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What the breaker does.
    pub breaker: BreakerState,
    /// Since when.
    pub since: Timestamp,
    /// Calls that are under way.
    pub in_flight: u32,
    /// How many operations wait, by kind.
    pub waiting: BTreeMap<Operation, u64>,
    /// By when all that waits now will have been called, should the participant answer; `None`: nothing waits, or nobody can know.
    pub drains_by: Option<Timestamp>,
    /// This node's part of the limits.
    pub limits: Limits,
    /// How many calls have been let through since this node has started; only grows.
    pub calls: u64,
    /// How often the breaker has opened since then, or was held open; only grows.
    pub opened: u64,
}

/// One participant's gate.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    limits: Limits,
    beginning: u32,
    finishing: u32,
    bucket: Option<Bucket>,
    budget: Budget,
    breaker: Breaker,
    usual: Usual,
    /// What it usually answers, as it was while the breaker was closed.
    measured: Option<Rate>,
    /// Since when the breaker hasn't been closed, and for how long in all before.
    shut_since: Option<Timestamp>,
    shut_for: u64,
    queue: Queue<T>,
    /// How many have been let through.
    calls: u64,
    /// When to look again, should nothing else happen.
    look_at: Option<Timestamp>,
}

impl<T> Gate<T> {
    pub(crate) fn new(limits: Limits, now: Timestamp) -> Self {
        let mut gate = Self {
            bucket: None,
            beginning: 0,
            finishing: 0,
            budget: Budget::default(),
            breaker: Breaker::new(now),
            usual: Usual::default(),
            measured: None,
            shut_since: None,
            shut_for: 0,
            queue: Queue::new(),
            calls: 0,
            look_at: None,
            limits: Limits::default(),
        };
        gate.take_on(limits, now);
        gate
    }

    /// Keeps to these limits from now on, which are this node's part. What is under way goes on.
    pub(crate) fn configure(&mut self, limits: Limits, now: Timestamp) {
        if self.limits != limits {
            self.take_on(limits, now);
        }
    }

    fn take_on(&mut self, limits: Limits, now: Timestamp) {
        if self.limits.rate != limits.rate || self.limits.reserved_percent != limits.reserved_percent {
            self.bucket = limits.rate.map(|rate| Bucket::new(rate, limits.reserved_percent, now));
        }
        self.limits = limits;
        self.set_resume(now);
        self.breaker.set_mode(self.limits.breaker, now);
        self.note_breaker(now);
    }

    /// What the breaker resumes with; measured only while it is closed.
    fn set_resume(&mut self, now: Timestamp) {
        if self.breaker.is_closed() {
            self.measured = self.usual.rate(self.free_time(now));
        }
        let usual = self.measured.map(|rate| rate.percent(RESUME_PERCENT).max(RESUME_MIN));
        let wanted = self.limits.resume_rate.or(usual);
        let rate = wanted.unwrap_or(RESUME_MIN);
        let rate = self.limits.rate.map_or(rate, |most| rate.min(most));
        self.breaker.set_resume(Resume { rate, known: wanted.is_some() }, now);
    }

    /// Time without that in which the breaker wasn't closed: only what is called freely says what is usual.
    fn free_time(&self, now: Timestamp) -> Timestamp {
        Timestamp(self.shut_since.unwrap_or(now).0.saturating_sub(self.shut_for))
    }

    /// Keeps the count of that time.
    fn note_breaker(&mut self, now: Timestamp) {
        match (self.breaker.is_closed(), self.shut_since) {
            (false, None) => self.shut_since = Some(now),
            (true, Some(since)) => {
                self.shut_for = self.shut_for.saturating_add(now.0.saturating_sub(since.0));
                self.shut_since = None;
            }
            (false, Some(_)) | (true, None) => {}
        }
    }

    /// Puts somebody into the queue; [`Gate::pump`] says whose turn it is.
    pub(crate) fn ask(&mut self, ask: Ask<T>, now: Timestamp) {
        self.queue.put(Class::of(ask.who.2), ask, now);
    }

    /// Somebody no longer wants to call.
    pub(crate) fn leave(&mut self, who: &Who) {
        self.queue.leave(who);
    }

    /// Whose turn it is. Each of them calls now.
    pub(crate) fn pump(&mut self, now: Timestamp) -> Vec<(Ask<T>, Grant)> {
        self.breaker.tick(now, self.queue.len());
        self.note_breaker(now);
        let mut granted = Vec::new();
        self.look_at = None;
        for class in [Class::Finishing, Class::Beginning] {
            while let Some((lane, place)) = self.next_of(class, now) {
                let Some(ask) = self.queue.take(lane, place) else { break };
                granted.push((ask, self.grant(lane, now)));
            }
        }
        granted
    }

    /// The first of a class that may call; remembers when the others might.
    fn next_of(&mut self, class: Class, now: Timestamp) -> Option<(Lane, Place)> {
        for (lane, place) in self.queue.heads(class) {
            match self.may(lane, now) {
                Ok(()) => return Some((lane, place)),
                Err((_, look_at)) => self.look_at = self.look_at.into_iter().chain(look_at).min(),
            }
        }
        None
    }

    /// Whether the first of a lane may call; else why not, and when to look again.
    fn may(&mut self, (class, retry): Lane, now: Timestamp) -> Result<(), (Block, Option<Timestamp>)> {
        self.breaker.may(now).map_err(|look_at| (Block::Breaker, look_at))?;
        let first = class == Class::Finishing;
        let all = self.limits.concurrency;
        let reserved = if planted::is("no_reserve") { 0 } else { self.limits.reserved() };
        if self.in_flight() >= all || (!first && self.beginning >= all - reserved) {
            return Err((Block::Limit, None));
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.may(first, now).map_err(|next| (Block::Limit, Some(next)))?;
        }
        // After an outage nearly all are retries, and the pace bounds them.
        if retry && self.breaker.is_closed() {
            let Limits { retry_percent, reserved_percent, .. } = self.limits;
            let paid = self.budget.may(retry_percent, reserved_percent, first, now);
            paid.map_err(|next| (Block::Limit, Some(next)))?;
        }
        Ok(())
    }

    fn grant(&mut self, (class, retry): Lane, now: Timestamp) -> Grant {
        match class {
            Class::Finishing => self.finishing += 1,
            Class::Beginning => self.beginning += 1,
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.take();
        }
        if self.breaker.is_closed() {
            self.budget.note(retry, now);
        }
        self.calls += 1;
        Grant { class, pass: self.breaker.pass() }
    }

    /// A call has ended, or wasn't made after all.
    pub(crate) fn ended(&mut self, grant: Grant, health: Health, saga: &SagaKey, now: Timestamp) {
        let out = match grant.class {
            Class::Finishing => &mut self.finishing,
            Class::Beginning => &mut self.beginning,
        };
        *out = out.saturating_sub(1);
        match health {
            Health::Good if self.breaker.is_closed() => self.usual.note(self.free_time(now)),
            // Should this be the one that opens it: from then on nothing is measured.
            Health::Bad => self.set_resume(now),
            Health::Good | Health::Silent => {}
        }
        self.breaker.ended(grant.pass, health, saga, now, self.queue.len());
        self.note_breaker(now);
    }

    fn in_flight(&self) -> u32 {
        self.beginning + self.finishing
    }

    /// When to pump, should nothing else happen before.
    pub(crate) fn look_at(&self) -> Option<Timestamp> {
        self.look_at
    }

    pub(crate) fn is_waited_for(&self) -> bool {
        self.queue.len() > 0
    }

    /// Why and since when somebody waits; `None`: they don't.
    pub(crate) fn why(&mut self, who: &Who, now: Timestamp) -> Option<(Block, Timestamp)> {
        let (lane, since) = self.queue.find(who)?;
        let block = self.may(lane, now).err().map_or(Block::Limit, |(block, _)| block);
        Some((block, since))
    }

    /// By when all that waits now will have been called, should the participant answer.
    pub(crate) fn drains_by(&self, now: Timestamp) -> Option<Timestamp> {
        let waiting = u64::try_from(self.queue.len()).ok().filter(|waiting| *waiting > 0)?;
        let by_breaker = self.breaker.time_of(waiting, now)?;
        let by_rate = self.bucket.as_ref().map(|bucket| bucket.time_of(waiting, by_breaker.min(now)));
        if self.breaker.is_closed() && by_rate.is_none() {
            // As fast as it has answered of late.
            let rate = self.usual.now(self.free_time(now)).0;
            return (rate > 0).then(|| Timestamp(now.0.saturating_add(waiting.saturating_mul(1_000_000) / rate)));
        }
        Some(by_breaker.max(by_rate.unwrap_or_default()))
    }

    /// How the participant is called now.
    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        Standing {
            breaker: self.breaker.state(),
            since: self.breaker.since(),
            in_flight: self.in_flight(),
            waiting: self.queue.by_kind(),
            drains_by: self.drains_by(now),
            limits: self.limits.clone(),
            calls: self.calls,
            opened: self.breaker.opened(),
        }
    }
}

#[cfg(test)]
mod tests;
