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

use crate::participant::protection::{Admission, Permit, Protection, Ticket, Wanted};

use super::ShardEvent;
use super::resident::CallId;

/// An operation that has been held back.
#[derive(Debug)]
enum Held {
    /// It is in the queue.
    Waits(#[expect(dead_code, reason = "kept so that its place is kept")] Ticket),
    /// Its turn has come; its attempt hasn't begun yet.
    MayGo(Permit),
}

/// The permits and places of one saga.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    held: BTreeMap<(StepIndex, Operation), Held>,
    permits: BTreeMap<CallId, Permit>,
}

/// Where to ask.
pub(crate) struct Door<'a> {
    pub(crate) protection: &'a Arc<Protection>,
    pub(crate) events: &'a mpsc::UnboundedSender<ShardEvent>,
}

impl Admissions {
    /// Whether an attempt may begin now. Where it may not, its saga is told when it may.
    pub(crate) fn admit(&mut self, attempt: Attempt<'_>, door: &Door<'_>, now: Timestamp) -> bool {
        let Attempt { saga, step, operation, number } = attempt;
        let place = (step, operation);
        let permit = match self.held.remove(&place) {
            Some(Held::MayGo(permit)) => permit,
            Some(waits @ Held::Waits(_)) => {
                self.held.insert(place, waits);
                return false;
            }
            None => match door.protection.ask(wanted(saga, step, operation, now), door.events) {
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

    /// The permit of an attempt that has begun.
    pub(crate) fn take(&mut self, call: CallId) -> Option<Permit> {
        self.permits.remove(&call)
    }

    pub(crate) fn is_held(&self, step: StepIndex, operation: Operation) -> bool {
        self.held.contains_key(&(step, operation))
    }

    pub(crate) fn holds_any(&self) -> bool {
        !self.held.is_empty()
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
