//! What protects a participant, as it was registered: at most so many calls at a time and per second, retries and breaker.
//!
//! Plain values; who keeps to them is in the sibling files. Invariant: [`Limits::check`] has been passed by every value that is
//! stored, so that no limit is zero and none lets nothing through for ever but [`BreakerMode::Held`], which says so.

use amends_engine::time::Timestamp;

/// Most calls at a time that can be asked for.
pub const CONCURRENCY_MAX: u32 = 100_000;
/// Highest rate that can be asked for.
pub const RATE_MAX: Rate = Rate(1_000_000 * 1_000);

/// Calls per second, in thousandths, so that a share of a slow participant is still a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Rate(pub u64);

impl Rate {
    /// So many whole calls per second.
    pub const fn per_second(calls: u64) -> Self {
        Self(calls * 1_000)
    }

    /// This part of it in hundredths, rounded down.
    pub(super) fn percent(self, percent: u64) -> Self {
        Self(self.0.saturating_mul(percent) / 100)
    }
}

/// Whether calls are stopped when a participant doesn't answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BreakerMode {
    /// The breaker opens and closes by itself.
    #[default]
    Auto,
    /// It never opens.
    Off,
    /// A person holds it open: nothing is called until they say otherwise.
    Held,
}

/// The limits of one participant, for all nodes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most calls at a time.
    pub concurrency: u32,
    /// How many in a hundred of `concurrency`, and of a burst of `rate`, are kept for compensations, confirms and queries.
    pub reserved_percent: u32,
    /// Most calls per second, with bursts of one second's worth; none: as many as come.
    pub rate: Option<Rate>,
    /// How many retries there may be for a hundred first attempts, beside [`super::budget::RETRIES_MIN`].
    pub retry_percent: u32,
    /// Whether calls are stopped when it doesn't answer.
    pub breaker: BreakerMode,
    /// How many calls per second it gets after an outage until nothing waits any more; none: a little more than it had before.
    pub resume_rate: Option<Rate>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 256,
            reserved_percent: 20,
            rate: None,
            retry_percent: 20,
            breaker: BreakerMode::Auto,
            resume_rate: None,
        }
    }
}

/// Limits that can't be kept to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimits {
    /// Out of range.
    #[error("concurrency: {0} calls at a time; between 1 and {CONCURRENCY_MAX} are allowed")]
    Concurrency(u32),
    /// Nothing would be left for actions.
    #[error("reserved_percent: {0}; at most 90 can be reserved, so that actions aren't stopped altogether")]
    Reserved(u32),
    /// Out of range.
    #[error("{field}: calls per second are more than 0 and at most 1000000; to stop all calls hold the breaker open")]
    Rate {
        /// Which one.
        field: &'static str,
    },
    /// More retries than the participant could be asked for.
    #[error("retry_percent: {0}; at most 1000 (ten retries for each first attempt)")]
    Retries(u32),
}

impl Limits {
    /// Checks the invariant of this module.
    pub fn check(&self) -> Result<(), InvalidLimits> {
        if !(1..=CONCURRENCY_MAX).contains(&self.concurrency) {
            return Err(InvalidLimits::Concurrency(self.concurrency));
        }
        if self.reserved_percent > 90 {
            return Err(InvalidLimits::Reserved(self.reserved_percent));
        }
        if self.retry_percent > 1_000 {
            return Err(InvalidLimits::Retries(self.retry_percent));
        }
        for (field, rate) in [("rate_per_second", self.rate), ("resume_per_second", self.resume_rate)] {
            if rate.is_some_and(|rate| rate == Rate(0) || rate > RATE_MAX) {
                return Err(InvalidLimits::Rate { field });
            }
        }
        Ok(())
    }

    /// One node's part of them. Rounded down, but never to nothing: with more nodes than calls at a time there are more calls.
    pub(super) fn share(&self, nodes: usize) -> Self {
        let nodes = u32::try_from(nodes.max(1)).unwrap_or(u32::MAX);
        let part = |rate: Rate| Rate((rate.0 / u64::from(nodes)).max(1));
        Self {
            concurrency: (self.concurrency / nodes).max(1),
            rate: self.rate.map(part),
            resume_rate: self.resume_rate.map(part),
            ..self.clone()
        }
    }

    /// How many of the calls at a time are kept for what must be finished. At least one is left for actions.
    pub(super) fn reserved(&self) -> u32 {
        let wanted = u64::from(self.concurrency) * u64::from(self.reserved_percent);
        let wanted = u32::try_from(wanted.div_ceil(100)).unwrap_or(u32::MAX);
        wanted.min(self.concurrency.saturating_sub(1))
    }
}

/// Who changed a participant's limits last, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsChange {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub principal: String,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_reserved_and_some_are_not() {
        let limits = |concurrency, reserved_percent| Limits { concurrency, reserved_percent, ..Limits::default() };
        assert_eq!(limits(256, 20).reserved(), 52);
        assert_eq!(limits(4, 20).reserved(), 1);
        assert_eq!(limits(1, 90).reserved(), 0, "the only one can't be reserved");
        assert_eq!(limits(2, 90).reserved(), 1);
        assert_eq!(limits(100, 0).reserved(), 0);
    }

    #[test]
    fn nodes_share_and_nobody_gets_nothing() {
        let whole = Limits { concurrency: 10, rate: Some(Rate::per_second(10)), ..Limits::default() };
        let third = whole.share(3);
        assert_eq!((third.concurrency, third.rate), (3, Some(Rate(3_333))));
        assert_eq!(whole.share(100).concurrency, 1);
        assert_eq!(whole.share(0), whole.share(1));
    }

    #[test]
    fn what_cant_be_kept_to_is_refused() {
        assert_eq!(Limits::default().check(), Ok(()));
        let none = Limits { concurrency: 0, ..Limits::default() };
        assert_eq!(none.check(), Err(InvalidLimits::Concurrency(0)));
        let all = Limits { reserved_percent: 100, ..Limits::default() };
        assert_eq!(all.check(), Err(InvalidLimits::Reserved(100)));
        let still = Limits { rate: Some(Rate(0)), ..Limits::default() };
        assert_eq!(still.check(), Err(InvalidLimits::Rate { field: "rate_per_second" }));
    }
}
