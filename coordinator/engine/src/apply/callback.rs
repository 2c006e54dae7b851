//! What a participant tells us later about an operation: `CompleteStep`.
//!
//! Invariant: accepted from the operation's first intent until the saga is terminal, since a callback can beat the reply that
//! says "pending"; after a decision to compensate it is a late answer, recorded and not acted on as progress (semantics A14).

use std::time::Duration;

use crate::event::{Event, Verdict};
use crate::history::Change;
use crate::ids::{Operation, StepIndex};
use crate::outcome::{LastOutcome, OutcomeKind, Why};
use crate::saga::{By, OperationState, OperationStatus};

use super::turn::Turn;
use super::{Decided, Ignored, IllegalEvent};

pub(super) fn called_back(turn: &mut Turn, event: &Event) -> Decided {
    let Event::CalledBack { step, operation, verdict, retry_after, by } = event else {
        return Ok(Some(Ignored::Stale));
    };
    let (step, operation) = (*step, *operation);
    let state = turn.op(step, operation);
    if operation == Operation::Query || state.begun_at.is_none() {
        return Err(IllegalEvent::NotBegun(operation));
    }
    if let Some(reason) = known_already(state, operation, verdict)? {
        return Ok(Some(reason));
    }
    let why = turn.record_callback(step, operation, verdict, by);
    match (verdict, operation) {
        (Verdict::Succeeded(output), _) => turn.turned_out_well(step, operation, output),
        (Verdict::Rejected { last_word: true, .. }, Operation::Action) => turn.refused_for_good(step, &why),
        (Verdict::Rejected { last_word: false, .. }, Operation::Action) => turn.action_refused_by_callback(step, &why),
        (Verdict::Rejected { .. }, Operation::Compensate | Operation::Confirm | Operation::Query) => {
            turn.finishing_refused_by_callback(step, operation, &why, *retry_after);
        }
    }
    Ok(None)
}

/// Whether the callback only repeats what is settled; an error where it contradicts it.
fn known_already(
    state: &OperationState,
    operation: Operation,
    verdict: &Verdict,
) -> Result<Option<Ignored>, IllegalEvent> {
    match (state.status, verdict) {
        (OperationStatus::Succeeded, Verdict::Succeeded(output)) if state.output == Some(output.digest()) => {
            Ok(Some(Ignored::Duplicate))
        }
        (OperationStatus::Succeeded | OperationStatus::Skipped(_), _) => Err(IllegalEvent::SettledOtherwise(operation)),
        // A refusal that leaves no doubt can't become a success.
        (OperationStatus::Rejected, Verdict::Succeeded(_)) if !state.uncertain => {
            Err(IllegalEvent::SettledOtherwise(operation))
        }
        // The same refusal again, unless it now ends a doubt.
        (OperationStatus::Rejected, Verdict::Rejected { last_word, .. }) if !(*last_word && state.uncertain) => {
            Ok(Some(Ignored::Duplicate))
        }
        (
            OperationStatus::Idle
            | OperationStatus::Ready
            | OperationStatus::InFlight { .. }
            | OperationStatus::Retry { .. }
            | OperationStatus::Asking
            | OperationStatus::Pending { .. }
            | OperationStatus::Rejected
            | OperationStatus::GaveUp
            | OperationStatus::Stuck { .. },
            _,
        ) => Ok(None),
    }
}

impl Turn {
    fn record_callback(&mut self, step: StepIndex, operation: Operation, verdict: &Verdict, by: &By) -> Why {
        let (kind, why) = match verdict {
            Verdict::Succeeded(_) => (OutcomeKind::Succeeded, Why::default()),
            Verdict::Rejected { why, .. } => (OutcomeKind::Rejected, why.clone()),
        };
        let at = self.now;
        self.op_mut(step, operation).last = Some(LastOutcome { kind, why: why.clone(), at });
        let entry = self.record_at(Change::CalledBack(kind), step, operation);
        entry.by = Some(by.clone());
        entry.why = why.clone();
        why
    }

    fn action_refused_by_callback(&mut self, step: StepIndex, why: &Why) {
        match self.op(step, Operation::Action).status {
            // A call that is still out may yet have its effect, whatever the callback says of the others.
            OperationStatus::InFlight { .. } => {
                self.note_overtaken(step, Operation::Action);
                self.op_mut(step, Operation::Action).uncertain = true;
                self.action_rejected(step, why, false);
            }
            OperationStatus::Retry { .. } | OperationStatus::Asking | OperationStatus::Pending { .. } => {
                self.set(step, Operation::Query, OperationStatus::Idle);
                self.action_rejected(step, why, false);
            }
            // It was given up or is stuck already, and this refusal doesn't end the doubt.
            OperationStatus::Idle
            | OperationStatus::Ready
            | OperationStatus::Succeeded
            | OperationStatus::Rejected
            | OperationStatus::GaveUp
            | OperationStatus::Skipped(_)
            | OperationStatus::Stuck { .. } => {}
        }
    }

    /// A refusal counts once, for the attempt that it answers; what waits for its next attempt or for a person goes on so.
    fn finishing_refused_by_callback(&mut self, step: StepIndex, operation: Operation, why: &Why, after: Duration) {
        if matches!(self.op(step, operation).status, OperationStatus::InFlight { .. } | OperationStatus::Pending { .. })
        {
            self.retry_finishing(step, operation, why, after);
        }
    }
}
