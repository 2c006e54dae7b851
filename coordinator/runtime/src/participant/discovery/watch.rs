//! What the answers of one source mean, one after the other. Pure.
//!
//! | the source | the addresses | asked again |
//! |---|---|---|
//! | names some | those | when the answer is no longer good, and at least each `refresh` |
//! | can't be asked | as before, with a problem | after 1 s, 2 s, … at most `refresh` |
//! | names none | as before, with a problem, until it has said so [`EMPTY_ANSWERS`] times over [`EMPTY_TIME`]; then none | after 5 s |
//!
//! An empty answer is most often a mistake of whoever deploys, and a short one. It counts in the end because addresses are given to
//! others: calling an old one for ever would be calling a stranger. Invariant: the addresses change only by an answer.

use std::time::Duration;

use amends_engine::time::Timestamp;

use super::{Answer, FindError, Found};
use crate::planted;

/// How often a source must have named nobody before that is believed.
const EMPTY_ANSWERS: u32 = 3;
/// For how long it must have.
const EMPTY_TIME: Duration = Duration::from_secs(30);
/// When an empty answer is looked at again.
const EMPTY_AGAIN: Duration = Duration::from_secs(5);
/// The least time between two questions, whatever the answer says.
const AGAIN_MIN: Duration = Duration::from_secs(1);

/// What is remembered of one source.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    /// When to ask; the beginning of time: at once.
    pub(super) next: Timestamp,
    /// Of the last answer.
    pub(super) index: u64,
    /// When it last named some.
    pub(super) answered_at: Option<Timestamp>,
    /// What is wrong; empty: nothing.
    pub(super) problem: String,
    failures: u32,
    empties: u32,
    empty_since: Timestamp,
}

impl Watch {
    /// Takes in what asking gave. `Some`: these are the addresses from now on.
    pub(super) fn heard(
        &mut self,
        said: Result<Answer, FindError>,
        now: Timestamp,
        refresh: Duration,
    ) -> Option<Vec<Found>> {
        match said {
            Err(FindError(why)) => {
                let delay = AGAIN_MIN * (1 << self.failures.min(16));
                self.failures = self.failures.saturating_add(1);
                self.next = now + delay.min(refresh);
                self.problem = format!("{why}; {}", self.meanwhile());
                None
            }
            Ok(Answer { found, index, .. }) if found.is_empty() => {
                (self.failures, self.index) = (0, index);
                self.empty(now)
            }
            Ok(Answer { found, good_for, index }) => {
                (self.failures, self.empties, self.index) = (0, 0, index);
                self.next = now + good_for.clamp(AGAIN_MIN, refresh);
                self.answered_at = Some(now);
                self.problem.clear();
                Some(found)
            }
        }
    }

    fn empty(&mut self, now: Timestamp) -> Option<Vec<Found>> {
        if self.empties == 0 {
            self.empty_since = now;
        }
        self.empties = self.empties.saturating_add(1);
        self.next = now + EMPTY_AGAIN;
        let is_believed = self.empties >= EMPTY_ANSWERS && now.since(self.empty_since) >= EMPTY_TIME;
        if is_believed || planted::is("empty_answer_believed") {
            self.problem = "it names no address".to_owned();
            return Some(Vec::new());
        }
        self.problem = format!("it names no address; {}", self.meanwhile());
        None
    }

    fn meanwhile(&self) -> &'static str {
        match self.answered_at {
            Some(_) => "the addresses of its last answer are still used",
            None => "it hasn't named any since this node started",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFRESH: Duration = Duration::from_secs(30);
    const NOW: Timestamp = Timestamp(1_000_000);

    fn at(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    fn some(ttl: u64) -> Result<Answer, FindError> {
        let found = vec![Found { priority: 0, address: "127.0.0.1:1".parse().unwrap(), weight: 1 }];
        Ok(Answer { found, good_for: Duration::from_secs(ttl), index: 7 })
    }

    fn failure() -> Result<Answer, FindError> {
        Err(FindError("no answer".to_owned()))
    }

    #[test]
    fn it_is_asked_again_when_the_answer_is_old_but_not_at_once_and_not_never() {
        let mut watch = Watch::default();
        for (ttl, next) in [(0, 1), (10, 10), (86_400, 30)] {
            assert!(watch.heard(some(ttl), NOW, REFRESH).is_some());
            assert_eq!((watch.next, watch.index), (at(next), 7), "{ttl}");
        }
    }

    #[test]
    fn while_it_cant_be_asked_its_last_answer_counts_and_the_problem_is_told() {
        let mut watch = Watch::default();
        assert_eq!(watch.heard(failure(), NOW, REFRESH), None);
        assert!(watch.problem.contains("hasn't named any"), "{}", watch.problem);
        assert!(watch.heard(some(5), NOW, REFRESH).is_some());
        assert_eq!(watch.problem, "");
        for delay in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(watch.heard(failure(), NOW, REFRESH), None);
            assert_eq!(watch.next, at(delay));
        }
        assert_eq!(watch.problem, "no answer; the addresses of its last answer are still used");
        for _ in 0..100 {
            assert_eq!(watch.heard(failure(), at(1_000_000), REFRESH), None, "for ever");
        }
    }

    #[test]
    fn an_empty_answer_is_believed_only_after_a_while() {
        let empty = || Ok(Answer::default());
        let mut watch = Watch::default();
        assert!(watch.heard(some(5), NOW, REFRESH).is_some());
        for second in [5, 10, 15, 34] {
            assert_eq!(watch.heard(empty(), at(second), REFRESH), None, "after {second} s");
            assert!(watch.problem.contains("still used"));
        }
        assert_eq!(watch.heard(failure(), at(36), REFRESH), None, "a failure isn't an empty answer");
        assert_eq!(watch.heard(empty(), at(37), REFRESH), Some(vec![]));
        assert!(watch.heard(some(5), at(40), REFRESH).is_some());
        assert_eq!(watch.heard(empty(), at(80), REFRESH), None, "counted anew");
        // Long, but not often enough.
        let mut watch = Watch::default();
        assert_eq!(watch.heard(empty(), NOW, REFRESH), None);
        assert_eq!(watch.heard(empty(), at(300), REFRESH), None);
        assert_eq!(watch.heard(empty(), at(301), REFRESH), Some(vec![]));
    }
}
