//! Where an open saga is held up, what was last said to it, and since when it needs somebody: what searches narrow by.
//!
//! Read-only, and derived like all of [`super`]. Invariant: a saga that moves (first attempts, answered with a success) is held
//! up nowhere at every one of its changes, so that an index by this costs a clean run nothing.

use crate::ids::{Operation, ParticipantName, StepIndex};
use crate::outcome::OutcomeKind;
use crate::outstanding::OPERATIONS;
use crate::saga::{OperationState, OperationStatus, Saga, SagaState, StepState};
use crate::time::Timestamp;

/// The participant at which an open saga doesn't get on: where it is stuck; else where an operation has failed and not yet
/// succeeded, is pending, or is being asked about. Of several the first in the definition's order. It stays the same from one
/// failed attempt to the next, also while the next one is out and while the saga is paused.
///
/// `None` for one that moves, that is parked as a whole, or that has ended; and for one whose first attempt a breaker or a limit
/// holds back, since nothing has failed yet.
pub fn held_up_at(saga: &Saga) -> Option<&ParticipantName> {
    if saga.state.phase.is_terminal() {
        return None;
    }
    let stuck = saga.all_stuck().into_iter().find_map(|stuck| stuck.step);
    let step = match stuck {
        None if saga.state.parked.is_some() => None,
        None => saga.definition.indices().find(|step| is_held_up(saga, *step)),
        stuck => stuck,
    };
    step.map(|step| &saga.definition.step(step).participant)
}

fn is_held_up(saga: &Saga, step: StepIndex) -> bool {
    OPERATIONS.into_iter().any(|operation| {
        let state = saga.operation(step, operation);
        saga.is_live(step, operation)
            && match state.status {
                OperationStatus::Pending { .. } | OperationStatus::Asking => true,
                OperationStatus::Ready | OperationStatus::InFlight { .. } | OperationStatus::Retry { .. } => {
                    state.last.as_ref().is_some_and(|last| last.kind != OutcomeKind::Succeeded)
                }
                OperationStatus::Idle
                | OperationStatus::Succeeded
                | OperationStatus::Rejected
                | OperationStatus::GaveUp
                | OperationStatus::Skipped(_)
                | OperationStatus::Stuck { .. } => false,
            }
    })
}

/// The last thing that went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastError<'a> {
    /// The status code's name, the participant's own reason code, or the word of the reason why a saga is parked.
    pub code: &'a str,
    /// For people; at most [`crate::outcome::MESSAGE_LENGTH_MAX`] bytes where a participant said it.
    pub message: &'a str,
    /// When it was applied.
    pub at: Timestamp,
}

/// The latest failed outcome that nothing has made good since: neither a success of the same operation, nor an operator who
/// skipped it. What parked the whole saga counts like one. An expression that failed is no outcome: only the history has it.
pub fn last_error(state: &SagaState) -> Option<LastError<'_>> {
    let parked = state.parked.as_ref().map(|parked| LastError {
        code: parked.reason.as_str(),
        message: &parked.message,
        at: parked.since,
    });
    let operations = state.steps.iter().flat_map(|step| OPERATIONS.map(|operation| error_of(step, operation)));
    let all = operations.flatten().chain(parked.map(|parked| (true, parked)));
    // Of several at one time one that still matters: a refused action may be followed at once by what undoes others.
    all.max_by_key(|(matters, error)| (error.at, *matters)).map(|(_, error)| error)
}

/// With whether the operation is still to be done.
fn error_of(step: &StepState, operation: Operation) -> Option<(bool, LastError<'_>)> {
    let state = step.operation(operation);
    let last = state.last.as_ref()?;
    let failed = match last.kind {
        OutcomeKind::Rejected | OutcomeKind::Unknown(_) | OutcomeKind::NotSent => true,
        // A question that found nothing yet was answered.
        OutcomeKind::NotFound => operation != Operation::Query,
        OutcomeKind::Succeeded | OutcomeKind::Pending => false,
    };
    let error = LastError { code: &last.why.code, message: &last.why.message, at: last.at };
    let settled = matches!(state.status, OperationStatus::Rejected | OperationStatus::GaveUp);
    (failed && !is_made_good(state)).then_some((!settled, error))
}

fn is_made_good(state: &OperationState) -> bool {
    matches!(state.status, OperationStatus::Succeeded | OperationStatus::Skipped(_))
}

/// Since when an open saga needs somebody, for filters by age: since it is stuck, at the place where it was first; else since
/// it was started.
pub fn waiting_since(state: &SagaState) -> Timestamp {
    let stuck_since = |state: &OperationState| match state.status {
        OperationStatus::Stuck { since, .. } => Some(since),
        OperationStatus::Idle
        | OperationStatus::Ready
        | OperationStatus::InFlight { .. }
        | OperationStatus::Retry { .. }
        | OperationStatus::Asking
        | OperationStatus::Pending { .. }
        | OperationStatus::Succeeded
        | OperationStatus::Rejected
        | OperationStatus::GaveUp
        | OperationStatus::Skipped(_) => None,
    };
    let operations = state.steps.iter().flat_map(|step| OPERATIONS.map(|operation| step.operation(operation)));
    let parked = state.parked.as_ref().map(|parked| parked.since);
    operations.filter_map(stuck_since).chain(parked).min().unwrap_or(state.started_at)
}
