//! Calls per second: a bucket for the steady limit, and the pace at which a participant is called again after an outage.
//!
//! Whole numbers only, in millionths of a call, so that a replay gives the same. Invariants: in any time a bucket lets through
//! at most its burst and its rate's worth; a pace lets through at most its curve, and what isn't used is forfeited.

use std::time::Duration;

use amends_engine::time::Timestamp;

use super::limits::Rate;

/// One call.
const CALL: u64 = 1_000_000;

/// How long a pace takes to reach its rate; it begins with a tenth of it.
pub(super) const RAMP: Duration = Duration::from_secs(30);

/// A token bucket that holds one second's worth, and at least one call.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    rate: Rate,
    /// What is kept for calls that come first.
    kept: u64,
    level: u64,
    at: Timestamp,
}

impl Bucket {
    /// A full one. `reserved_percent` of the burst, in whole calls, are for those that come first.
    pub(super) fn new(rate: Rate, reserved_percent: u32, now: Timestamp) -> Self {
        let burst = burst(rate);
        let kept = (burst / 100 * u64::from(reserved_percent) / CALL * CALL).min(burst - CALL);
        Self { rate, kept, level: burst, at: now }
    }

    fn refill(&mut self, now: Timestamp) {
        let millis = now.0.saturating_sub(self.at.0);
        self.level = self.level.saturating_add(millis.saturating_mul(self.rate.0)).min(burst(self.rate));
        self.at = self.at.max(now);
    }

    fn wanted(&self, first: bool) -> u64 {
        if first { CALL } else { CALL + self.kept }
    }

    /// Whether a call may be made now; else when the next one may.
    pub(super) fn may(&mut self, first: bool, now: Timestamp) -> Result<(), Timestamp> {
        self.refill(now);
        let missing = self.wanted(first).saturating_sub(self.level);
        if missing == 0 { Ok(()) } else { Err(Timestamp(now.0.saturating_add(missing.div_ceil(self.rate.0.max(1))))) }
    }

    /// Counts a call that may be made.
    pub(super) fn take(&mut self) {
        self.level = self.level.saturating_sub(CALL);
    }

    /// When so many calls more have been let through, where no others come.
    pub(super) fn time_of(&self, calls: u64, now: Timestamp) -> Timestamp {
        let missing = calls.saturating_mul(CALL).saturating_sub(self.level);
        Timestamp(now.0.saturating_add(missing.div_ceil(self.rate.0.max(1))))
    }
}

fn burst(rate: Rate) -> u64 {
    rate.0.saturating_mul(1_000).max(CALL)
}

/// Calls at a bounded rate, slowly at first.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    rate: Rate,
    from: Timestamp,
    ramp: bool,
    spent: u64,
}

