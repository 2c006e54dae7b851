//! What an end promises: Completed, Compensated, and nothing half-done in silence (design §1).
//!
//! A force-stopped saga promises nothing but an honest residue, so it isn't asked here.

use amends_engine::ids::Operation;
use amends_engine::saga::{OperationStatus, Phase, Saga, SkippedBy};

use crate::view::{OPERATIONS, View, steps};
use crate::violation::{Rule, Violation};

pub(super) fn check(saga: &Saga) -> Result<(), Violation> {
    for view in steps(saga) {
        match saga.state.phase {
            Phase::Completed => {
                finished(view)?;
                completed(view)?;
            }
            Phase::Compensated => {
                finished(view)?;
                compensated(view)?;
            }
            Phase::Confirming => confirming(view)?,
            Phase::Running | Phase::Compensating | Phase::ForceStopped => {}
        }
    }
    Ok(())
}

/// Nothing is under way, and what was begun to be undone is settled. A pending action may be: it was compensated at once, and what comes later meets the tombstone.
fn finished(view: View<'_>) -> Result<(), Violation> {
    for operation in OPERATIONS {
        let pending_action = operation == Operation::Action && view.saga.state.phase == Phase::Compensated;
        let unfinished = match view.operation(operation).status {
            OperationStatus::Ready
            | OperationStatus::InFlight { .. }
            | OperationStatus::Retry { .. }
            | OperationStatus::Asking
            | OperationStatus::Stuck { .. } => true,
            OperationStatus::Pending { .. } => !pending_action,
            OperationStatus::Idle
            | OperationStatus::Succeeded
            | OperationStatus::Rejected
            | OperationStatus::GaveUp
            | OperationStatus::Skipped(_) => false,
        };
        if unfinished {
            return Err(view.violation(Rule::UnfinishedEnd, operation, "the saga has ended and this hasn't"));
        }
    }
    let begun = view.state.compensate.attempt > 0 && !view.found_nothing_to_undo();
    if begun && !view.is_compensation_settled() {
        return Err(view.violation(Rule::UnfinishedEnd, Operation::Compensate, "begun, and dropped without an answer"));
    }
    Ok(())
}

/// Every step is done, confirmed where it was only tried, or left out by its condition or an operator.
fn completed(view: View<'_>) -> Result<(), Violation> {
    if !matches!(view.state.action.status, OperationStatus::Succeeded | OperationStatus::Skipped(_)) {
        return Err(view.violation(Rule::NotCompleted, Operation::Action, "neither done nor skipped"));
    }
    let confirm = view.state.confirm.status;
    let confirmed = matches!(confirm, OperationStatus::Succeeded | OperationStatus::Skipped(SkippedBy::Operator));
    if view.needs_confirm() && !confirmed {
        return Err(view.violation(Rule::NotCompleted, Operation::Confirm, "tried and not confirmed"));
    }
    confirming(view)
}

/// What goes forward undoes nothing but what was skipped in doubt.
fn confirming(view: View<'_>) -> Result<(), Violation> {
    let begun = view.state.compensate.attempt > 0;
    if begun && !view.state.sealing {
        return Err(view.violation(Rule::NoDecision, Operation::Compensate, "begun though the saga goes forward"));
    }
    Ok(())
}

/// Every effect is undone, was none, or was accepted: by the team (`compensate: none`) or by an operator.
fn compensated(view: View<'_>) -> Result<(), Violation> {
    let undone = !view.may_stand() || view.is_compensation_settled();
    if undone || view.is_accepted() {
        return Ok(());
    }
    Err(view.violation(Rule::NotCompensated, Operation::Compensate, "its effect may stand and nobody accepted that"))
}
