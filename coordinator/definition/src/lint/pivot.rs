//! The rules about turning back: what can be undone, and where the point of no return is.
//!
//! They are those of design §4 and semantics A3, A8 and A18. Invariant: with no finding here, a saga that turns back can
//! undo every step that it may have begun, or the definition says why not.

use super::Order;
use crate::document::{Document, MappedOutcome, Protocol, StepText};
use crate::finding::Findings;
use crate::rules;

pub(super) fn check(document: &Document, order: Option<&Order>, findings: &mut Findings) {
    let mut pivots = document.steps.iter().enumerate().filter(|(_, step)| step.pivot.is_some());
    let pivot = pivots.next();
    for (_, second) in pivots {
        if let Some(place) = second.pivot {
            findings.about(Some(second.name.as_str()));
            let message = "a saga has one point of no return, and this is a second `pivot`";
            findings.error(rules::SECOND_PIVOT, place, message, "keep the one after which there is no way back");
        }
    }
    if let Some((_, step)) = pivot {
        findings.about(Some(step.name.as_str()));
        check_pivot(step, findings);
    }
    if let Some(order) = order {
        for (index, step) in document.steps.iter().enumerate() {
            findings.about(Some(step.name.as_str()));
            check_step(step, index, pivot, order, findings);
        }
    }
    findings.about(None);
}

fn check_pivot(step: &StepText, findings: &mut Findings) {
    if let Some(when) = &step.when {
        let message = "a pivot with `when` may be skipped, and the steps after it could then never be undone";
        findings.error(rules::CONDITIONAL_PIVOT, when.place(), message, "put the condition on other steps");
    }
    let already_exists = step.action.codes.get("ALREADY_EXISTS");
    if let Some(outcome) = already_exists.filter(|outcome| outcome.value == MappedOutcome::Rejected) {
        let message = "a pivot that reads ALREADY_EXISTS as rejected undoes the saga when only its repeat was refused";
        let mend = "leave it out (it is unknown then, and a `query` settles it), or map it to `succeeded`";
        findings.error(rules::PIVOT_ALREADY_EXISTS, outcome.place, message, mend);
    }
    let conflict = step.action.codes.get("409").filter(|outcome| outcome.value == MappedOutcome::Rejected);
    if let Some(outcome) = conflict.filter(|_| step.action.call.protocol() == Protocol::Http) {
        let message = "many services answer a repeat with 409: a pivot that reads it as rejected undoes the saga then";
        let mend = "map it only if the service never answers a repeat so; else leave it out, and add a `query`";
        findings.warning(rules::PIVOT_ALREADY_EXISTS, outcome.place, message, mend);
    }
    if step.action.may_be_pending() && step.within.is_none() && step.query.is_none() {
        let message = "a pivot that may be pending could stay so for ever: the saga can neither go on nor turn back";
        let mend = "add `within: 1h` for its longest time, or a `query` that asks";
        findings.error(rules::PENDING_PIVOT, step.pivot.unwrap_or(step.place), message, mend);
    }
}

fn check_step(
    step: &StepText,
    index: usize,
    pivot: Option<(usize, &StepText)>,
    order: &Order,
    findings: &mut Findings,
) {
    if let Some((pivot_index, pivot)) = pivot {
        if index == pivot_index || order.is_before(pivot_index, index) {
            return;
        }
        if !order.is_before(index, pivot_index) {
            let message = format!(
                "it is neither before nor after the pivot `{}`, so that nobody knows if it must be undone",
                pivot.name
            );
            let mend = format!("add it to the `after` of `{}`, or `{}` to its own", pivot.name, pivot.name);
            findings.error(rules::BESIDE_THE_PIVOT, step.place, message, mend);
        }
    }
    if step.compensate.is_none() {
        let message = match pivot {
            Some(_) => "it comes before the pivot and can't be undone when the saga turns back",
            None => "it can't be undone when the saga turns back",
        };
        let mend = "add `compensate: { call: … }`, or `compensate: { none: \"why nothing needs undoing\" }`; \
                    or make it the `pivot: true`";
        findings.error(rules::NO_COMPENSATION, step.place, message, mend);
    }
}
