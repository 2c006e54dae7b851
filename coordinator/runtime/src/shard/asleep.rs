//! Sagas that wait, when there are many: of each only a note is kept, and it is read from the store again when it may go on.
//!
//! A note is its key, when to look at it, its places in participants' queues, and what it waits for, for the counts; some hundred
//! bytes where the saga has thousands. Whatever is to be done to a saga wakes it by the road that every saga takes that isn't in
//! memory. Invariants: a key is a resident, being read, asleep, or none of these, never two of them; nothing sleeps whose commit
//! or call is under way; a place in a queue is kept through sleeping and waking; of those that wake by the clock or by the
//! release of their definition only a few are read at a time.

use amends_engine::event::Event;
use amends_engine::ids::SagaKey;
use amends_engine::saga::Saga;
use amends_engine::standing::{self, WaitingReason};
use amends_engine::time::Timestamp;
use std::time::Duration;

use super::admission::{Admissions, Kept};
use super::owner::Owner;
use super::resident::{Resident, Work};
use super::telling::is_moving;

/// Who is due sooner than this isn't put to sleep: it would only be read again.
const SOON: Duration = Duration::from_secs(1);

/// Most sagas of a shard that are being read when the clock wakes another one.
const READS_MAX: usize = 64;

/// A saga that sleeps.
#[derive(Debug)]
pub(crate) struct Asleep {
    kept: Kept,
    timer: Option<Timestamp>,
    /// The first reason that will end.
    pub(super) waits: Option<WaitingReason>,
    /// Neither stuck nor paused.
    pub(super) moving: bool,
}

impl Asleep {
    fn of(saga: &Saga, admissions: Admissions, timer: Option<Timestamp>) -> Self {
        Self {
            kept: admissions.keep(),
            timer,
            waits: standing::waiting(saga).map(|waiting| waiting.reason),
            moving: is_moving(standing::status(saga)),
        }
    }
}

impl Owner<'_> {
    /// Puts a saga to sleep that has been settled and waits, if enough are awake.
    pub(super) fn may_sleep(&mut self, key: &SagaKey) {
        if self.residents.len() <= self.context.config.awake_max {
            return;
        }
        let soon = self.context.seams.now() + SOON;
        let waits =
            |it: &Resident| it.calls.is_empty() && !it.admissions.may_go_any() && it.timer.is_none_or(|due| due > soon);
        if !self.residents.get(key).is_some_and(|resident| waits(resident)) {
            return;
        }
        // Its place among the timers stays.
        let Some(resident) = self.residents.remove(key) else { return };
        let Resident { saga, admissions, timer, .. } = *resident;
        self.asleep.insert(key.clone(), Asleep::of(&saga, admissions, timer));
    }

    /// Takes a saga from those that sleep, with what it had in participants' queues.
    pub(super) fn awaken(&mut self, key: &SagaKey) -> Option<Admissions> {
        let asleep = self.asleep.remove(key)?;
        if let Some(due) = asleep.timer {
            self.timers.remove(&(due, key.clone()));
        }
        Some(Admissions::again(asleep.kept))
    }

    /// Whether the clock must wait before it wakes another one.
    pub(super) fn reads_enough(&self) -> bool {
        self.loading.len() >= READS_MAX
    }

    /// What a saga has in participants' queues, unless it is nowhere in memory.
    pub(super) fn with_admissions<T>(&mut self, key: &SagaKey, change: impl FnOnce(&mut Admissions) -> T) -> Option<T> {
        if let Some(admissions) = self.awaken(key) {
            self.load(key.clone(), Vec::new(), admissions);
        }
        let resident = self.residents.get_mut(key).map(|resident| &mut resident.admissions);
        resident.or_else(|| self.loading.get_mut(key).map(|loading| &mut loading.admissions)).map(change)
    }

    /// The definition of a saga isn't paused any more. What the saga waits for is due now, or has its own timer once it is read.
    pub(super) fn released(&mut self, key: &SagaKey) {
        if self.leaving.is_some() {
            return;
        }
        if let Some(resident) = self.residents.get_mut(key) {
            resident.admissions.go_on();
            return self.work(key, Work::event(Event::Due));
        }
        if let Some(loading) = self.loading.get_mut(key) {
            loading.admissions.go_on();
            return loading.waiting.push(Work::event(Event::Due));
        }
        // All sagas of the definition at once: the clock wakes them.
        let now = self.context.seams.now();
        let mut admissions = self.awaken(key).unwrap_or_default();
        admissions.go_on();
        let asleep = Asleep { kept: admissions.keep(), timer: Some(now), waits: None, moving: false };
        self.timers.insert((now, key.clone()));
        self.asleep.insert(key.clone(), asleep);
    }
}
