//! A state in one line, for people and for comparison: `running: stock ok, pay calling#2?, pay.query retry#0@1100`.
//!
//! Operations that nothing happened to are left out; the action bears the step's name. `?` marks doubt, `!` a seal, `@` a due
//! time in milliseconds. Marks of the saga as a whole follow in brackets.

use amends_engine::ids::{Operation, StepIndex};
use amends_engine::saga::{OperationStatus, Saga, SkippedBy};

/// The line.
pub(crate) fn render(saga: &Saga) -> String {
    let operations = [Operation::Action, Operation::Confirm, Operation::Compensate, Operation::Query];
    let steps = saga.definition.indices();
    let shown: Vec<String> =
        steps.flat_map(|step| operations.map(|operation| one(saga, step, operation))).flatten().collect();
    let phase = format!("{:?}", saga.state.phase).to_lowercase();
    format!("{phase}: {}{}", shown.join(", "), marks(saga))
}

fn one(saga: &Saga, step: StepIndex, operation: Operation) -> Option<String> {
    let state = saga.operation(step, operation);
    if state.status == OperationStatus::Idle && !state.uncertain {
        return None;
    }
    let name = &saga.definition.step(step).name;
    let place = if operation == Operation::Action { name.to_string() } else { format!("{name}.{operation}") };
    let doubt = if state.uncertain { "?" } else { "" };
    let seal = if saga.step(step).sealing && operation == Operation::Action { "!" } else { "" };
    Some(format!("{place} {}{doubt}{seal}", word(state.status, state.attempt)))
}

/// The word for a status.
pub(crate) fn word(status: OperationStatus, attempt: u32) -> String {
    match status {
        OperationStatus::Idle => "idle".to_owned(),
        OperationStatus::Ready => "ready".to_owned(),
        OperationStatus::InFlight { .. } => format!("calling#{attempt}"),
        OperationStatus::Retry { due } => format!("retry#{attempt}@{}", due.0),
        OperationStatus::Asking => "asking".to_owned(),
        OperationStatus::Pending { .. } => "pending".to_owned(),
        OperationStatus::Succeeded => "ok".to_owned(),
        OperationStatus::Rejected => "rejected".to_owned(),
        OperationStatus::GaveUp => "gave_up".to_owned(),
        OperationStatus::Skipped(SkippedBy::Condition) => "skipped(if)".to_owned(),
        OperationStatus::Skipped(SkippedBy::Operator) => "skipped".to_owned(),
        OperationStatus::Stuck { reason, .. } => format!("stuck({})", reason.as_str()),
    }
}

fn marks(saga: &Saga) -> String {
    let state = &saga.state;
    let parked = state.parked.as_ref().map(|parked| format!("parked({})", parked.reason.as_str()));
    let flags = [
        state.late.then(|| "late".to_owned()),
        state.cancel.as_ref().map(|_| "cancel".to_owned()),
        state.paused.as_ref().map(|_| "paused".to_owned()),
        parked,
    ];
    flags.into_iter().flatten().map(|flag| format!(" [{flag}]")).collect()
}
