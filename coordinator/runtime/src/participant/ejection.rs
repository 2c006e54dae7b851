//! How long an address is left alone: one that can't be reached, and one whose calls fail.
//!
//! Both spells are short and grow, so that thousands of sagas don't all knock at once, and nobody is left out for ever. The pure
//! part is [`Ejection`]; [`Health`] is the same behind a lock, shared by a pool and its connection. It connects to nobody and
//! reads no clock. Invariants: an ejection ends, also when the clock is set back; an address that answers has no spell left of
//! the kind that its answer disproves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amends_engine::time::Timestamp;

/// After the first failure to connect; doubled by every further one.
const UNREACHED_FIRST: Duration = Duration::from_millis(100);
/// Longest time that an address is left alone because it can't be reached.
const UNREACHED_MAX: Duration = Duration::from_secs(5);
/// Calls that failed in a row, after which an address is ejected (the default of Envoy's outlier detection).
const FAILED_CALLS_MAX: u32 = 5;
/// The first ejection for failed calls; doubled by every further one without a success in between.
const FAILING_FIRST: Duration = Duration::from_secs(5);
/// Longest ejection for failed calls.
const FAILING_MAX: Duration = Duration::from_secs(60);

/// How an address stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing speaks against it.
    Well,
    /// It is left alone because calls to it fail. It may be called all the same where too few are well.
    Ejected,
    /// It is left alone because it can't be reached. A call to it would only wait.
    Unreached,
}

/// What is remembered about the failures of one address.
#[derive(Debug, Clone, Default)]
pub(super) struct Ejection {
    unreached: Spell,
    ejected: Spell,
    /// Calls that failed in a row.
    failed_calls: u32,
    /// The last thing that was tried here failed.
    failing: bool,
    last_failure: Option<(Timestamp, String)>,
}

/// A time for which an address is left alone, and how many there were in a row.
#[derive(Debug, Clone, Default)]
struct Spell {
    count: u32,
    until: Timestamp,
}

impl Spell {
    fn begin(&mut self, from: Timestamp, first: Duration, max: Duration) {
        self.until = from + max.min(first * (1 << self.count.min(16)));
        self.count = self.count.saturating_add(1);
    }

    fn is_on(&self, now: Timestamp, longest: Duration) -> bool {
        // The wall clock may be set back; a spell that seems to last longer than any can is over.
        now < self.until && self.until <= now + longest
    }
}

impl Ejection {
    /// How the address stands now.
    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        if self.unreached.is_on(now, UNREACHED_MAX) {
            Standing::Unreached
        } else if self.ejected.is_on(now, FAILING_MAX) {
            Standing::Ejected
        } else {
            Standing::Well
        }
    }

    /// Until when it is left alone; `None`: it isn't.
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.standing(now) {
            Standing::Well => None,
            Standing::Ejected => Some(self.ejected.until),
            Standing::Unreached => Some(self.unreached.until),
        }
    }

    /// Why no connection is to be tried; `None`: one may.
    pub(super) fn unreached_because(&self, now: Timestamp) -> Option<&str> {
        let why = self.last_failure.as_ref().map_or("", |(_, why)| why.as_str());
        (self.standing(now) == Standing::Unreached).then_some(why)
    }

    /// Notes that it couldn't be connected to.
    pub(super) fn not_reached(&mut self, from: Timestamp, why: String) {
        self.unreached.begin(from, UNREACHED_FIRST, UNREACHED_MAX);
        self.failed(from, why);
    }

    /// Notes that it could be connected to.
    pub(super) fn reached(&mut self) {
        self.unreached = Spell::default();
        // What its calls come to is another matter.
        self.failing = self.failed_calls > 0;
    }

    /// Notes that a call to it failed; `may_eject`: enough others are left.
    pub(super) fn call_failed(&mut self, now: Timestamp, why: String, may_eject: bool) {
        self.failed_calls = self.failed_calls.saturating_add(1);
        // One that comes back stays at the limit, so that its first failure is enough.
        if self.failed_calls >= FAILED_CALLS_MAX && may_eject && self.standing(now) != Standing::Ejected {
            self.ejected.begin(now, FAILING_FIRST, FAILING_MAX);
        }
        self.failed(now, why);
    }

    /// Notes that a call was answered.
    pub(super) fn call_answered(&mut self) {
        (self.failed_calls, self.failing) = (0, false);
        (self.ejected, self.unreached) = (Spell::default(), Spell::default());
    }

    /// Whether the last thing that was tried here failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }

    /// When something failed here last, and why.
    pub(super) fn last_failure(&self) -> Option<&(Timestamp, String)> {
        self.last_failure.as_ref()
    }

    fn failed(&mut self, at: Timestamp, why: String) {
        self.failing = true;
        self.last_failure = Some((at, why));
    }
}

