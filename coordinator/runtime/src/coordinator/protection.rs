//! What the runtime's front says of participants' breakers and limits, and of sagas that wait for them.
//!
//! Only this node's, from memory: what is held back is nowhere else. Invariant: nothing is changed here.

use amends_engine::ids::{Namespace, Operation, ParticipantName, StepIndex};
use amends_engine::saga::{OperationStatus, Saga};
use amends_engine::standing::{self, Waiting};

use crate::participant::protection::Standing;

use super::Coordinator;

impl Coordinator {
    /// How a participant is called on this node now, and how many living nodes share its limits.
    pub fn protection(&self, namespace: &Namespace, participant: &ParticipantName) -> (Standing, usize) {
        let protection = &self.inner.protection;
        (protection.standing(&(namespace.clone(), participant.clone())), protection.nodes())
    }

    /// How every participant that this node has called is called now: what metrics are made of. Counters only grow; they begin
    /// anew with the node.
    pub fn protections(&self) -> Vec<((Namespace, ParticipantName), Standing)> {
        self.inner.protection.all()
    }

    /// All that an open saga waits for: as [`standing::waits`], what its participants' breakers and limits hold back, or that its definition is paused, as far
    /// as this node has the saga.
    pub fn waits(&self, saga: &Saga) -> Vec<Waiting> {
        if let Some(held) = self.held_by_definition(saga) {
            return vec![held];
        }
        let held = self.held(saga);
        let mut waits = standing::waits(saga);
        waits.retain(|waiting| !held.iter().any(|it| (it.step, it.operation) == (waiting.step, waiting.operation)));
        waits.extend(held);
        waits.sort_by_key(|waiting| (waiting.until.is_none(), waiting.until));
        waits
    }

    fn held(&self, saga: &Saga) -> Vec<Waiting> {
        let key = &saga.state.head.key;
        let now = self.inner.seams.now();
        let operations = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];
        let places = saga.definition.indices().flat_map(|step| operations.map(|operation| (step, operation)));
        let is_due = |(step, operation): &(StepIndex, Operation)| matches!(saga.operation(*step, *operation).status, OperationStatus::Retry { due } if due <= now);
        let held = places.filter(is_due).filter_map(|(step, operation)| {
            let whom = (key.namespace.clone(), saga.definition.step(step).participant.clone());
            let (reason, since, until) = self.inner.protection.why(&whom, &(key.clone(), step, operation))?;
            Some(Waiting { reason, step: Some(step), operation: Some(operation), since, until })
        });
        if saga.is_parked() { Vec::new() } else { held.collect() }
    }
}
