//! When an attempt may start: intent by intent, what must have come before.
//!
//! A start shows as an attempt number that grew. Invariant: checked against the state in which the intent stands, since that is
//! what will be durable when the call is made.

use amends_engine::event::Event;
use amends_engine::ids::Operation;
use amends_engine::saga::{OperationStatus, Phase};

use crate::view::{OPERATIONS, View, is_parked};
use crate::violation::{Rule, Violation};

pub(super) fn check(was: View<'_>, is: View<'_>, event: &Event) -> Result<(), Violation> {
    for operation in OPERATIONS {
        if is.operation(operation).attempt == was.operation(operation).attempt {
            continue;
        }
        if is_parked(is.saga) {
            return Err(is.violation(Rule::StartedWhileParked, operation, "an attempt started"));
        }
        in_budget(was, is, operation, event)?;
        match operation {
            Operation::Action => action(is)?,
            Operation::Compensate => compensate(was, is)?,
            Operation::Confirm => confirm(was, is)?,
            Operation::Query => {}
        }
    }
    Ok(())
}

/// Not before it is due, and not past its attempts, unless an operator asks for it.
fn in_budget(was: View<'_>, is: View<'_>, operation: Operation, event: &Event) -> Result<(), Violation> {
    if matches!(event, Event::Retry { .. }) {
        return Ok(());
    }
    if let OperationStatus::Retry { due } = was.operation(operation).status
        && due > is.saga.state.updated_at
    {
        return Err(is.violation(Rule::Budget, operation, format!("started before {due}")));
    }
    let limit = is.definition().policy(is.index, operation).map_or(0, |policy| policy.max_attempts);
    if is.operation(operation).failures >= limit {
        return Err(is.violation(Rule::Budget, operation, "started with no attempts left"));
    }
    Ok(())
}

fn action(is: View<'_>) -> Result<(), Violation> {
    if is.saga.state.phase != Phase::Running {
        return Err(is.violation(Rule::Order, Operation::Action, "an action started though nothing runs forward"));
    }
    if is.step().after.iter().any(|before| !is.other(*before).is_action_done()) {
        return Err(is.violation(
            Rule::Order,
            Operation::Action,
            "started before what it comes after was done or sealed",
        ));
    }
    Ok(())
}

/// Decided, needed, with nothing of the action under way, and after all that depends on it is undone.
fn compensate(was: View<'_>, is: View<'_>) -> Result<(), Violation> {
    let complain = |rule, what: &str| Err(is.violation(rule, Operation::Compensate, what));
    let action = &is.state.action;
    if is.saga.state.phase != Phase::Compensating && !is.state.sealing {
        return complain(Rule::NoDecision, "started without a decision");
    }
    if !is.may_stand() {
        return complain(Rule::NoDecision, "started though there is nothing to undo");
    }
    if action.is_in_flight() || action.quiet_at.is_some_and(|quiet_at| quiet_at > is.saga.state.updated_at) {
        return complain(Rule::Order, "started while the action may still be on its way");
    }
    // The order is that of the first attempts. A seal runs forward: what comes after it has not begun, or has gone on since.
    let first = was.state.compensate.attempt == 0 && is.saga.state.phase == Phase::Compensating;
    if first && is.all_dependents().any(|later| !later.is_out_of_the_way_back()) {
        return complain(Rule::Order, "started before a step that depends on it is undone");
    }
    Ok(())
}

fn confirm(was: View<'_>, is: View<'_>) -> Result<(), Violation> {
    if is.saga.state.phase != Phase::Confirming || !is.needs_confirm() {
        return Err(is.violation(Rule::NoDecision, Operation::Confirm, "started with nothing to confirm"));
    }
    let first = was.state.confirm.attempt == 0;
    let mut earlier = is.step().after.iter().map(|before| is.other(*before));
    if first && earlier.any(|before| !before.is_confirm_out_of_the_way()) {
        return Err(is.violation(Rule::Order, Operation::Confirm, "started before the confirm that it comes after"));
    }
    Ok(())
}