/// The health of one address, shared by those who call it.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Ejection>);

impl Health {
    /// What is remembered, for a moment. Nothing that can panic or wait is done while it is held.
    pub(super) fn lock(&self) -> MutexGuard<'_, Ejection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn fail(ejection: &mut Ejection, at: Timestamp, times: u32) {
        (0..times).for_each(|_| ejection.call_failed(at, "broken".to_owned(), true));
    }

    #[test]
    fn an_address_that_cant_be_reached_is_left_alone_for_growing_and_bounded_times() {
        let mut ejection = Ejection::default();
        for length in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            ejection.not_reached(NOW, "refused".to_owned());
            assert_eq!(ejection.until(NOW), Some(Timestamp(NOW.0 + length)));
        }
        ejection.unreached.count = u32::MAX;
        ejection.not_reached(NOW, "refused".to_owned());
        assert_eq!(ejection.until(NOW), Some(Timestamp(NOW.0 + 5000)));
        ejection.reached();
        assert_eq!(ejection.standing(NOW), Standing::Well);
    }

    #[test]
    fn an_ejection_ends_in_time_and_when_the_clock_is_set_back() {
        let mut ejection = Ejection::default();
        assert_eq!(ejection.unreached_because(Timestamp(0)), None);
        ejection.not_reached(NOW, "refused".to_owned());
        assert_eq!(ejection.unreached_because(Timestamp(1_000_099)), Some("refused"));
        assert_eq!(ejection.unreached_because(Timestamp(1_000_100)), None);
        assert_eq!(ejection.unreached_because(Timestamp(900_000)), None, "set back by 100 s");
    }

    #[test]
    fn five_failed_calls_in_a_row_eject_and_one_after_the_return() {
        let mut ejection = Ejection::default();
        fail(&mut ejection, NOW, 4);
        assert_eq!((ejection.standing(NOW), ejection.is_failing()), (Standing::Well, true));
        ejection.call_answered();
        fail(&mut ejection, NOW, 4);
        assert_eq!(ejection.standing(NOW), Standing::Well, "not in a row");
        fail(&mut ejection, NOW, 1);
        assert_eq!(ejection.until(NOW), Some(Timestamp(NOW.0 + 5_000)));
        fail(&mut ejection, NOW, 3);
        assert_eq!(ejection.until(NOW), Some(Timestamp(NOW.0 + 5_000)), "calls that were under way don't prolong it");
        let back = Timestamp(NOW.0 + 5_000);
        assert_eq!(ejection.standing(back), Standing::Well);
        fail(&mut ejection, back, 1);
        assert_eq!(ejection.until(back), Some(Timestamp(back.0 + 10_000)));
        ejection.call_answered();
        assert_eq!((ejection.standing(back), ejection.is_failing()), (Standing::Well, false));
        assert_eq!(ejection.last_failure().map(|(at, _)| *at), Some(back), "still shown");
    }

    #[test]
    fn one_that_isnt_to_be_ejected_is_only_remembered_as_failing() {
        let mut ejection = Ejection::default();
        (0..50).for_each(|_| ejection.call_failed(NOW, "broken".to_owned(), false));
        assert_eq!((ejection.standing(NOW), ejection.is_failing()), (Standing::Well, true));
        ejection.reached();
        assert!(ejection.is_failing(), "a connection proves nothing about its calls");
    }
}
