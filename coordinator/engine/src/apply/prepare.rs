//! Requests and conditions that were evaluated for us.
//!
//! Nothing is evaluated here. Invariant: a request is taken once; what was prepared is what every attempt sends.

use crate::history::Change;
use crate::ids::{Operation, StepIndex};
use crate::outcome::Why;
use crate::payload::{Payload, PayloadKey};
use crate::saga::{Cause, OperationStatus, SkippedBy, StuckReason};

use super::turn::Turn;
use super::{Decided, Ignored, IllegalEvent};

pub(super) fn prepared(
    turn: &mut Turn,
    step: StepIndex,
    operation: Operation,
    requests: &[(Operation, Payload)],
) -> Decided {
    if turn.op(step, operation).status != OperationStatus::Ready {
        return Ok(Some(Ignored::Stale));
    }
    for (prepared, request) in requests {
        // Bytes once prepared are never prepared again: they are what the idempotency key stands for (semantics A12).
        if turn.policy(step, *prepared).is_some() && turn.op(step, *prepared).request.is_none() {
            turn.op_mut(step, *prepared).request = Some(request.digest());
            turn.payloads.push((PayloadKey::Request(step, *prepared), request.clone()));
        }
    }
    if turn.op(step, operation).request.is_some() {
        // Due now, not begun: whether it may begin (parked? deadline passed?) is for `advance` to say.
        turn.set(step, operation, OperationStatus::Retry { due: turn.now });
    }
    Ok(None)
}

pub(super) fn condition_false(turn: &mut Turn, step: StepIndex) -> Decided {
    if !turn.definition().step(step).conditional {
        return Err(IllegalEvent::NoCondition);
    }
    if turn.op(step, Operation::Action).status != OperationStatus::Ready {
        return Ok(Some(Ignored::Stale));
    }
    turn.set(step, Operation::Action, OperationStatus::Skipped(SkippedBy::Condition));
    turn.record_at(Change::ConditionFalse, step, Operation::Action);
    Ok(None)
}

/// An expression that fails once fails every time: before the point of no return the saga turns back, since nothing was
/// sent for this step; elsewhere it is stuck until somebody mends the definition.
pub(super) fn failed(turn: &mut Turn, step: StepIndex, operation: Operation, message: &str) -> Decided {
    if turn.op(step, operation).status != OperationStatus::Ready {
        return Ok(Some(Ignored::Stale));
    }
    let why = Why::new("EXPRESSION_FAILED", message);
    turn.record_at(Change::PrepareFailed, step, operation).why = why.clone();
    match operation {
        Operation::Action => {
            turn.set(step, operation, OperationStatus::GaveUp);
            turn.fail(step, Cause::ExpressionFailed(step), why);
        }
        // Without its query a step goes on as if it had none.
        Operation::Query => turn.query_gave_nothing(step),
        Operation::Compensate | Operation::Confirm => {
            turn.get_stuck(step, operation, StuckReason::ExpressionFailed, why);
        }
    }
    Ok(None)
}
