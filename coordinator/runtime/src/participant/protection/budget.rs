//! The retry budget: retries are a share of first attempts, so that a participant in trouble isn't called more and more.
//!
//! As in Finagle and Linkerd: what was tried for the first time in the last ten seconds pays for retries, and a few are free, so
//! that a quiet participant is retried too. A retry here is an attempt after one that may have arrived and wasn't answered well;
//! what never left and what a lost owner began again isn't one. Invariant: in any ten seconds there are no more retries than paid for.

use std::collections::VecDeque;

use amends_engine::time::Timestamp;

/// Seconds that count.
const WINDOW: u64 = 10;

/// Retries per second that cost nothing, at each node.
pub const RETRIES_MIN: u64 = 10;

/// First attempts and retries of the last seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget {
    /// Second, first attempts, retries; oldest first, at most [`WINDOW`] of them.
    seconds: VecDeque<(u64, u64, u64)>,
}

impl Budget {
    fn forget(&mut self, now: Timestamp) {
        let second = now.0 / 1_000;
        while self.seconds.front().is_some_and(|(at, ..)| at + WINDOW <= second) {
            self.seconds.pop_front();
        }
    }

    /// Whether one more retry is paid for; else when to look again. Those that come `first` have the whole budget, others leave
    /// `reserved_percent` of it.
    pub(super) fn may(
        &mut self,
        retry_percent: u32,
        reserved_percent: u32,
        first: bool,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        self.forget(now);
        let (firsts, retries) =
            self.seconds.iter().fold((0, 0), |(firsts, retries), it| (firsts + it.1, retries + it.2));
        let all = RETRIES_MIN * WINDOW + firsts * u64::from(retry_percent) / 100;
        let mine = if first { all } else { all * u64::from(100 - reserved_percent.min(100)) / 100 };
        if retries < mine { Ok(()) } else { Err(Timestamp((now.0 / 1_000 + 1) * 1_000)) }
    }

    /// Counts an attempt that is made.
    pub(super) fn note(&mut self, retry: bool, now: Timestamp) {
        self.forget(now);
        let second = now.0 / 1_000;
        if self.seconds.back().is_none_or(|(at, ..)| *at < second) {
            self.seconds.push_back((second, 0, 0));
        }
        if let Some((_, firsts, retries)) = self.seconds.back_mut() {
            *if retry { retries } else { firsts } += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn there_are_never_more_retries_than_paid_for(
            percent in 0u32..200, steps in prop::collection::vec((0u64..1_500, any::<bool>(), any::<bool>()), 1..400),
        ) {
            let mut budget = Budget::default();
            let mut made: Vec<(u64, bool)> = Vec::new();
            let mut now = 0;
            for (pause, retry, first) in steps {
                now += pause;
                if !retry || budget.may(percent, 20, first, Timestamp(now)).is_ok() {
                    budget.note(retry, Timestamp(now));
                    made.push((now / 1_000, retry));
                }
                let recent = || made.iter().filter(|(at, _)| at + WINDOW > now / 1_000);
                let (retries, firsts) = (recent().filter(|it| it.1).count() as u64, recent().filter(|it| !it.1).count() as u64);
                // First attempts that have been forgotten may have paid for retries that haven't.
                let paid = made.iter().filter(|(at, retry)| !retry && at + 2 * WINDOW > now / 1_000).count() as u64;
                prop_assert!(retries <= RETRIES_MIN * WINDOW + paid.max(firsts) * u64::from(percent) / 100);
            }
        }
    }

    #[test]
    fn first_attempts_pay_and_a_part_is_kept_for_what_must_be_finished() {
        let mut budget = Budget::default();
        let now = Timestamp(5_000);
        (0..1_000).for_each(|_| budget.note(false, now));
        let take = |budget: &mut Budget, first| {
            (0..1_000)
                .take_while(|_| budget.may(20, 20, first, now).is_ok().then(|| budget.note(true, now)).is_some())
                .count()
        };
        assert_eq!(take(&mut budget, false), 240, "(100 + 20 % of 1000) less the fifth that is kept");
        assert_eq!(take(&mut budget, true), 60);
        assert_eq!(budget.may(20, 20, true, now), Err(Timestamp(6_000)));
        assert_eq!(budget.may(20, 20, false, Timestamp(15_000)), Ok(()), "ten seconds later all is forgotten");
    }
}
