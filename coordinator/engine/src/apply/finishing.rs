//! What the outcome of a compensation's or a confirm's attempt leads to.
//!
//! Neither is ever given up in silence: out of attempts it is stuck (design §4). Invariant: "not found" counts as undone only
//! for an action that is not known to have succeeded, and of which nothing can still be under way.

use std::time::Duration;

use crate::ids::{Operation, StepIndex};
use crate::outcome::{Doubt, Outcome, Why};
use crate::saga::{OperationStatus, StuckReason};

use super::turn::Turn;

impl Turn {
    pub(super) fn settle_finishing(
        &mut self,
        step: StepIndex,
        operation: Operation,
        outcome: &Outcome,
        retry_after: Duration,
    ) {
        match outcome {
            Outcome::Succeeded(output) => self.succeed(step, operation, output),
            Outcome::NotFound(_) if self.has_nothing_to_undo(step, operation) => {
                self.set(step, operation, OperationStatus::Succeeded);
            }
            Outcome::Pending => self.set(step, operation, OperationStatus::Pending { since: self.now }),
            Outcome::Unknown { doubt: Doubt::KeyReused, why } => {
                self.get_stuck(step, operation, StuckReason::KeyReused, why.clone());
            }
            Outcome::Unknown { doubt: Doubt::RowMissing, why } => {
                self.get_stuck(step, operation, StuckReason::BarrierRowMissing, why.clone());
            }
            Outcome::NotSent(_) | Outcome::Unknown { doubt: Doubt::StaleEpoch | Doubt::OwnerLost, .. } => {
                self.plan(step, operation, self.now + retry_after);
            }
            Outcome::Rejected { why, .. } | Outcome::NotFound(why) | Outcome::Unknown { why, .. } => {
                self.retry_finishing(step, operation, why, retry_after);
            }
        }
    }

    /// Whether "not found" means that there is nothing to undo. The effect of a pending action may still come.
    pub(super) fn has_nothing_to_undo(&self, step: StepIndex, operation: Operation) -> bool {
        let action = self.op(step, Operation::Action).status;
        let may_come = matches!(action, OperationStatus::Succeeded | OperationStatus::Pending { .. });
        operation == Operation::Compensate && !may_come
    }

    /// Plans the next attempt of a compensation or confirm, or gets stuck where they are used up.
    pub(super) fn retry_finishing(&mut self, step: StepIndex, operation: Operation, why: &Why, after: Duration) {
        self.op_mut(step, operation).failures += 1;
        if self.is_out_of_attempts(step, operation) {
            let reason = self.reason_for_giving_up(step, operation);
            return self.get_stuck(step, operation, reason, why.clone());
        }
        self.plan(step, operation, self.now + after);
    }
}
