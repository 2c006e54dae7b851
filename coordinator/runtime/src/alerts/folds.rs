//! Which messages are sent alone, and which are counted into one. Pure.
//!
//! A pager is of no use when it rings ten thousand times. Of one kind (event, definition, participant, reason) a node sends
//! [`ALONE_MAX`] in a [`PERIOD`]; what comes beyond is told by one message with their number, a period later at most. Invariants:
//! what is folded counts as undelivered until its fold was sent; a saga that is in a fold is told of no further before that;
//! what is held is bounded, and who would hold more waits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_store::{Epoch, ShardId};

use super::event::EventType;

/// How many of one kind are sent alone in a period.
pub(crate) const ALONE_MAX: u32 = 10;
/// How long what comes beyond is collected.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);
/// Most sagas in one fold.
const SAGAS_MAX: usize = 5_000;
/// How many of them are named.
const SAMPLE: usize = 10;
/// Most kinds that are remembered without a fold.
const GROUPS_MAX: usize = 1_000;

/// One tenure of a shard, as a reader of its outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaneId(pub(crate) ShardId, pub(crate) Epoch);

/// What messages must have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub(crate) event: EventType,
    pub(crate) namespace: String,
    pub(crate) definition: String,
    pub(crate) participant: String,
    pub(crate) reason: String,
}

/// A message that may be folded.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) lane: LaneId,
    pub(crate) number: u64,
    pub(crate) saga: String,
    pub(crate) at: Timestamp,
}

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// Send it.
    Alone,
    /// It is in a fold.
    Folded,
    /// There is no room: ask again when something was sent.
    Wait,
}

/// Messages that become one.
#[derive(Debug, Clone)]
pub(crate) struct Fold {
    due: Timestamp,
    sagas: BTreeSet<String>,
    /// Of each reader: the first number, and how many.
    lanes: BTreeMap<LaneId, (u64, u64)>,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
    pub(crate) sample: Vec<String>,
}

impl Fold {
    fn of(item: &Item, due: Timestamp) -> Self {
        Self {
            due,
            sagas: BTreeSet::new(),
            lanes: BTreeMap::new(),
            first_at: item.at,
            last_at: item.at,
            sample: Vec::new(),
        }
    }

    fn add(&mut self, item: Item) {
        let lane = self.lanes.entry(item.lane).or_insert((item.number, 0));
        lane.1 += 1;
        self.first_at = self.first_at.min(item.at);
        self.last_at = self.last_at.max(item.at);
        if self.sample.len() < SAMPLE && !self.sample.contains(&item.saga) {
            self.sample.push(item.saga.clone());
        }
        self.sagas.insert(item.saga);
    }

    /// How many messages it stands for.
    pub(crate) fn count(&self) -> u64 {
        self.lanes.values().map(|(_, count)| count).sum()
    }
}

#[derive(Debug, Default)]
struct State {
    began: Timestamp,
    alone: u32,
    open: Option<Fold>,
    sending: Option<Fold>,
}

impl State {
    fn folds(&self) -> impl Iterator<Item = &Fold> {
        self.open.iter().chain(&self.sending)
    }
}

/// All folds of one webhook.
#[derive(Debug, Default)]
pub(crate) struct Folds {
    groups: BTreeMap<Group, State>,
}

impl Folds {
    /// What is to be done with a message of this kind.
    pub(crate) fn judge(&mut self, group: &Group, item: Item, now: Timestamp) -> Judged {
        if self.groups.len() > GROUPS_MAX {
            self.groups.retain(|_, state| state.folds().next().is_some() || now.since(state.began) < PERIOD);
        }
        let state = self.groups.entry(group.clone()).or_default();
        if let Some(open) = &mut state.open {
            if open.sagas.len() >= SAGAS_MAX {
                open.due = now;
                return Judged::Wait;
            }
            open.add(item);
            return Judged::Folded;
        }
        if now.since(state.began) >= PERIOD {
            (state.began, state.alone) = (now, 0);
        }
        if state.alone < ALONE_MAX {
            state.alone += 1;
            return Judged::Alone;
        }
        let mut fold = Fold::of(&item, now + PERIOD);
        fold.add(item);
        state.open = Some(fold);
        Judged::Folded
    }

    /// Whether a saga is in a fold of another kind than this one; that fold is sent soon then.
    pub(crate) fn holds(&mut self, saga: &str, other_than: Option<&Group>, now: Timestamp) -> bool {
        let mut held = false;
        for (group, state) in &mut self.groups {
            if Some(group) == other_than {
                continue;
            }
            held |= state.sending.as_ref().is_some_and(|fold| fold.sagas.contains(saga));
            if let Some(open) = state.open.as_mut().filter(|open| open.sagas.contains(saga)) {
                open.due = now;
                held = true;
            }
        }
        held
    }

