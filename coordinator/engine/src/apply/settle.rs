//! What the outcome of an action's attempt leads to.
//!
//! The heart of the machine: a time-out is never a failure, and a refusal clears doubt only if the participant promises that it
//! is final. Invariants: semantics A1, A2, A3, A8. Queries are in `query.rs`, compensations and confirms in `finishing.rs`.

use std::time::Duration;

use crate::facts::{PivotGate, StepEffect};
use crate::ids::{Operation, StepIndex};
use crate::outcome::{Doubt, Outcome, OutcomeKind, Why};
use crate::outstanding::ANSWER_MARGIN;
use crate::planted::{self, Bug};
use crate::saga::{Cause, OperationStatus, Phase, StuckReason};
use crate::time::Timestamp;

use super::turn::Turn;

impl Turn {
    /// The outstanding attempt of an operation ended.
    pub(super) fn settle(&mut self, step: StepIndex, operation: Operation, outcome: &Outcome, retry_after: Duration) {
        self.note_silence(step, operation, outcome);
        match operation {
            Operation::Action => self.settle_action(step, outcome, retry_after),
            Operation::Query => self.settle_query(step, outcome, retry_after),
            Operation::Compensate | Operation::Confirm => self.settle_finishing(step, operation, outcome, retry_after),
        }
    }

    /// Without an answer the request may still be on its way until its own deadline. A lost owner may have sent it as late as
    /// its lease ended, which was before this load: then the attempt's time counts from now (semantics A18).
    fn note_silence(&mut self, step: StepIndex, operation: Operation, outcome: &Outcome) {
        let Outcome::Unknown { doubt, .. } = outcome else { return };
        let OperationStatus::InFlight { deadline } = self.op(step, operation).status else { return };
        let timeout = self.policy(step, operation).map_or(Duration::ZERO, |policy| policy.attempt_timeout);
        let quiet_at = match doubt {
            Doubt::OwnerLost => deadline.max(self.now + timeout + ANSWER_MARGIN),
            Doubt::NoAnswer
            | Doubt::Broken
            | Doubt::Code
            | Doubt::Unreadable
            | Doubt::Misconfigured
            | Doubt::KeyReused
            | Doubt::RowMissing
            | Doubt::StaleEpoch => deadline,
        };
        let state = self.op_mut(step, operation);
        state.quiet_at = state.quiet_at.max(Some(quiet_at));
    }

    fn settle_action(&mut self, step: StepIndex, outcome: &Outcome, retry_after: Duration) {
        let operation = Operation::Action;
        match outcome {
            Outcome::Succeeded(output) => self.succeed(step, operation, output),
            Outcome::Pending => self.set(step, operation, OperationStatus::Pending { since: self.now }),
            Outcome::Rejected { why, last_word } => self.action_rejected(step, why, *last_word),
            Outcome::NotFound(why) => self.action_rejected(step, why, false),
            Outcome::Unknown { doubt: Doubt::KeyReused, why } => self.action_key_reused(step, why),
            Outcome::Unknown { why, .. } if planted::is(Bug::UnknownReadAsRejected) => {
                self.action_rejected(step, why, true);
            }
            Outcome::Unknown { doubt, why } => self.action_in_doubt(step, *doubt, why, retry_after),
            Outcome::NotSent(why) => self.retry_action(step, why, retry_after),
        }
    }

    pub(super) fn action_rejected(&mut self, step: StepIndex, why: &Why, last_word: bool) {
        self.note_refusal(step, Operation::Action, last_word);
        self.set(step, Operation::Action, OperationStatus::Rejected);
        if self.saga.state.phase == Phase::Running {
            self.fail(step, Cause::Rejected(step), why.clone());
        }
    }

    /// Only a final refusal says something about other attempts (semantics A2), and only before the compensation was called:
    /// from then on the participant may refuse because of that, and an earlier copy may have had its effect all the same.
    pub(super) fn note_refusal(&mut self, step: StepIndex, operation: Operation, last_word: bool) {
        if operation == Operation::Action && self.is_compensation_begun(step) {
            self.op_mut(step, operation).uncertain = true;
        } else if last_word {
            self.op_mut(step, operation).uncertain = false;
        }
    }

    pub(super) fn is_compensation_begun(&self, step: StepIndex) -> bool {
        self.op(step, Operation::Compensate).attempt > 0
    }

