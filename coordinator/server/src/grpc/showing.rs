//! A saga as this node sees it: what is stored, and what only the node knows of what holds it up.
//!
//! Breakers, limits, paused definitions and frozen shards are in no state. Invariant: every surface shows the same words for it,
//! since all are made here.

use amends_proto::v1;
use amends_runtime::{Listed, Place, Snapshot};

use super::Api;
use super::to_proto::{self, View};

impl Api {
    /// A saga, all of it.
    pub(super) fn show(&self, snapshot: &Snapshot) -> v1::Saga {
        self.show_as(snapshot, View::Full)
    }

    /// A saga of a list.
    pub(super) fn show_listed(&self, listed: &Listed) -> v1::Saga {
        match listed {
            Listed::Saga(snapshot) => self.show_as(snapshot, View::Listed),
            Listed::Unreadable { saga, status } => to_proto::unreadable(saga, status),
        }
    }

    pub(super) fn show_as(&self, snapshot: &Snapshot, view: View) -> v1::Saga {
        let (saga, coordinator) = (&snapshot.saga, &self.coordinator);
        let mut shown = to_proto::saga(snapshot, view);
        if saga.state.phase.is_terminal() {
            return shown;
        }
        let head = &saga.state.head;
        shown.why = coordinator.why(saga);
        shown.waiting = to_proto::waits(&coordinator.waits(saga), saga);
        let hold = coordinator.holds().of(&head.key.namespace, &head.definition);
        if let Some(hold) = hold.filter(|_| saga.state.paused.is_none()) {
            for waiting in shown.waiting.iter_mut().filter(|it| it.reason() == v1::WaitingReason::Paused) {
                waiting.message = format!("definition {} is paused: {}", head.definition, hold.by.reason);
            }
        }
        if let Place::Frozen(lost) = coordinator.place(&head.key) {
            // Before whatever else it waits for: that won't come.
            shown.waiting.insert(0, to_proto::frozen(&lost));
        }
        shown
    }
}
