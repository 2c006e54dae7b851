//! Who waits to call one participant, in due order, by what comes first.
//!
//! It decides nothing. Invariant: there is one place per operation of a saga, and who leaves or is taken leaves nothing behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_engine::ids::{Operation, SagaKey, StepIndex};
use amends_engine::time::Timestamp;

/// Whose call it is.
pub(crate) type Who = (SagaKey, StepIndex, Operation);

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Compensations, confirms, and queries, which settle what is in doubt.
    Finishing,
    /// Actions.
    Beginning,
}

/// A class, and whether it is a retry: those wait apart, since the retry budget holds up nobody else.
pub(super) type Lane = (Class, bool);

/// By due time; who is due at the same time comes in the order of asking.
pub(super) type Place = (Timestamp, u64);

/// Somebody who wants to call.
#[derive(Debug, Clone)]
pub(crate) struct Ask<T> {
    pub(crate) who: Arc<Who>,
    /// Since when the attempt is due.
    pub(crate) due: Timestamp,
    /// Whether an earlier attempt may have arrived and wasn't answered well.
    pub(crate) retry: bool,
    /// Goes with it.
    pub(crate) with: T,
}

/// A million of them may wait: what their place says isn't kept again, and who it is only once.
#[derive(Debug)]
struct Waiting<T> {
    since: Timestamp,
    who: Arc<Who>,
    with: T,
}

/// The queue before one participant.
#[derive(Debug)]
pub(super) struct Queue<T> {
    lanes: BTreeMap<Lane, BTreeMap<Place, Waiting<T>>>,
    places: BTreeMap<Arc<Who>, (Lane, Place)>,
    /// How many of each kind are in `places`.
    kinds: BTreeMap<Operation, u64>,
    asked: u64,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { lanes: BTreeMap::new(), places: BTreeMap::new(), kinds: BTreeMap::new(), asked: 0 }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many wait, by kind.
    pub(super) fn by_kind(&self) -> BTreeMap<Operation, u64> {
        self.kinds.iter().filter(|(_, count)| **count > 0).map(|(kind, count)| (*kind, *count)).collect()
    }

    /// Somebody begins to wait in the lane of their class; a place that they had is lost.
    pub(super) fn put(&mut self, class: Class, ask: Ask<T>, now: Timestamp) {
        self.leave(&ask.who);
        let lane = (class, ask.retry);
        let Ask { who, due, with, .. } = ask;
        let place = (due, self.asked);
        self.asked += 1;
        self.places.insert(who.clone(), (lane, place));
        *self.kinds.entry(who.2).or_default() += 1;
        self.lanes.entry(lane).or_default().insert(place, Waiting { since: now, who, with });
    }

    /// Somebody no longer waits.
    pub(super) fn leave(&mut self, who: &Who) {
        if let Some((lane, place)) = self.places.get(who).copied() {
            self.take(lane, place);
        }
    }

    /// Whoever is at this place no longer waits.
    pub(super) fn take(&mut self, lane: Lane, place: Place) -> Option<Ask<T>> {
        let Waiting { who, with, .. } = self.lanes.get_mut(&lane)?.remove(&place)?;
        self.places.remove(&who);
        if let Some(count) = self.kinds.get_mut(&who.2) {
            *count = count.saturating_sub(1);
        }
        Some(Ask { who, due: place.0, retry: lane.1, with })
    }

    /// The first of each lane of a class, what is due longest first.
    pub(super) fn heads(&self, class: Class) -> Vec<(Lane, Place)> {
        let head = |lane: Lane| Some((lane, *self.lanes.get(&lane)?.first_key_value()?.0));
        let mut heads: Vec<(Lane, Place)> = [(class, false), (class, true)].into_iter().filter_map(head).collect();
        heads.sort_by_key(|(_, place)| *place);
        heads
    }

    /// In which lane somebody waits, and since when.
    pub(super) fn find(&self, who: &Who) -> Option<(Lane, Timestamp)> {
        let (lane, place) = *self.places.get(who)?;
        Some((lane, self.lanes.get(&lane)?.get(&place)?.since))
    }
}