    /// The key belongs to another request, so every copy of ours is refused: nothing of ours can stand.
    fn action_key_reused(&mut self, step: StepIndex, why: &Why) {
        self.note_refusal(step, Operation::Action, true);
        if self.saga.state.phase == Phase::Running {
            self.get_stuck(step, Operation::Action, StuckReason::KeyReused, why.clone());
        } else {
            self.set(step, Operation::Action, OperationStatus::Rejected);
        }
    }

    fn action_in_doubt(&mut self, step: StepIndex, doubt: Doubt, why: &Why, retry_after: Duration) {
        let state = self.op_mut(step, Operation::Action);
        state.uncertain = true;
        // A stale epoch is our own fault and a lost owner nobody's: neither uses up an attempt.
        if !matches!(doubt, Doubt::StaleEpoch | Doubt::OwnerLost) {
            state.failures += 1;
        }
        let can_ask = self.policy(step, Operation::Query).is_some() && doubt != Doubt::Misconfigured;
        if can_ask && self.saga.state.phase == Phase::Running {
            self.ask_query(step, retry_after);
        } else {
            self.retry_action(step, why, retry_after);
        }
    }

    /// Plans the next attempt of an action, or gives it up where its attempts or its time are used up.
    pub(super) fn retry_action(&mut self, step: StepIndex, why: &Why, retry_after: Duration) {
        if self.saga.state.phase != Phase::Running {
            self.set(step, Operation::Action, OperationStatus::GaveUp);
            return;
        }
        let due = self.now + retry_after;
        let out_of_time = self.saga.within_end(step).is_some_and(|end| due >= end);
        if out_of_time || self.is_out_of_attempts(step, Operation::Action) {
            self.set(step, Operation::Action, OperationStatus::GaveUp);
            self.fail(step, Cause::GaveUp(step), why.clone());
            return;
        }
        self.plan(step, Operation::Action, due);
    }

    /// Plans the next attempt, and says so in the entry that led to it.
    pub(super) fn plan(&mut self, step: StepIndex, operation: Operation, due: Timestamp) {
        self.set(step, operation, OperationStatus::Retry { due });
        if let Some(entry) = self.history.last_mut() {
            entry.next_due = Some(due);
        }
    }

    pub(super) fn is_out_of_attempts(&self, step: StepIndex, operation: Operation) -> bool {
        let limit = self.policy(step, operation).map_or(0, |policy| policy.max_attempts);
        self.op(step, operation).failures >= limit && !planted::is(Bug::RetryLimitIgnored)
    }

    /// An action has failed for good: turn back where that is still possible, else get stuck (design §4, Pivot).
    pub(super) fn fail(&mut self, step: StepIndex, cause: Cause, why: Why) {
        let is_pivot = self.definition().pivot() == Some(step);
        if is_pivot && self.saga.action_effect(step) != StepEffect::None {
            return self.get_stuck(step, Operation::Action, StuckReason::PivotUnknown, why);
        }
        match self.saga.pivot_gate() {
            PivotGate::Open => self.decide_to_compensate(cause),
            PivotGate::InDoubt | PivotGate::Passed => {
                let reason = self.reason_after_pivot(step, &cause);
                self.get_stuck(step, Operation::Action, reason, why);
            }
        }
    }

    fn reason_after_pivot(&self, step: StepIndex, cause: &Cause) -> StuckReason {
        match cause {
            Cause::Rejected(_) => StuckReason::RejectedAfterPivot,
            Cause::ExpressionFailed(_) => StuckReason::ExpressionFailed,
            Cause::GaveUp(_) | Cause::Cancelled(_) | Cause::Deadline | Cause::ResolvedAsNotHappened(_) => {
                self.reason_for_giving_up(step, Operation::Action)
            }
        }
    }

    pub(super) fn reason_for_giving_up(&self, step: StepIndex, operation: Operation) -> StuckReason {
        match self.op(step, operation).last.as_ref().map(|last| last.kind) {
            Some(OutcomeKind::Unknown(Doubt::Misconfigured)) => StuckReason::Misconfigured,
            Some(OutcomeKind::Rejected | OutcomeKind::NotFound) if operation == Operation::Compensate => {
                StuckReason::CompensationRefused
            }
            Some(OutcomeKind::Rejected | OutcomeKind::NotFound) if operation == Operation::Confirm => {
                StuckReason::ConfirmRefused
            }
            Some(_) | None => StuckReason::RetriesExhausted,
        }
    }
}