impl Pace {
    /// Begins now: with a tenth of the rate, or at once with the whole of it.
    pub(super) fn new(rate: Rate, ramp: bool, now: Timestamp) -> Self {
        Self { rate: Rate(rate.0.max(1)), from: now, ramp, spent: 0 }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// What the curve has let through by then.
    fn allowed(&self, now: Timestamp) -> u64 {
        let (rate, millis) = (u128::from(self.rate.0), u128::from(now.0.saturating_sub(self.from.0)));
        let ramp = RAMP.as_millis();
        let allowed = if !self.ramp {
            rate * millis
        } else if millis < ramp {
            // A tenth, and nine tenths that grow with time: their integral.
            rate * millis / 10 + rate * millis * millis * 9 / (ramp * 20)
        } else {
            rate * ramp * 11 / 20 + rate * (millis - ramp)
        };
        // The first call needn't wait.
        u64::try_from(allowed).unwrap_or(u64::MAX).saturating_add(CALL)
    }

    /// What may be saved up: what comes together within a fiftieth of a second, since nobody looks oftener.
    fn forfeit(&mut self, now: Timestamp) {
        // And the millisecond in which the last of it came.
        let saved = (self.rate.0 * 20).max(CALL) + self.rate.0;
        self.spent = self.spent.max(self.allowed(now).saturating_sub(saved));
    }

    /// Whether a call may be made now; else when the next one may.
    pub(super) fn may(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.forfeit(now);
        if self.allowed(now) >= self.spent + CALL { Ok(()) } else { Err(self.time_of(1, now)) }
    }

    /// Counts a call that may be made.
    pub(super) fn take(&mut self) {
        self.spent = self.spent.saturating_add(CALL);
    }

    /// When so many calls more have been let through, where no others come.
    pub(super) fn time_of(&self, calls: u64, now: Timestamp) -> Timestamp {
        let wanted = self.spent.saturating_add(calls.saturating_mul(CALL));
        // The curve only grows: halve the span in which it gets there.
        let flat = wanted.div_ceil(self.rate.0);
        let (mut low, mut high) = (now.0, self.from.0.max(now.0).saturating_add(flat).saturating_add(millis(RAMP)));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.allowed(Timestamp(middle)) >= wanted { high = middle } else { low = middle + 1 }
        }
        Timestamp(low)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_never_lets_through_more_than_burst_and_rate(
            rate in 1u64..200_000, reserved in 0u32..=90, steps in prop::collection::vec((0u64..2_000, any::<bool>()), 1..200),
        ) {
            let rate = Rate(rate);
            let mut bucket = Bucket::new(rate, reserved, Timestamp(0));
            let (mut now, mut through) = (0, 0);
            for (pause, first) in steps {
                now += pause;
                if bucket.may(first, Timestamp(now)).is_ok() {
                    bucket.take();
                    through += CALL;
                }
                prop_assert!(through <= burst(rate) + now * rate.0);
            }
        }

        #[test]
        fn who_waits_as_long_as_told_may_call(
            rate in 1u64..5_000_000, reserved in 0u32..=90, calls in 1u64..500, first in any::<bool>(), ramp in any::<bool>(),
        ) {
            let mut bucket = Bucket::new(Rate(rate), reserved, Timestamp(7));
            let mut pace = Pace::new(Rate(rate), ramp, Timestamp(7));
            let (mut now, mut then) = (Timestamp(7), Timestamp(7));
            for _ in 0..calls {
                if let Err(next) = bucket.may(first, now) {
                    prop_assert!(next > now);
                    prop_assert!(bucket.may(first, Timestamp(next.0 - 1)).is_err());
                    now = next;
                    prop_assert_eq!(bucket.may(first, now), Ok(()));
                }
                bucket.take();
                if let Err(next) = pace.may(then) {
                    prop_assert!(next > then);
                    then = next;
                    prop_assert_eq!(pace.may(then), Ok(()));
                }
                pace.take();
            }
        }

        #[test]
        fn a_pace_keeps_to_what_it_foretells(rate in 1_000u64..200_000, waiting in 1u64..3_000) {
            let mut pace = Pace::new(Rate(rate), true, Timestamp(0));
            let foretold = pace.time_of(waiting, Timestamp(0));
            let mut now = Timestamp(0);
            for _ in 0..waiting {
                while let Err(next) = pace.may(now) {
                    now = next;
                }
                pace.take();
            }
            prop_assert!(foretold.0.abs_diff(now.0) <= 1 + waiting / 1_000, "{now} and {foretold}");
        }

        #[test]
        fn a_pace_never_lets_through_more_than_its_rate(
            rate in 1_000u64..200_000, pauses in prop::collection::vec(0u64..40_000, 1..100),
        ) {
            let mut pace = Pace::new(Rate(rate), true, Timestamp(0));
            let mut now = 0;
            for pause in pauses {
                let before = now;
                now += pause;
                let mut through = 0;
                while pace.may(Timestamp(now)).is_ok() {
                    pace.take();
                    through += CALL;
                }
                prop_assert!(through <= (rate * 20).max(CALL) + rate + CALL, "saved up {through} in {} ms", now - before);
            }
        }
    }

    #[test]
    fn a_pace_begins_slowly() {
        let mut pace = Pace::new(Rate::per_second(100), true, Timestamp(0));
        let mut calls = 0;
        for now in 0..1_000 {
            while pace.may(Timestamp(now)).is_ok() {
                pace.take();
                calls += 1;
            }
        }
        assert!((10..=13).contains(&calls), "{calls}");
    }

    #[test]
    fn part_of_a_burst_is_kept() {
        let mut bucket = Bucket::new(Rate::per_second(10), 20, Timestamp(0));
        let take = |bucket: &mut Bucket, first| {
            (0..20).filter(|_| bucket.may(first, Timestamp(0)).is_ok().then(|| bucket.take()).is_some()).count()
        };
        assert_eq!(take(&mut bucket, false), 8);
        assert_eq!(take(&mut bucket, true), 2);
    }
}
