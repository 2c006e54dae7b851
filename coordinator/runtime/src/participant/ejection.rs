//! How long an address that can't be reached is left alone.
//!
//! A short, growing time, so that thousands of sagas don't all knock at once. It connects to nobody and reads no clock.
//! Invariant: an ejection ends, also when the clock is set back.

use std::time::Duration;

use amends_engine::time::Timestamp;

/// After the first failure; doubled by every further one.
const FIRST: Duration = Duration::from_millis(100);
/// Longest time that an address is left alone.
const MAX: Duration = Duration::from_secs(5);
/// How far ahead an ejection may begin: it is noted before an attempt to connect, for the time after it.
const AHEAD_MAX: Duration = Duration::from_secs(5);

/// What is remembered about the failures of one address.
#[derive(Debug, Clone, Default)]
pub(super) struct Ejection {
    /// Attempts to connect that failed, in a row.
    failures: u32,
    /// Why the last one failed.
    why: String,
    until: Timestamp,
}

impl Ejection {
    /// Why the address is left alone; `None`: it isn't.
    pub(super) fn reason(&self, now: Timestamp) -> Option<&str> {
        // The wall clock may be set back; an ejection that seems to last longer than any can is over.
        let is_on = now < self.until && self.until <= now + AHEAD_MAX + MAX;
        is_on.then_some(self.why.as_str())
    }

    /// Notes a failure.
    pub(super) fn eject(&mut self, from: Timestamp, why: String) {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        self.until = from + MAX.min(FIRST * (1 << doublings));
        self.why = why;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ejections_grow_and_are_bounded() {
        let mut ejection = Ejection::default();
        let lengths = [100, 200, 400, 800, 1600, 3200, 5000, 5000];
        for length in lengths {
            ejection.eject(Timestamp(1_000_000), "refused".to_owned());
            assert_eq!(ejection.until, Timestamp(1_000_000 + length));
        }
        ejection.failures = u32::MAX;
        ejection.eject(Timestamp(1_000_000), "refused".to_owned());
        assert_eq!(ejection.until, Timestamp(1_005_000));
    }

    #[test]
    fn an_ejection_ends_in_time_and_when_the_clock_is_set_back() {
        let mut ejection = Ejection::default();
        assert_eq!(ejection.reason(Timestamp(0)), None);
        ejection.eject(Timestamp(1_000_000), "refused".to_owned());
        assert_eq!(ejection.reason(Timestamp(1_000_099)), Some("refused"));
        assert_eq!(ejection.reason(Timestamp(1_000_100)), None);
        assert_eq!(ejection.reason(Timestamp(900_000)), None, "set back by 100 s");
    }
}
