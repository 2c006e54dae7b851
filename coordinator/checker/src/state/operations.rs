//! What holds of the operations of one step, in any state.
//!
//! Invariant: each rule reads one step and the saga's phase, nothing else.

use amends_engine::ids::Operation;
use amends_engine::saga::{OperationStatus, Phase, SkippedBy};

use crate::view::{OPERATIONS, View};
use crate::violation::{Rule, Violation};

pub(super) fn check(view: View<'_>) -> Result<(), Violation> {
    for operation in OPERATIONS {
        attempts(view, operation)?;
        output(view, operation)?;
        existence(view, operation)?;
    }
    order(view)?;
    compensation(view)?;
    confirm(view)?;
    query(view)
}

/// Attempts are counted, bounded and have an intent with a request.
fn attempts(view: View<'_>, operation: Operation) -> Result<(), Violation> {
    let state = view.operation(operation);
    let limit = view.definition().policy(view.index, operation).map_or(0, |policy| policy.max_attempts);
    if state.failures > limit || state.failures > state.attempt {
        let what =
            format!("{} failures of {} attempts, and at most {limit} are allowed", state.failures, state.attempt);
        return Err(view.violation(Rule::Budget, operation, what));
    }
    if (state.attempt == 0) == state.begun_at.is_some() {
        return Err(view.violation(Rule::Contradiction, operation, "attempts and their beginning don't go together"));
    }
    if state.attempt > 0 && state.request.is_none() {
        return Err(view.violation(Rule::Contradiction, operation, "it was called without a request"));
    }
    if state.is_in_flight() && state.attempt == 0 {
        return Err(view.violation(Rule::NoIntent, operation, "an attempt without a number is outstanding"));
    }
    Ok(())
}

/// An output is there exactly where something succeeded, but for a compensation that found nothing to undo.
fn output(view: View<'_>, operation: Operation) -> Result<(), Violation> {
    let state = view.operation(operation);
    let succeeded = state.status == OperationStatus::Succeeded;
    let found_nothing = operation == Operation::Compensate && view.found_nothing_to_undo();
    if state.output.is_some() && !succeeded {
        return Err(view.violation(Rule::Contradiction, operation, "it has an output and hasn't succeeded"));
    }
    if succeeded && state.output.is_none() && !found_nothing {
        return Err(view.violation(Rule::Contradiction, operation, "it succeeded and has no output"));
    }
    Ok(())
}

/// Operations that the definition doesn't have are never touched; doubt is about actions only.
fn existence(view: View<'_>, operation: Operation) -> Result<(), Violation> {
    let state = view.operation(operation);
    let exists = view.definition().policy(view.index, operation).is_some();
    if !exists && (state.status != OperationStatus::Idle || state.attempt > 0) {
        return Err(view.violation(Rule::Contradiction, operation, "the definition has no such operation"));
    }
    if state.uncertain && operation != Operation::Action {
        return Err(view.violation(Rule::Contradiction, operation, "only an action's effect can be in doubt"));
    }
    if state.status == OperationStatus::Skipped(SkippedBy::Condition)
        && (operation != Operation::Action || !view.step().conditional)
    {
        return Err(view.violation(Rule::Contradiction, operation, "skipped by a condition that it doesn't have"));
    }
    Ok(())
}

/// No action before those it comes after.
fn order(view: View<'_>) -> Result<(), Violation> {
    let action = &view.state.action;
    let begun = action.attempt > 0 || action.status != OperationStatus::Idle;
    for before in &view.step().after {
        let earlier = view.other(*before).state.action.status;
        if begun && !crate::view::is_settled(earlier) {
            return Err(view.violation(Rule::Order, Operation::Action, "begun before what it comes after was done"));
        }
    }
    Ok(())
}

/// A compensation has a decision or seals a skipped action, and never runs beside the action that it undoes.
fn compensation(view: View<'_>) -> Result<(), Violation> {
    let compensate = &view.state.compensate;
    let begun = compensate.attempt > 0 || compensate.status != OperationStatus::Idle;
    if begun && view.saga.state.decision.is_none() && !view.state.sealing {
        return Err(view.violation(Rule::NoDecision, Operation::Compensate, "begun without a decision to compensate"));
    }
    if compensate.is_in_flight() && view.state.action.is_in_flight() {
        return Err(view.violation(Rule::Order, Operation::Compensate, "called while the action is outstanding"));
    }
    // A force-stopped saga may learn that what was to be sealed did happen.
    let skipped = view.was_skipped_by_operator() || view.saga.state.phase == Phase::ForceStopped;
    if view.state.sealing && !(skipped && view.is_compensable()) {
        return Err(view.violation(
            Rule::Contradiction,
            Operation::Compensate,
            "it seals an action that wasn't skipped",
        ));
    }
    Ok(())
}

/// Confirms belong behind the point of no return.
fn confirm(view: View<'_>) -> Result<(), Violation> {
    let confirm = &view.state.confirm;
    let begun = confirm.attempt > 0 || confirm.status != OperationStatus::Idle;
    let allowed = matches!(view.saga.state.phase, Phase::Confirming | Phase::Completed | Phase::ForceStopped);
    if begun && !allowed {
        return Err(view.violation(Rule::NoDecision, Operation::Confirm, "begun before all actions were done"));
    }
    Ok(())
}

/// A query runs exactly while its action asks, and only forward.
fn query(view: View<'_>) -> Result<(), Violation> {
    if view.saga.state.phase == Phase::ForceStopped {
        return Ok(());
    }
    let asking = view.state.action.status == OperationStatus::Asking;
    if asking != (view.state.query.status != OperationStatus::Idle) {
        return Err(view.violation(
            Rule::Contradiction,
            Operation::Query,
            "the query and its action don't agree on asking",
        ));
    }
    if asking && view.saga.state.phase != Phase::Running {
        return Err(view.violation(
            Rule::Contradiction,
            Operation::Query,
            "asking though nothing runs forward any more",
        ));
    }
    Ok(())
}
