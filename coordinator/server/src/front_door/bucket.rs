//! A principal's rate: pure arithmetic on the time (a token bucket, kept as one moment as GCRA does).
//!
//! Invariant: over any time no more is let through than the rate allows and one second's worth beside it.

use std::time::Duration;

/// How much one second allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Time that one request takes up; zero: unlimited.
    each: Duration,
    burst: Duration,
}

impl Rate {
    /// 0: any number.
    pub(super) fn per_second(number: u32) -> Self {
        let each = Duration::from_secs(1).checked_div(number).unwrap_or_default();
        // What a second allows may come at once.
        Self { each, burst: Duration::from_secs(1).saturating_sub(each) }
    }

    pub(super) fn is_unlimited(self) -> bool {
        self.each.is_zero()
    }
}

/// How much a principal has used: the moment at which it has used nothing any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    free_at: Duration,
}

impl Bucket {
    /// Takes one; else, when there is one again.
    pub(super) fn take(&mut self, rate: Rate, now: Duration) -> Result<(), Duration> {
        let begins = self.free_at.max(now);
        let ahead = begins.saturating_sub(now);
        if ahead > rate.burst {
            return Err(ahead.saturating_sub(rate.burst));
        }
        self.free_at = begins + rate.each;
        Ok(())
    }

    /// Whether it is as good as new.
    pub(super) fn is_full(&self, now: Duration) -> bool {
        self.free_at <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_second_s_worth_may_come_at_once_and_then_the_rate() {
        let (rate, mut bucket) = (Rate::per_second(4), Bucket::default());
        let at = Duration::from_millis;
        for _ in 0..4 {
            bucket.take(rate, at(0)).unwrap();
        }
        assert_eq!(bucket.take(rate, at(0)), Err(at(250)));
        assert_eq!(bucket.take(rate, at(250)), Ok(()));
        assert_eq!(bucket.take(rate, at(300)), Err(at(200)));
        assert!(!bucket.is_full(at(300)) && bucket.is_full(at(1250)));
        assert!(Rate::per_second(0).is_unlimited());
    }

    proptest! {
        #[test]
        fn no_more_than_the_rate_and_one_burst(rate in 1_u32..500, gaps in prop::collection::vec(0_u64..300, 1..200)) {
            let (allowed, mut bucket, mut now, mut taken) = (Rate::per_second(rate), Bucket::default(), 0, 0_u64);
            for gap in gaps {
                now += gap;
                match bucket.take(allowed, Duration::from_millis(now)) {
                    Ok(()) => taken += 1,
                    Err(after) => prop_assert!(bucket.take(allowed, Duration::from_millis(now) + after).is_ok()),
                }
                if bucket.take(allowed, Duration::from_millis(now)).is_ok() {
                    taken += 1;
                }
            }
            // One more for the requests that came at the very moment that they were told.
            prop_assert!(taken <= u64::from(rate) + now * u64::from(rate) / 1000 + 1);
        }
    }
}
