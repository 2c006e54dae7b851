//! What is written once, counted up or owed to the history, between a state and the next.
//!
//! Invariant: nothing here depends on what the machine decides, only on how it keeps its books.

use std::sync::Arc;

use amends_engine::apply::Changed;
use amends_engine::event::{Event, Verdict};
use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, Outcome};
use amends_engine::payload::{Digest, PayloadKey};
use amends_engine::saga::{OperationStatus, Parked, Phase, Saga, StuckReason};

use super::fail;
use crate::view::{OPERATIONS, View, steps};
use crate::violation::{Rule, Violation};

pub(super) fn check(before: &Saga, event: &Event, change: &Changed) -> Result<(), Violation> {
    let after = &change.saga;
    head(before, event, after)?;
    history(before, change)?;
    parking(before, event, after)?;
    for (was, is) in steps(before).zip(steps(after)) {
        for operation in OPERATIONS {
            counters(was, is, operation)?;
            payloads(was, is, operation, change)?;
        }
        settled_stays(was, is)?;
        doubt_cleared(was, is, event)?;
    }
    Ok(())
}

fn head(before: &Saga, event: &Event, after: &Saga) -> Result<(), Violation> {
    let (was, is) = (&before.state, &after.state);
    let mut fixed = Arc::clone(&was.head);
    if matches!(event, Event::Repin(_)) {
        Arc::make_mut(&mut fixed).version = is.head.version;
    }
    if fixed != is.head || was.started_at != is.started_at || was.deadline != is.deadline {
        return fail(after, Rule::WrittenOnce, "what is fixed at the start changed");
    }
    if was.revision != is.revision {
        return fail(after, Rule::Sequence, "the revision is set by whoever commits, not by the machine");
    }
    if is.updated_at < was.updated_at || is.nondeterministic < was.nondeterministic || (was.late && !is.late) {
        return fail(after, Rule::Sequence, "time or a counter went back");
    }
    Ok(())
}

fn history(before: &Saga, change: &Changed) -> Result<(), Violation> {
    let first = before.state.history_length;
    let numbered = change.history.iter().zip(first..).all(|(entry, expected)| entry.sequence == expected);
    let length = change.history.len() as u64;
    if !numbered || change.saga.state.history_length != first + length {
        return fail(&change.saga, Rule::Sequence, "history entries are not numbered without gaps");
    }
    if change.history.iter().any(|entry| entry.at != change.saga.state.updated_at) {
        return fail(&change.saga, Rule::Sequence, "a history entry bears another time than its change");
    }
    Ok(())
}

/// Only people un-park.
fn parking(before: &Saga, event: &Event, after: &Saga) -> Result<(), Violation> {
    let unparked = before.state.parked.is_some() && after.state.parked.is_none();
    let resumed = before.state.paused.is_some() && after.state.paused.is_none();
    let missing = |parked: &Parked| parked.reason == StuckReason::DefinitionOrParticipantMissing;
    let found = matches!(event, Event::Repin(_)) && before.state.parked.as_ref().is_some_and(missing);
    if unparked && !found && !matches!(event, Event::Retry { .. }) {
        return fail(after, Rule::Contradiction, "un-parked though nobody asked for it");
    }
    if resumed && !matches!(event, Event::Resume(_)) {
        return fail(after, Rule::Contradiction, "resumed though nobody asked for it");
    }
    Ok(())
}

fn counters(was: View<'_>, is: View<'_>, operation: Operation) -> Result<(), Violation> {
    let (before, after) = (was.operation(operation), is.operation(operation));
    if after.attempt < before.attempt || after.attempt > before.attempt + 1 {
        let what = format!("attempt {} followed attempt {}", after.attempt, before.attempt);
        return Err(is.violation(Rule::Sequence, operation, what));
    }
    if before.begun_at.is_some() && after.begun_at.is_none() {
        return Err(is.violation(Rule::WrittenOnce, operation, "its beginning was forgotten"));
    }
    if after.quiet_at < before.quiet_at {
        return Err(is.violation(Rule::DoubtForgotten, operation, "an attempt on its way was forgotten"));
    }
    Ok(())
}

/// Requests and outputs are written once, with their bytes beside them.
fn payloads(was: View<'_>, is: View<'_>, operation: Operation, change: &Changed) -> Result<(), Violation> {
    let (before, after) = (was.operation(operation), is.operation(operation));
    let request = (before.request, after.request, PayloadKey::Request(is.index, operation));
    let output = (before.output, after.output, PayloadKey::Output(is.index, operation));
    for (before, after, key) in [request, output] {
        if before.is_some() && after != before {
            return Err(is.violation(Rule::WrittenOnce, operation, format!("{key:?} changed")));
        }
        let written: Vec<Digest> =
            change.payloads.iter().filter(|(other, _)| *other == key).map(|(_, payload)| payload.digest()).collect();
        let expected: Vec<Digest> = if before.is_none() { after.into_iter().collect() } else { Vec::new() };
        if written != expected {
            return Err(is.violation(Rule::WrittenOnce, operation, format!("{key:?}: bytes and digest differ")));
        }
    }
    Ok(())
}

/// What is done stays done. Only a compensation that had found nothing to undo may have to run again.
fn settled_stays(was: View<'_>, is: View<'_>) -> Result<(), Violation> {
    let residue = was.saga.state.phase == Phase::ForceStopped;
    for operation in [Operation::Action, Operation::Compensate, Operation::Confirm] {
        let (before, after) = (was.operation(operation).status, is.operation(operation).status);
        let again = operation == Operation::Compensate && was.found_nothing_to_undo();
        let settled = match before {
            OperationStatus::Succeeded => !again,
            OperationStatus::Skipped(_) => !residue,
            OperationStatus::Idle
            | OperationStatus::Ready
            | OperationStatus::InFlight { .. }
            | OperationStatus::Retry { .. }
            | OperationStatus::Asking
            | OperationStatus::Pending { .. }
            | OperationStatus::Rejected
            | OperationStatus::GaveUp
            | OperationStatus::Stuck { .. } => false,
        };
        if settled && after != before {
            return Err(is.violation(Rule::WrittenOnce, operation, format!("{before:?} changed to {after:?}")));
        }
    }
    Ok(())
}

/// Doubt ends with a success, a refusal that is final, or the news that the key was never ours (semantics A1, A2, A9).
fn doubt_cleared(was: View<'_>, is: View<'_>, event: &Event) -> Result<(), Violation> {
    if !was.state.action.uncertain || is.state.action.uncertain {
        return Ok(());
    }
    let last_word = match event {
        Event::Answered { step, operation: Operation::Action, outcome, .. } if *step == is.index => {
            let key_reused = matches!(outcome, Outcome::Unknown { doubt: Doubt::KeyReused, .. });
            key_reused || matches!(outcome, Outcome::Rejected { last_word: true, .. })
        }
        Event::CalledBack { step, operation: Operation::Action, verdict, .. } if *step == is.index => {
            matches!(verdict, Verdict::Rejected { last_word: true, .. })
        }
        _ => false,
    };
    // Once its compensation was called, an action may be refused because of that.
    if last_word && was.state.compensate.attempt == 0 {
        return Ok(());
    }
    Err(is.violation(Rule::DoubtForgotten, Operation::Action, "doubt was cleared by something that doesn't end it"))
}
