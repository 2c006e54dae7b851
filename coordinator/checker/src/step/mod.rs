//! What holds between a state and the next: facts don't change, doubt isn't forgotten, nothing starts too early.
//!
//! Invariant: a rule here can't be seen in one state alone; those are in `state`.

mod facts;
mod moved;
mod starts;

#[cfg(test)]
mod tests;

use amends_engine::apply::Changed;
use amends_engine::event::Event;
use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, Outcome};
use amends_engine::saga::{Cause, OperationStatus, Phase, Saga};

use crate::view::{View, steps};
use crate::violation::{Rule, Violation};

/// Checks one change. `check_state` is not included.
pub fn check_step(before: &Saga, event: &Event, change: &Changed) -> Result<(), Violation> {
    facts::check(before, event, change)?;
    moved::check(before, event, &change.saga)?;
    phases(before, &change.saga)?;
    turning_back(before, &change.saga)?;
    for (was, is) in steps(before).zip(steps(&change.saga)) {
        doubt_remembered(was, is, event)?;
        failures_remembered(was, is, event)?;
        starts::check(was, is, event)?;
    }
    Ok(())
}

fn fail(saga: &Saga, rule: Rule, what: impl Into<String>) -> Result<(), Violation> {
    Err(Violation::of(rule, &saga.state.head.key, what))
}

fn phases(before: &Saga, after: &Saga) -> Result<(), Violation> {
    use Phase as P;
    let (from, to) = (before.state.phase, after.state.phase);
    let allowed = match from {
        P::Running => true,
        P::Confirming => matches!(to, P::Confirming | P::Completed | P::ForceStopped),
        P::Compensating => matches!(to, P::Compensating | P::Compensated | P::ForceStopped),
        P::ForceStopped => to == P::ForceStopped,
        P::Completed | P::Compensated => false,
    };
    if allowed { Ok(()) } else { fail(after, Rule::PhaseOrder, format!("{from:?} changed to {to:?}")) }
}

/// A decision stands; it isn't made while the pivot may have happened, nor for a deadline that hasn't passed.
fn turning_back(before: &Saga, after: &Saga) -> Result<(), Violation> {
    let Some(decision) = &after.state.decision else {
        let withdrawn = before.state.decision.is_some();
        return if withdrawn { fail(after, Rule::WrittenOnce, "the decision was withdrawn") } else { Ok(()) };
    };
    if let Some(earlier) = &before.state.decision {
        return if earlier == decision { Ok(()) } else { fail(after, Rule::WrittenOnce, "the decision was changed") };
    }
    if decision.cause == Cause::Deadline && after.state.updated_at < after.state.deadline {
        return fail(after, Rule::Budget, "turned back for a deadline that hasn't passed");
    }
    let Some(pivot) = after.definition.pivot() else { return Ok(()) };
    let may_have_happened = steps(after).any(|view| view.index == pivot && view.may_stand());
    if may_have_happened && decision.cause != Cause::ResolvedAsNotHappened(pivot) {
        return fail(after, Rule::PivotTurnedBack, "turned back while the pivot may have happened");
    }
    Ok(())
}

/// What has failed is counted on, so that delays grow and attempts run out, until somebody asks for a retry. A query is asked anew.
fn failures_remembered(was: View<'_>, is: View<'_>, event: &Event) -> Result<(), Violation> {
    if matches!(event, Event::Retry { .. } | Event::Repin(_)) {
        return Ok(());
    }
    for operation in [Operation::Action, Operation::Compensate, Operation::Confirm] {
        let (before, after) = (was.operation(operation).failures, is.operation(operation).failures);
        if after < before {
            let what = format!("{before} failures were counted and now {after}, and nobody asked for a retry");
            return Err(is.violation(Rule::Budget, operation, what));
        }
    }
    Ok(())
}

/// An attempt that ended without an answer that says what became of it leaves doubt (semantics A1).
fn doubt_remembered(was: View<'_>, is: View<'_>, event: &Event) -> Result<(), Violation> {
    let (before, after) = (&was.state.action, &is.state.action);
    let gone = before.is_in_flight() && !(after.is_in_flight() && after.attempt == before.attempt);
    let without_answer = match event {
        Event::Loaded | Event::Due => true,
        Event::Answered { outcome: Outcome::Unknown { doubt, .. }, .. } => *doubt != Doubt::KeyReused,
        _ => false,
    };
    let in_doubt = after.uncertain || after.status == OperationStatus::Succeeded;
    if gone && without_answer && !in_doubt {
        let what = format!("attempt {} may have had its effect, and nothing says so", before.attempt);
        return Err(is.violation(Rule::DoubtForgotten, Operation::Action, what));
    }
    Ok(())
}
