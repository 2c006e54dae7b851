//! Asking something of a saga: send it to its owner, and say what became of it.
//!
//! The owner carries it out and commits it; whoever waits here only waits, so that a caller that goes away stops nothing.
//! Invariant: a repeat of what has happened already is a success, also after the saga has ended.

use std::sync::Arc;

use amends_engine::IllegalEvent;
use amends_engine::ids::{Operation, SagaKey, StepName};
use amends_engine::payload::Digest;
use amends_engine::saga::{Cause, OperationStatus, Phase};
use amends_engine::standing;
use amends_runtime::{Answered, Ask, Coordinator, RequestError, Snapshot};

use super::from_proto::{Asked, AskedToMove};
use super::status::Refusal;

/// What became of a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// The saga compensates, or has compensated.
    Compensating,
    /// The pivot is in doubt.
    Recorded,
}

/// What became of the message that completes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completion {
    /// The operation is settled by it.
    Applied,
    /// It was settled so before.
    Repeated,
    /// The saga had turned back.
    Late,
}

/// Asks, and answers after the commit.
pub(crate) async fn ask(coordinator: &Coordinator, asked: Asked) -> Result<Answered, Refusal> {
    let Asked { key, ask, by, expected_revision } = asked;
    let answered = coordinator.ask(&key, ask, by, expected_revision).await;
    explained(coordinator, &key, answered).await
}

/// Asks a saga to go on by another version of its definition.
pub(crate) async fn repin(coordinator: &Coordinator, asked: AskedToMove) -> Result<Answered, Refusal> {
    let AskedToMove { key, version, by, expected_revision } = asked;
    let answered = coordinator.repin(&key, version, by, expected_revision).await;
    explained(coordinator, &key, answered).await
}

/// What makes no sense is refused with where the saga stands.
async fn explained(
    coordinator: &Coordinator,
    key: &SagaKey,
    answered: Result<Answered, RequestError>,
) -> Result<Answered, Refusal> {
    match answered {
        Err(RequestError::Illegal(error)) => {
            let snapshot = coordinator.get(key).await?;
            Err(Refusal::Illegal { error, status: standing::status(&snapshot.saga) })
        }
        answered => Ok(answered?),
    }
}

/// Asks a saga to turn back.
pub(crate) async fn cancel(coordinator: &Coordinator, asked: Asked) -> Result<(Cancelled, Arc<Snapshot>), Refusal> {
    let key = asked.key.clone();
    match ask(coordinator, asked).await {
        Ok(Answered { snapshot, .. }) => {
            let decided = snapshot.saga.state.decision.is_some();
            Ok((if decided { Cancelled::Compensating } else { Cancelled::Recorded }, snapshot))
        }
        Err(Refusal::Illegal { error: IllegalEvent::Ended, status: standing::StatusWord::Compensated }) => {
            Ok((Cancelled::Compensating, coordinator.get(&key).await?))
        }
        Err(refusal) => Err(refusal),
    }
}

/// Tells a saga what became of a pending operation.
pub(crate) async fn complete(coordinator: &Coordinator, asked: Asked) -> Result<(Completion, Arc<Snapshot>), Refusal> {
    let (key, said) = (asked.key.clone(), asked.ask.clone());
    match ask(coordinator, asked).await {
        Ok(Answered { snapshot, changed: false }) => Ok((Completion::Repeated, snapshot)),
        Ok(Answered { snapshot, changed: true }) => {
            let completion = if is_late(&snapshot, &said) { Completion::Late } else { Completion::Applied };
            Ok((completion, snapshot))
        }
        Err(Refusal::Illegal { error: IllegalEvent::Ended, status }) => {
            let snapshot = coordinator.get(&key).await?;
            match is_settled_so(&snapshot, &said) {
                true => Ok((Completion::Repeated, snapshot)),
                false => Err(Refusal::Illegal { error: IllegalEvent::Ended, status }),
            }
        }
        Err(refusal) => Err(refusal),
    }
}

/// Whether an action's outcome came when the saga had turned back for another reason.
fn is_late(snapshot: &Snapshot, said: &Ask) -> bool {
    let state = &snapshot.saga.state;
    let Some((step, Operation::Action)) = named(said) else { return false };
    let turned_back = matches!(state.phase, Phase::Compensating | Phase::Compensated);
    let because_of_it = state.decision.as_ref().is_some_and(|decision| match decision.cause {
        Cause::Rejected(index) => snapshot.saga.definition.find(step) == Some(index),
        Cause::GaveUp(_)
        | Cause::ExpressionFailed(_)
        | Cause::Cancelled(_)
        | Cause::Deadline
        | Cause::ResolvedAsNotHappened(_) => false,
    });
    turned_back && !because_of_it
}

/// Whether an operation ended just as somebody says that it did.
fn is_settled_so(snapshot: &Snapshot, said: &Ask) -> bool {
    let Some((step, operation)) = named(said) else { return false };
    let Some(index) = snapshot.saga.definition.find(step) else { return false };
    let state = snapshot.saga.operation(index, operation);
    match said {
        Ask::CompleteSucceeded { output, .. } => {
            state.status == OperationStatus::Succeeded && state.output == Some(Digest::of(&output.bytes))
        }
        _ => state.status == OperationStatus::Rejected,
    }
}

fn named(said: &Ask) -> Option<(&StepName, Operation)> {
    match said {
        Ask::CompleteSucceeded { step, operation, .. } | Ask::CompleteRejected { step, operation, .. } => {
            Some((step, *operation))
        }
        Ask::Cancel
        | Ask::Retry { .. }
        | Ask::Skip { .. }
        | Ask::Resolve { .. }
        | Ask::ForceStop
        | Ask::Pause
        | Ask::Resume
        | Ask::Acknowledge => None,
    }
}
