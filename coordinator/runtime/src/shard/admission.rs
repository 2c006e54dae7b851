//! What one saga may call, and what it waits for: permits and places in participants' queues.
//!
//! It decides nothing: `participant/protection` does. Invariants: an attempt begins with a permit or not at all, and the permit
//! goes with its call; an operation has one place in one queue at most, and none once the saga doesn't want it any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_engine::Attempt;
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::saga::{OperationStatus, Saga};
use amends_engine::time::Timestamp;
use tokio::sync::mpsc;

use crate::holds::Holds;
use crate::participant::protection::{Admission, Permit, Protection, Ticket, Wanted};

use super::ShardEvent;
use super::resident::CallId;
use super::supervise::Shared;

/// An operation that has been held back.
#[derive(Debug)]
enum Held {
    /// It is in the queue.
    Waits(#[expect(dead_code, reason = "kept so that its place is kept")] Ticket),
    /// Its turn has come; its attempt hasn't begun yet.
    MayGo(Permit),
    /// Its definition is paused.
    Paused,
}

/// The permits and places of one saga.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    held: BTreeMap<(StepIndex, Operation), Held>,
    permits: BTreeMap<CallId, Permit>,
}

/// What of it is kept of a saga that sleeps: no more than it is.
#[derive(Debug)]
pub(crate) struct Kept(Box<[((StepIndex, Operation), Held)]>);

/// Where to ask.
pub(crate) struct Door<'a> {
    protection: &'a Arc<Protection>,
    holds: &'a Holds,
    events: &'a mpsc::UnboundedSender<ShardEvent>,
}

impl<'a> Door<'a> {
    pub(crate) fn new(shared: &'a Shared, events: &'a mpsc::UnboundedSender<ShardEvent>) -> Self {
        Self { protection: &shared.protection, holds: &shared.holds, events }
    }
}

impl Admissions {
    /// For a saga that goes to sleep. It has no permits.
    pub(crate) fn keep(self) -> Kept {
        Kept(self.held.into_iter().collect())
    }

    /// For a saga that wakes.
    pub(crate) fn again(kept: Kept) -> Self {
        Self { held: kept.0.into_iter().collect(), permits: BTreeMap::new() }
    }

    /// Whether an attempt may begin now. Where it may not, its saga is told when it may.
    pub(crate) fn admit(&mut self, attempt: Attempt<'_>, door: &Door<'_>, now: Timestamp) -> bool {
        let Attempt { saga, step, operation, number } = attempt;
        let place = (step, operation);
        let head = &saga.state.head;
        if door.holds.must_wait(&head.key, &head.definition, door.events) {
            // A place in the participant's queue, or a permit, is given up for it.
            self.held.insert(place, Held::Paused);
            return false;
        }
        let permit = match self.held.remove(&place) {
            Some(Held::MayGo(permit)) => permit,
            Some(waits @ Held::Waits(_)) => {
                self.held.insert(place, waits);
                return false;
            }
            Some(Held::Paused) | None => match door.protection.ask(wanted(saga, step, operation, now), door.events) {
                Admission::Now(permit) => permit,
                Admission::Later(ticket) => {
                    self.held.insert(place, Held::Waits(ticket));
                    return crate::planted::is("held_attempt_begins");
                }
            },
        };
        self.permits.insert((step, operation, number), permit);
        true
    }

    /// Its turn has come. False: it doesn't wait any more.
    pub(crate) fn may_go(&mut self, step: StepIndex, operation: Operation, permit: Permit) -> bool {
        let Some(held) = self.held.get_mut(&(step, operation)) else { return false };
        *held = Held::MayGo(permit);
        true
    }

    /// Its definition isn't paused any more.
    pub(crate) fn go_on(&mut self) {
        self.held.retain(|_, held| !matches!(held, Held::Paused));
    }

    /// Whether an attempt of it may begin, and hasn't.
    pub(crate) fn may_go_any(&self) -> bool {
        self.held.values().any(|held| matches!(held, Held::MayGo(_)))
    }

    /// Whether its definition holds back anything of it.
    pub(crate) fn is_paused(&self) -> bool {
        self.held.values().any(|held| matches!(held, Held::Paused))
    }

    /// The permit of an attempt that has begun.
    pub(crate) fn take(&mut self, call: CallId) -> Option<Permit> {
        self.permits.remove(&call)
    }

    pub(crate) fn is_held(&self, step: StepIndex, operation: Operation) -> bool {
        self.held.contains_key(&(step, operation))
    }

    /// Whether it has a place or a permit that it would lose with its place in memory.
    pub(crate) fn holds_any(&self) -> bool {
        self.held.values().any(|held| !matches!(held, Held::Paused))
    }

    /// Leaves the queues in which the saga has nothing to wait for any more, and gives back what it doesn't use. Only between
    /// commits.
    pub(crate) fn tidy(&mut self, saga: &Saga) {
        let parked = saga.is_parked();
        self.held.retain(|(step, operation), _| {
            let waits = matches!(saga.operation(*step, *operation).status, OperationStatus::Retry { .. });
            waits && !parked && saga.is_live(*step, *operation)
        });
        self.permits.clear();
    }
}

fn wanted(saga: &Saga, step: StepIndex, operation: Operation, now: Timestamp) -> Wanted {
    let key = &saga.state.head.key;
    let state = saga.operation(step, operation);
    Wanted {
        whom: (key.namespace.clone(), saga.definition.step(step).participant.clone()),
        who: (key.clone(), step, operation),
        due: now,
        // What a lost owner sent, and what never left, isn't held against it.
        retry: state.failures > 0,
    }
}