    /// When the next fold is to be sent.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let ready = self.groups.values().filter(|state| state.sending.is_none());
        ready.filter_map(|state| Some(state.open.as_ref()?.due)).min()
    }

    /// A fold that is to be sent now. It is held until [`Folds::sent`].
    pub(crate) fn begin(&mut self, now: Timestamp) -> Option<(Group, Fold)> {
        let is_due = |state: &State| state.sending.is_none() && state.open.as_ref().is_some_and(|open| open.due <= now);
        let due = self.groups.iter_mut().filter(|(_, state)| is_due(state));
        let (group, state) = due.min_by_key(|(_, state)| state.open.as_ref().map(|open| open.due))?;
        state.sending = state.open.take();
        Some((group.clone(), state.sending.clone()?))
    }

    /// The fold of this kind was sent, or given up.
    pub(crate) fn sent(&mut self, group: &Group) {
        if let Some(state) = self.groups.get_mut(group) {
            state.sending = None;
        }
    }

    /// The first number that this reader has in a fold: all below it is done with.
    pub(crate) fn first_of(&self, lane: LaneId) -> Option<u64> {
        let folds = self.groups.values().flat_map(State::folds);
        folds.filter_map(|fold| fold.lanes.get(&lane)).map(|(first, _)| *first).min()
    }

    /// A reader's tenure is over: who comes next reads its messages again.
    pub(crate) fn forget(&mut self, lane: LaneId) {
        for state in self.groups.values_mut() {
            for fold in state.open.iter_mut().chain(&mut state.sending) {
                fold.lanes.remove(&lane);
            }
            // One that is being sent stays until it was.
            state.open = state.open.take().filter(|open| !open.lanes.is_empty());
        }
    }

    /// When the oldest of what is held happened.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.groups.values().flat_map(State::folds).map(|fold| fold.first_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: LaneId = LaneId(ShardId(0), Epoch(1));
    const OTHER: LaneId = LaneId(ShardId(1), Epoch(1));

    fn group(event: EventType) -> Group {
        let [namespace, definition, participant, reason] =
            ["default", "checkout", "payment", "poison"].map(str::to_owned);
        Group { event, namespace, definition, participant, reason }
    }

    fn item(lane: LaneId, number: u64) -> Item {
        Item { lane, number, saga: format!("{}-{number}", lane.0.0), at: Timestamp(number) }
    }

    /// As many of one kind, one after the other at this time.
    fn judge(folds: &mut Folds, lane: LaneId, numbers: std::ops::Range<u64>, now: u64) -> Vec<Judged> {
        let stuck = group(EventType::SagaStuck);
        numbers.map(|number| folds.judge(&stuck, item(lane, number), Timestamp(now))).collect()
    }

    #[test]
    fn the_first_few_are_sent_alone_and_the_rest_is_counted() {
        let mut folds = Folds::default();
        let now = 1_000_000;
        let judged = judge(&mut folds, LANE, 1..13, now);
        assert_eq!(judged.iter().filter(|judged| **judged == Judged::Alone).count(), 10);
        assert_eq!(judged[10..], [Judged::Folded, Judged::Folded]);
        judge(&mut folds, OTHER, 5..6, now);
        assert_eq!(
            (folds.first_of(LANE), folds.first_of(OTHER)),
            (Some(11), Some(5)),
            "nothing from there on is done with"
        );
        let due = folds.due().unwrap();
        assert_eq!(due, Timestamp(now) + PERIOD);
        assert!(folds.begin(Timestamp(now)).is_none());
        let (kind, fold) = folds.begin(due).unwrap();
        assert_eq!((fold.count(), fold.sample.len(), fold.first_at), (3, 3, Timestamp(5)));
        assert_eq!(folds.first_of(LANE), Some(11), "held until it was sent");
        folds.sent(&kind);
        assert_eq!(
            (folds.first_of(LANE), folds.first_of(OTHER), folds.due(), folds.oldest()),
            (None, None, None, None)
        );
        let again = judge(&mut folds, LANE, 13..14, due.0);
        assert_eq!(again, [Judged::Alone], "a new period");
    }

    #[test]
    fn what_else_is_said_of_a_saga_waits_for_its_fold() {
        let mut folds = Folds::default();
        judge(&mut folds, LANE, 1..12, 1_000_000);
        let unstuck = group(EventType::SagaUnstuck);
        let now = Timestamp(1_000_001);
        assert!(!folds.holds("0-1", Some(&unstuck), now), "told of alone");
        assert!(!folds.holds("0-11", Some(&group(EventType::SagaStuck)), now), "the same kind is the same fold");
        assert!(folds.holds("0-11", Some(&unstuck), now));
        let (kind, _) = folds.begin(now).expect("and it needn't wait a whole period");
        assert!(folds.holds("0-11", None, now), "not before it was sent");
        folds.sent(&kind);
        assert!(!folds.holds("0-11", None, now));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut folds = Folds::default();
        let judged = judge(&mut folds, LANE, 1..5_020, 1_000_000);
        assert_eq!(judged.iter().filter(|judged| **judged == Judged::Folded).count(), SAGAS_MAX);
        assert_eq!(judged.last(), Some(&Judged::Wait));
        assert_eq!(folds.due(), Some(Timestamp(1_000_000)), "sent at once, to make room");
    }

    #[test]
    fn a_tenure_that_is_over_takes_its_share_with_it() {
        let mut folds = Folds::default();
        judge(&mut folds, LANE, 1..13, 1_000_000);
        judge(&mut folds, OTHER, 1..2, 1_000_000);
        folds.forget(LANE);
        let (_, fold) = folds.begin(Timestamp(1_000_000) + PERIOD).unwrap();
        assert_eq!((fold.count(), folds.first_of(LANE)), (1, None));
        folds.forget(OTHER);
        let mut folds = Folds::default();
        judge(&mut folds, LANE, 1..13, 1_000_000);
        folds.forget(LANE);
        assert_eq!(folds.due(), None, "nothing is left to be told");
    }
}
