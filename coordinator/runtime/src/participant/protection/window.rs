//! The last seconds' answers of one participant, judged: is it out of order?
//!
//! Invariant: one saga alone never makes it so, however often its call fails: that is the saga's trouble, and others' calls
//! mustn't wait for it.

use std::collections::VecDeque;

use amends_engine::ids::SagaKey;
use amends_engine::time::Timestamp;

/// Seconds that count.
const WINDOW: u64 = 10;
/// Bad answers within them that a participant must have given before it is called out of order.
pub const FAILURES_MIN: u64 = 10;
/// How many of a hundred answers must be bad.
pub const FAILURE_PERCENT: u64 = 50;

/// What an answer says about the participant; what it says about the saga is something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It does its work; a refusal is work too.
    Good,
    /// It doesn't: no connection, no answer in time, overloaded, or broken inside.
    Bad,
    /// Nothing: our own fault, or nobody's.
    Silent,
}

#[derive(Debug, Clone)]
struct Second {
    at: u64,
    good: u64,
    bad: u64,
    /// The saga of the first bad answer.
    saga: Option<SagaKey>,
    /// Others' calls were answered badly too.
    several: bool,
}

/// Answers by second, at most [`WINDOW`] of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    seconds: VecDeque<Second>,
}

impl Window {
    /// Counts an answer.
    pub(super) fn note(&mut self, health: Health, saga: &SagaKey, now: Timestamp) {
        let at = now.0 / 1_000;
        while self.seconds.front().is_some_and(|second| second.at + WINDOW <= at) {
            self.seconds.pop_front();
        }
        if self.seconds.back().is_none_or(|second| second.at < at) {
            self.seconds.push_back(Second { at, good: 0, bad: 0, saga: None, several: false });
        }
        let Some(second) = self.seconds.back_mut() else { return };
        match health {
            Health::Good => second.good += 1,
            Health::Silent => {}
            Health::Bad => {
                second.bad += 1;
                second.several |= second.saga.as_ref().is_some_and(|first| first != saga);
                second.saga.get_or_insert_with(|| saga.clone());
            }
        }
    }

    /// Whether the participant is out of order.
    pub(super) fn is_bad(&self) -> bool {
        let (good, bad) = self.seconds.iter().fold((0, 0), |(good, bad), it| (good + it.good, bad + it.bad));
        bad >= FAILURES_MIN && bad * 100 >= (good + bad) * FAILURE_PERCENT && self.is_of_several()
    }

    fn is_of_several(&self) -> bool {
        let mut sagas = self.seconds.iter().filter_map(|second| second.saga.as_ref());
        let first = sagas.next();
        self.seconds.iter().any(|second| second.several) || sagas.any(|saga| Some(saga) != first)
    }
}

#[cfg(test)]
mod tests {
    use amends_engine::ids::{Namespace, SagaId};

    use super::*;

    fn saga(number: u64) -> SagaKey {
        SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse(&format!("s{number}")).unwrap() }
    }

    #[test]
    fn half_of_many_bad_answers_of_several_sagas_are_needed() {
        let bad = |goods: u64, bads: u64, sagas: u64| {
            let mut window = Window::default();
            (0..goods).for_each(|number| window.note(Health::Good, &saga(number), Timestamp(number)));
            (0..bads).for_each(|number| window.note(Health::Bad, &saga(number % sagas), Timestamp(number * 300)));
            window.is_bad()
        };
        assert!(bad(0, 10, 2));
        assert!(!bad(0, 9, 9), "too few to say");
        assert!(bad(10, 10, 3));
        assert!(!bad(11, 10, 3), "most are good");
        assert!(!bad(0, 30, 1), "one saga alone");
    }

    #[test]
    fn ten_seconds_later_all_is_forgotten() {
        let mut window = Window::default();
        (0..20).for_each(|number| window.note(Health::Bad, &saga(number), Timestamp(500)));
        window.note(Health::Silent, &saga(1), Timestamp(9_999));
        assert!(window.is_bad());
        window.note(Health::Silent, &saga(1), Timestamp(10_000));
        assert!(!window.is_bad());
    }
}
