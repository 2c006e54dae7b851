//! What holds of any single state, wherever it was found: in memory, in a store, after a crash.
//!
//! Invariant: a rule that needs to know how the state came about is not here but in `step`.

mod ends;
mod operations;

#[cfg(test)]
mod tests;

use amends_engine::effect::Effect;
use amends_engine::saga::{Cause, OperationStatus, Phase, Saga};
use amends_engine::{next_due, outstanding, standing};

use crate::view::{is_back, is_parked, steps};
use crate::violation::{Rule, Violation};

/// Checks one state. The first violation found is returned.
pub fn check_state(saga: &Saga) -> Result<(), Violation> {
    shape(saga)?;
    decision(saga)?;
    pivot(saga)?;
    for view in steps(saga) {
        operations::check(view)?;
    }
    ends::check(saga)?;
    movement(saga)
}

fn fail(saga: &Saga, rule: Rule, what: impl Into<String>) -> Result<(), Violation> {
    Err(Violation::of(rule, &saga.state.head.key, what))
}

/// Lengths and times fit.
fn shape(saga: &Saga) -> Result<(), Violation> {
    let state = &saga.state;
    if state.steps.len() != saga.definition.steps().len() {
        return fail(saga, Rule::Contradiction, "its steps are not those of its definition");
    }
    if state.updated_at < state.started_at || state.ended_at.is_some_and(|ended| ended > state.updated_at) {
        return fail(saga, Rule::Sequence, "it changed before it started, or ended after its last change");
    }
    if state.ended_at.is_some() != state.phase.is_terminal() {
        return fail(saga, Rule::Contradiction, "the time of its end doesn't fit its phase");
    }
    if state.acknowledgement.is_some() && saga.stuck().is_none() {
        return fail(saga, Rule::Contradiction, "somebody looks after it, and nothing is stuck");
    }
    if state.history_length == 0 {
        return fail(saga, Rule::Sequence, "a saga without history: at least its start is in it");
    }
    Ok(())
}

/// Turning back and its decision come together; what runs because of it has it.
fn decision(saga: &Saga) -> Result<(), Violation> {
    let state = &saga.state;
    let decided = state.decision.is_some();
    if state.phase != Phase::ForceStopped && decided != is_back(state.phase) {
        return fail(saga, Rule::NoDecision, "phase and decision to compensate don't go together");
    }
    if state.cancel.is_some() && saga.definition.pivot().is_none() {
        return fail(saga, Rule::Contradiction, "a cancel is kept for later though there is no pivot to wait for");
    }
    if state.cancel.is_some() && !matches!(state.phase, Phase::Running | Phase::ForceStopped) {
        return fail(saga, Rule::Contradiction, "a cancel is kept for later where it can never act");
    }
    Ok(())
}

/// Nothing turns back over a pivot that happened, unless an operator said that it hadn't.
fn pivot(saga: &Saga) -> Result<(), Violation> {
    let Some(pivot) = saga.definition.pivot() else { return Ok(()) };
    let happened = saga.step(pivot).action.status == OperationStatus::Succeeded;
    let cause = saga.state.decision.as_ref().map(|decision| &decision.cause);
    if happened && is_back(saga.state.phase) && cause != Some(&Cause::ResolvedAsNotHappened(pivot)) {
        return fail(saga, Rule::PivotTurnedBack, "the pivot succeeded and the saga is going back");
    }
    Ok(())
}

/// An open saga does something, waits for something that comes, or is stuck: never idle in silence.
fn movement(saga: &Saga) -> Result<(), Violation> {
    let effects = outstanding(saga);
    let due = next_due(saga);
    if saga.state.phase.is_terminal() {
        let quiet = effects.is_empty() && due.is_none();
        return if quiet { Ok(()) } else { fail(saga, Rule::UnfinishedEnd, "it has ended and asks for more") };
    }
    if is_parked(saga) {
        let prepares = effects.iter().any(|effect| matches!(effect, Effect::Prepare { .. }));
        return if prepares { fail(saga, Rule::StartedWhileParked, "a parked saga prepares a call") } else { Ok(()) };
    }
    let waiting = standing::waiting(saga);
    if effects.is_empty() && waiting.is_none() && saga.stuck().is_none() {
        return fail(saga, Rule::SilentlyIdle, "it is open, does nothing, waits for nothing and isn't stuck");
    }
    let wakes = |until| due.is_some_and(|due| due <= until);
    if let Some(until) = waiting.and_then(|waiting| waiting.until).filter(|until| !wakes(*until)) {
        return fail(saga, Rule::SilentlyIdle, format!("it waits until {until} and isn't woken then: {due:?}"));
    }
    Ok(())
}
