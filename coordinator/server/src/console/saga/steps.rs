//! The steps of a saga with their operations.
//!
//! Pure. Invariant: the last thing that a participant said stands beside the operation that it said it to.

use amends_definition::Document;
use amends_proto::v1;

use super::super::text::{self, When, when};
use super::payload::{self, Shown};

/// One step.
pub(super) struct StepRow {
    pub(super) name: String,
    pub(super) participant: String,
    pub(super) pivot: bool,
    pub(super) skipped: bool,
    pub(super) effect: String,
    pub(super) effect_class: &'static str,
    pub(super) operations: Vec<OperationRow>,
}

/// One operation of it that has begun, or that has to be called.
pub(super) struct OperationRow {
    pub(super) word: String,
    /// What is called; empty where the definition isn't at hand.
    pub(super) method: String,
    pub(super) status: String,
    pub(super) class: &'static str,
    pub(super) attempts: String,
    pub(super) next: Option<When>,
    /// What was said last.
    pub(super) last: String,
    pub(super) last_time: Option<When>,
    pub(super) output: Option<Shown>,
}

impl StepRow {
    pub(super) fn of(step: &v1::Step, document: Option<&Document>) -> Self {
        let (effect, effect_class) = match step.effect() {
            v1::Effect::None | v1::Effect::Unspecified => ("", "plain"),
            v1::Effect::Possible => ("may have happened", "held"),
            v1::Effect::Stands => ("stands", "ok"),
            v1::Effect::Undone => ("undone", "undo"),
        };
        let begun = |it: &&v1::OperationState| {
            it.operation() == v1::Operation::Action || it.status() != v1::OperationStatus::NotStarted
        };
        let row = |it: &v1::OperationState| OperationRow::of(it, &step.name, document);
        Self {
            name: step.name.clone(),
            participant: step.participant.clone(),
            pivot: step.pivot,
            skipped: step.skipped,
            effect: effect.to_owned(),
            effect_class,
            operations: step.operations.iter().filter(begun).map(row).collect(),
        }
    }
}

impl OperationRow {
    fn of(it: &v1::OperationState, step: &str, document: Option<&Document>) -> Self {
        let mut last = match it.last_outcome() {
            v1::OutcomeKind::Unspecified => String::new(),
            kind => text::word(kind.as_str_name(), "OUTCOME_KIND_"),
        };
        if it.last_doubt() != v1::Doubt::Unspecified {
            last = format!("{last} ({})", text::word(it.last_doubt().as_str_name(), "DOUBT_"));
        }
        for part in [&it.last_code, &it.last_message].into_iter().filter(|part| !part.is_empty()) {
            last = format!("{last}: {part}");
        }
        Self {
            word: text::operation(it.operation()),
            method: document.and_then(|it_is| it_is.call(step, engine(it.operation())?)).unwrap_or_default(),
            status: text::word(it.status().as_str_name(), "OPERATION_STATUS_"),
            class: class(it.status()),
            attempts: if it.attempts == 0 {
                String::new()
            } else {
                text::counted(it.attempts.into(), "attempt", "attempts")
            },
            next: when(&it.next_attempt_time),
            last,
            last_time: when(&it.last_time),
            output: payload::shown(it.output.as_ref()),
        }
    }
}

/// An operation in the words of the definition.
pub(super) fn engine(operation: v1::Operation) -> Option<amends_engine::ids::Operation> {
    use amends_engine::ids::Operation;
    match operation {
        v1::Operation::Action => Some(Operation::Action),
        v1::Operation::Compensate => Some(Operation::Compensate),
        v1::Operation::Confirm => Some(Operation::Confirm),
        v1::Operation::Query => Some(Operation::Query),
        v1::Operation::Unspecified => None,
    }
}

fn class(status: v1::OperationStatus) -> &'static str {
    use v1::OperationStatus as S;
    match status {
        S::Succeeded => "ok",
        S::Preparing | S::Calling | S::Asking => "busy",
        S::Retrying | S::Pending => "undo",
        S::Rejected | S::GaveUp | S::Stuck => "bad",
        S::Skipped => "held",
        S::NotStarted | S::Unspecified => "plain",
    }
}
