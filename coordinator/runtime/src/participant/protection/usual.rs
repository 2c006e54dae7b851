//! How many calls a second a participant usually answers: what it is called again with after an outage.
//!
//! Time here is the time in which the participant was called freely: whoever counts leaves outages out of it. Invariant: what was
//! counted in the last ten seconds doesn't count, since those may belong to an outage already; at most 71 numbers are kept.

use std::collections::VecDeque;

use amends_engine::time::Timestamp;

use super::limits::Rate;

/// Seconds over which the usual rate is taken.
const SPAN: u64 = 60;
/// Seconds that are too young for it.
const YOUNG: u64 = 10;

/// Good answers by second.
#[derive(Debug, Clone, Default)]
pub(super) struct Usual {
    /// Second and number of good answers; oldest first.
    seconds: VecDeque<(u64, u64)>,
    /// Since when it is counted.
    since: Option<u64>,
}

impl Usual {
    /// A good answer has come.
    pub(super) fn note(&mut self, now: Timestamp) {
        let second = now.0 / 1_000;
        self.since.get_or_insert(second);
        while self.seconds.front().is_some_and(|(at, _)| at + SPAN + YOUNG <= second) {
            self.seconds.pop_front();
        }
        match self.seconds.back_mut() {
            Some((at, count)) if *at >= second => *count += 1,
            _ => self.seconds.push_back((second, 1)),
        }
    }

    /// The rate of the minute that ended ten seconds ago, or of what there is of it; none: too little is known.
    pub(super) fn rate(&self, now: Timestamp) -> Option<Rate> {
        let second = now.0 / 1_000;
        let since = self.since?;
        let end = second.saturating_sub(YOUNG);
        let begin = end.saturating_sub(SPAN).max(since);
        (begin + YOUNG <= end).then(|| self.between(begin, end))
    }

    /// The rate of the last ten seconds.
    pub(super) fn now(&self, now: Timestamp) -> Rate {
        let second = now.0 / 1_000;
        self.between(second.saturating_sub(YOUNG), second)
    }

    fn between(&self, begin: u64, end: u64) -> Rate {
        let count: u64 = self.seconds.iter().filter(|(at, _)| (begin..end).contains(at)).map(|(_, count)| count).sum();
        Rate(count * 1_000 / (end - begin).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minute_before_the_last_ten_seconds_counts() {
        let mut usual = Usual::default();
        assert_eq!(usual.rate(Timestamp(5_000)), None);
        for millis in (0..200_000).step_by(50) {
            usual.note(Timestamp(millis));
        }
        assert_eq!(usual.rate(Timestamp(200_000)), Some(Rate::per_second(20)));
        assert_eq!(usual.rate(Timestamp(209_999)), Some(Rate::per_second(20)), "nothing was answered for ten seconds");
        assert_eq!(usual.now(Timestamp(200_000)), Rate::per_second(20));
        assert!(usual.seconds.len() <= 71);
    }

    #[test]
    fn what_is_new_counts_after_twenty_seconds() {
        let mut usual = Usual::default();
        (0..300).for_each(|number| usual.note(Timestamp(100_000 + number * 100)));
        assert_eq!(usual.rate(Timestamp(119_999)), None);
        assert_eq!(usual.rate(Timestamp(120_000)), Some(Rate::per_second(10)));
    }
}
