//! An attempt's answer: the outstanding one, a late one, or one that comes after an operator stopped the saga.
//!
//! What the outstanding attempt's outcome leads to is in `settle.rs`, `query.rs` and `finishing.rs`. Invariants: a late success
//! is a fact but never progress after a decision; a late refusal says something about other attempts only if the participant
//! promises that refusals are final (semantics A1, A2).

use crate::event::Event;
use crate::facts::StepEffect;
use crate::history::Change;
use crate::ids::{Operation, StepIndex};
use crate::outcome::{CallFacts, Doubt, Outcome, OutcomeKind, Why};
use crate::payload::Payload;
use crate::planted::{self, Bug};
use crate::saga::OperationStatus;

use super::turn::Turn;
use super::{Decided, Ignored, IllegalEvent};

/// One attempt: step, operation, number.
pub(super) type Attempt = (StepIndex, Operation, u32);

/// An answer to an open saga.
pub(super) fn answered(turn: &mut Turn, event: &Event) -> Decided {
    let Event::Answered { step, operation, attempt, outcome, retry_after, call } = event else {
        return Ok(Some(Ignored::Stale));
    };
    let (step, operation) = (*step, *operation);
    check_made(turn, step, operation, *attempt)?;
    let state = turn.op(step, operation);
    if state.is_in_flight() && state.attempt == *attempt {
        turn.record_answer(Change::AttemptEnded(outcome.kind()), (step, operation, *attempt), outcome, Some(call));
        turn.settle(step, operation, outcome, *retry_after);
        return Ok(None);
    }
    turn.late_answer((step, operation, *attempt), outcome, call)
}

/// An answer to a saga that an operator stopped: it corrects the residue, nothing more.
pub(super) fn after_force_stop(turn: &mut Turn, event: &Event) -> Decided {
    let Event::Answered { step, operation, attempt, outcome, call, .. } = event else {
        return Ok(Some(Ignored::Ended));
    };
    let (step, operation) = (*step, *operation);
    check_made(turn, step, operation, *attempt)?;
    let state = turn.op(step, operation);
    let current = state.is_in_flight() && state.attempt == *attempt;
    let settled = turn.op(step, effect_of(operation)).status == OperationStatus::Succeeded;
    let says_something =
        current || matches!(outcome, Outcome::Succeeded(_)) || turn.ends_doubt(step, operation, outcome);
    if settled || !says_something {
        return Ok(Some(Ignored::Stale));
    }
    turn.record_answer(Change::LateAnswer(outcome.kind()), (step, operation, *attempt), outcome, Some(call));
    turn.correct_residue(step, operation, outcome);
    Ok(None)
}

fn check_made(turn: &Turn, step: StepIndex, operation: Operation, attempt: u32) -> Result<(), IllegalEvent> {
    let made = turn.op(step, operation).attempt;
    if attempt == 0 || attempt > made { Err(IllegalEvent::NeverMade(attempt)) } else { Ok(()) }
}

/// The operation whose effect an answer speaks of: a query speaks of its action.
fn effect_of(operation: Operation) -> Operation {
    match operation {
        Operation::Query => Operation::Action,
        Operation::Action | Operation::Compensate | Operation::Confirm => operation,
    }
}

impl Turn {
    /// An answer to an attempt that no longer counts. A success is a fact all the same; a refusal says nothing about the
    /// attempts that came after it, unless it is final.
    fn late_answer(&mut self, attempt: Attempt, outcome: &Outcome, call: &CallFacts) -> Decided {
        let (step, operation, _) = attempt;
        let target = effect_of(operation);
        let change = Change::LateAnswer(outcome.kind());
        match outcome {
            Outcome::Succeeded(output) if self.op(step, target).status == OperationStatus::Succeeded => {
                return Ok(self.repeated_success(attempt, output));
            }
            Outcome::Succeeded(output) => {
                self.record_answer(change, attempt, outcome, Some(call));
                if matches!(self.op(step, target).status, OperationStatus::Skipped(_)) {
                    self.undo_again(step);
                } else {
                    self.turned_out_well(step, target, output);
                }
            }
            Outcome::Rejected { why, last_word: true } if operation == Operation::Action => {
                self.record_late(change, attempt, outcome, call);
                self.refused_for_good(step, why);
            }
            Outcome::Rejected { why, .. } if operation == Operation::Action && planted::is(Bug::LateRefusalClears) => {
                self.record_late(change, attempt, outcome, call);
                self.refused_for_good(step, why);
            }
            Outcome::Rejected { .. } | Outcome::NotFound(_) => self.record_late(change, attempt, outcome, call),
            Outcome::Pending | Outcome::Unknown { .. } | Outcome::NotSent(_) => return Ok(Some(Ignored::Stale)),
        }
        Ok(None)
    }

