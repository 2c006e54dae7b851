//! Settling an unknown outcome by asking (design §4, `query`).
//!
//! Invariant: "not found" means not yet, never "rejected", since an earlier call may still be on its way; so the action is sent
//! again with the same key. A query runs only while its action is `Asking`.

use std::time::Duration;

use crate::ids::{Operation, StepIndex};
use crate::outcome::{Doubt, Outcome, Why};
use crate::saga::OperationStatus;

use super::turn::Turn;

impl Turn {
    /// Lets the step's query find out.
    pub(super) fn ask_query(&mut self, step: StepIndex, after: Duration) {
        self.set(step, Operation::Action, OperationStatus::Asking);
        self.op_mut(step, Operation::Query).failures = 0;
        self.plan(step, Operation::Query, self.now + after);
    }

    pub(super) fn settle_query(&mut self, step: StepIndex, outcome: &Outcome, retry_after: Duration) {
        if self.op(step, Operation::Action).status != OperationStatus::Asking {
            return self.set(step, Operation::Query, OperationStatus::Idle);
        }
        let in_time = self.saga.within_end(step).is_none_or(|end| self.now < end);
        match outcome {
            Outcome::Succeeded(output) => self.succeed(step, Operation::Action, output),
            Outcome::Pending if in_time => {
                self.set(step, Operation::Query, OperationStatus::Idle);
                self.set(step, Operation::Action, OperationStatus::Pending { since: self.now });
            }
            Outcome::NotFound(why) => self.send_again(step, why),
            // Our fault, or nobody's: the question was not answered badly, it was not asked.
            Outcome::NotSent(_) | Outcome::Unknown { doubt: Doubt::StaleEpoch | Doubt::OwnerLost, .. } if in_time => {
                self.plan(step, Operation::Query, self.now + retry_after);
            }
            Outcome::Pending | Outcome::NotSent(_) | Outcome::Rejected { .. } | Outcome::Unknown { .. } => {
                self.op_mut(step, Operation::Query).failures += 1;
                if self.is_out_of_attempts(step, Operation::Query) {
                    self.query_gave_nothing(step);
                } else {
                    self.plan(step, Operation::Query, self.now + retry_after);
                }
            }
        }
    }

    /// The query couldn't tell: the action itself is tried again, within its budget.
    pub(super) fn query_gave_nothing(&mut self, step: StepIndex) {
        let why = self.op(step, Operation::Action).last.as_ref().map(|last| last.why.clone()).unwrap_or_default();
        self.send_again(step, &why);
    }

    /// Whatever was sent before may still have its effect, also where it had been pending and never in doubt.
    fn send_again(&mut self, step: StepIndex, why: &Why) {
        self.set(step, Operation::Query, OperationStatus::Idle);
        self.op_mut(step, Operation::Action).uncertain = true;
        self.retry_action(step, why, Duration::ZERO);
    }
}
