//! Attempts that would begin and are held back: by a participant's breaker or limits, which only whoever drives the saga knows.
//!
//! It decides nothing about admission. Invariant: an attempt that is held back leaves no trace but a due time: its number, its
//! budget, its step's time and its intent are as if it had never been thought of, so that a crash can't take it for sent.

use crate::ids::{Operation, StepIndex};
use crate::saga::{OperationState, OperationStatus, Saga};

use super::turn::Turn;

/// An attempt that would begin now.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The saga, with this attempt begun.
    pub saga: &'a Saga,
    /// Of which step.
    pub step: StepIndex,
    /// Of which operation.
    pub operation: Operation,
    /// Its number.
    pub number: u32,
}

/// The state that an operation had; a step that a new version of the definition has brought had none.
fn earlier(before: &Saga, step: StepIndex, operation: Operation) -> &OperationState {
    before.state.steps.get(step.get()).map_or(&OperationState::IDLE, |state| state.operation(operation))
}

impl Turn {
    /// Asks for every attempt that has begun since `before`, and takes back those that aren't admitted.
    pub(super) fn hold_back(&mut self, before: &Saga, admit: &mut dyn FnMut(Attempt<'_>) -> bool) {
        for (step, operation) in self.begun_since(before) {
            let number = self.op(step, operation).attempt;
            if !admit(Attempt { saga: &self.saga, step, operation, number }) {
                self.take_back(before, step, operation);
            }
        }
    }

    fn begun_since(&self, before: &Saga) -> Vec<(StepIndex, Operation)> {
        let operations = crate::outstanding::OPERATIONS;
        let all = self.definition().indices().flat_map(|step| operations.map(|operation| (step, operation)));
        let is_new = |(step, operation): &(StepIndex, Operation)| {
            let (now, then) = (self.op(*step, *operation), earlier(before, *step, *operation));
            now.is_in_flight() && (!then.is_in_flight() || then.attempt != now.attempt)
        };
        all.filter(is_new).collect()
    }

    fn take_back(&mut self, before: &Saga, step: StepIndex, operation: Operation) {
        let due = match earlier(before, step, operation).status {
            // It waits already: its place among those that wait is that of its due time.
            OperationStatus::Retry { due } => due.min(self.now),
            OperationStatus::Idle
            | OperationStatus::Ready
            | OperationStatus::InFlight { .. }
            | OperationStatus::Asking
            | OperationStatus::Pending { .. }
            | OperationStatus::Succeeded
            | OperationStatus::Rejected
            | OperationStatus::GaveUp
            | OperationStatus::Skipped(_)
            | OperationStatus::Stuck { .. } => self.now,
        };
        let state = self.op_mut(step, operation);
        state.attempt -= 1;
        if state.attempt == 0 {
            state.begun_at = None;
        }
        state.status = OperationStatus::Retry { due };
    }
}
