//! What people may change without any step's moving: the version that a saga is on, and that somebody looks after it.
//!
//! Invariants: what was called means the same in the version that a saga moves to (semantics A12), and only a repin moves one; an
//! acknowledgement changes nothing but itself, and is about what was stuck when it was made.

use std::sync::Arc;

use amends_engine::event::Event;
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::saga::{OperationState, OperationStatus, Saga};

use super::fail;
use crate::view::{OPERATIONS, View, steps};
use crate::violation::{Rule, Violation};

pub(super) fn check(before: &Saga, event: &Event, after: &Saga) -> Result<(), Violation> {
    acknowledgement(before, event, after)?;
    if matches!(event, Event::Repin(_)) {
        return repinned(before, after);
    }
    let same = Arc::ptr_eq(&before.definition, &after.definition) || before.definition == after.definition;
    if same { Ok(()) } else { fail(after, Rule::OtherMeaning, "its definition changed, and nobody asked for it") }
}

fn acknowledgement(before: &Saga, event: &Event, after: &Saga) -> Result<(), Violation> {
    let is = &after.state.acknowledgement;
    if matches!(event, Event::Acknowledge(_)) {
        let mut expected = before.state.clone();
        expected.acknowledgement = is.clone();
        (expected.history_length, expected.updated_at) = (after.state.history_length, after.state.updated_at);
        let alone = expected == after.state && before.definition == after.definition;
        return if alone {
            Ok(())
        } else {
            fail(after, Rule::MoreThanSaid, "an acknowledgement changed something else")
        };
    }
    if is.is_some() && *is != before.state.acknowledgement {
        return fail(after, Rule::MoreThanSaid, "acknowledged, and nobody did");
    }
    let known = before.all_stuck();
    if is.is_some() && after.all_stuck().iter().any(|stuck| !known.contains(stuck)) {
        return fail(after, Rule::MoreThanSaid, "what got stuck later counts as acknowledged");
    }
    Ok(())
}

fn has_happened(state: &OperationState) -> bool {
    let asked_at_most = matches!(state.status, OperationStatus::Idle | OperationStatus::Ready);
    !asked_at_most || state.attempt > 0 || state.request.is_some() || state.uncertain || state.last.is_some()
}

fn is_touched(view: View<'_>) -> bool {
    OPERATIONS.iter().any(|operation| has_happened(view.operation(*operation)))
}

fn is_called(view: View<'_>) -> bool {
    let sent = |operation: &Operation| {
        let state = view.operation(*operation);
        state.attempt > 0 || state.request.is_some()
    };
    view.may_stand() || OPERATIONS.iter().any(sent)
}

fn repinned(before: &Saga, after: &Saga) -> Result<(), Violation> {
    let there = &after.definition;
    if before.definition.name() != there.name() || after.state.head.version != there.version() {
        return fail(after, Rule::OtherMeaning, "it is on a version that isn't one of its definition");
    }
    if before.state.phase != after.state.phase && before.state.phase != amends_engine::saga::Phase::Running {
        return fail(after, Rule::OtherMeaning, "moving to another version ended it");
    }
    let called: Vec<StepIndex> = steps(before).filter(|view| is_called(*view)).map(|view| view.index).collect();
    for view in steps(before).filter(|view| is_touched(*view)) {
        let complain = |what| Err(view.violation(Rule::OtherMeaning, Operation::Action, what));
        let Some(step) = there.steps().get(view.index.get()).filter(|step| step.name == view.step().name) else {
            return complain("it had begun, and isn't there any more");
        };
        let side = |saga: &Saga| {
            saga.definition.pivot().map(|pivot| (pivot == view.index, saga.definition.is_before(pivot, view.index)))
        };
        if side(before).unwrap_or_default() != side(after).unwrap_or_default() {
            return complain("it had begun, and is on another side of the pivot there");
        }
        let ordered = |other: &StepIndex| {
            let was = before.definition.is_before(*other, view.index);
            was == there.is_before(*other, view.index)
        };
        if !there.indices().filter(|other| other.get() < before.definition.steps().len()).all(|other| ordered(&other)) {
            return complain("it had begun, and other steps come before it there");
        }
        if !called.contains(&view.index) {
            continue;
        }
        let here = view.step();
        let same_kind = std::mem::discriminant(&here.compensate) == std::mem::discriminant(&step.compensate);
        let same_confirm = here.confirm.is_some() == step.confirm.is_some();
        if here.participant != step.participant || !same_kind || !same_confirm {
            return complain("it was called, and is another step there");
        }
    }
    match steps(after).find(|view| view.index.get() >= before.state.steps.len() && is_called(*view)) {
        Some(view) => Err(view.violation(Rule::OtherMeaning, Operation::Action, "it was called before it was there")),
        None => Ok(()),
    }
}