    /// For the history only: what lists show is still the outcome of the attempt that counts.
    fn record_late(
        &mut self,
        change: Change,
        (step, operation, attempt): Attempt,
        outcome: &Outcome,
        call: &CallFacts,
    ) {
        let entry = self.record_at(change, step, operation);
        entry.attempt = Some(attempt);
        entry.why = outcome.why();
        entry.call = Some(call.clone());
    }

    fn repeated_success(&mut self, (step, operation, attempt): Attempt, output: &Payload) -> Option<Ignored> {
        // A query's reply need not be the action's, so it isn't compared.
        if operation == Operation::Query || self.op(step, operation).output == Some(output.digest()) {
            return Some(Ignored::Duplicate);
        }
        self.saga.state.nondeterministic += 1;
        self.record_at(Change::Nondeterministic, step, operation).attempt = Some(attempt);
        None
    }

    /// An operation is known to have succeeded, though its outstanding attempt, if there is one, has not answered.
    pub(super) fn turned_out_well(&mut self, step: StepIndex, operation: Operation, output: &Payload) {
        self.note_overtaken(step, operation);
        self.succeed(step, operation, output);
        if operation == Operation::Action {
            self.undo_again(step);
        }
    }

    /// Something else settled the operation while an attempt is out: it may be on its way until its own deadline.
    pub(super) fn note_overtaken(&mut self, step: StepIndex, operation: Operation) {
        let state = self.op_mut(step, operation);
        if let OperationStatus::InFlight { deadline } = state.status {
            state.quiet_at = state.quiet_at.max(Some(deadline));
        }
    }

    /// The compensation had found nothing to undo, and now the action turns out to have had its effect after all: undone anew.
    fn undo_again(&mut self, step: StepIndex) {
        let compensate = self.op(step, Operation::Compensate);
        let found_nothing = compensate.last.as_ref().is_some_and(|last| last.kind == OutcomeKind::NotFound);
        if compensate.status == OperationStatus::Succeeded && found_nothing {
            self.set(step, Operation::Compensate, OperationStatus::Idle);
        }
    }

    /// The participant promises that no copy of this action had or will have an effect, so nothing is in doubt any more;
    /// unless it may speak of our own compensation.
    pub(super) fn refused_for_good(&mut self, step: StepIndex, why: &Why) {
        let action = self.op(step, Operation::Action);
        let news = match action.status {
            OperationStatus::InFlight { .. }
            | OperationStatus::Retry { .. }
            | OperationStatus::Asking
            | OperationStatus::Pending { .. } => true,
            OperationStatus::Rejected | OperationStatus::GaveUp | OperationStatus::Stuck { .. } => {
                action.uncertain && !self.is_compensation_begun(step)
            }
            // A skipped action is sealed whatever is said of it; a success that was recorded stands.
            OperationStatus::Idle
            | OperationStatus::Ready
            | OperationStatus::Succeeded
            | OperationStatus::Skipped(_) => false,
        };
        if news {
            self.set(step, Operation::Query, OperationStatus::Idle);
            self.action_rejected(step, why, true);
        }
    }

    /// Whether an answer says of all attempts of an action that none had its effect.
    fn ends_doubt(&self, step: StepIndex, operation: Operation, outcome: &Outcome) -> bool {
        let last_word = matches!(outcome, Outcome::Rejected { last_word: true, .. }) && operation == Operation::Action;
        last_word && !self.is_compensation_begun(step) && self.saga.action_effect(step) == StepEffect::Possible
    }

    fn correct_residue(&mut self, step: StepIndex, operation: Operation, outcome: &Outcome) {
        let status = match outcome {
            Outcome::Succeeded(output) => return self.turned_out_well(step, effect_of(operation), output),
            // A question that found nothing says nothing about calls that are still on their way.
            _ if operation == Operation::Query => OperationStatus::Idle,
            Outcome::NotFound(_) if self.has_nothing_to_undo(step, operation) => OperationStatus::Succeeded,
            Outcome::Rejected { last_word, .. } => {
                self.note_refusal(step, operation, *last_word);
                // Skipped stays skipped: only its doubt is over.
                if matches!(self.op(step, operation).status, OperationStatus::Skipped(_)) {
                    return;
                }
                OperationStatus::Rejected
            }
            Outcome::Unknown { doubt: Doubt::KeyReused, .. } => {
                self.note_refusal(step, operation, true);
                OperationStatus::Rejected
            }
            Outcome::NotFound(_) => OperationStatus::Rejected,
            Outcome::NotSent(_) => OperationStatus::GaveUp,
            Outcome::Pending | Outcome::Unknown { .. } => {
                self.op_mut(step, operation).uncertain |= operation == Operation::Action;
                OperationStatus::GaveUp
            }
        };
        self.set(step, operation, status);
    }
}
