//! The API's enum values as the words of lists, filters and messages: `stuck`, `retries_exhausted`, `no_answer`.
//!
//! Never invents a word: each is the value's name without the enum's prefix, in lower case. A value that this program
//! doesn't know yet is shown by its number, so that an old client still works with a new coordinator.

use amends_proto::v1;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $enum:ty, $prefix:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(value: i32) -> String {
            match <$enum>::try_from(value) {
                Ok(known) => word(known.as_str_name(), $prefix),
                Err(_) => format!("{} {value}", stringify!($name)),
            }
        }
    )*};
}

words! {
    /// Where a saga stands.
    status: v1::SagaStatus, "SAGA_STATUS_";
    /// What it is working at.
    phase: v1::SagaPhase, "SAGA_PHASE_";
    /// Why it compensates.
    cause: v1::DecisionCause, "DECISION_CAUSE_";
    /// Why it is stuck.
    stuck_reason: v1::StuckReason, "STUCK_REASON_";
    /// What it waits for.
    waiting_reason: v1::WaitingReason, "WAITING_REASON_";
    /// What a step left.
    effect: v1::Effect, "EFFECT_";
    /// What is called.
    operation: v1::Operation, "OPERATION_";
    /// Where an operation stands.
    operation_status: v1::OperationStatus, "OPERATION_STATUS_";
    /// What became of an attempt.
    outcome: v1::OutcomeKind, "OUTCOME_KIND_";
    /// Why an outcome is unknown.
    doubt: v1::Doubt, "DOUBT_";
    /// What a history entry records.
    history_kind: v1::HistoryKind, "HISTORY_KIND_";
    /// What a code means.
    code_meaning: v1::CodeMeaning, "CODE_MEANING_";
    /// What a participant says of an effect.
    reconcile_answer: v1::ReconcileAnswer, "RECONCILE_ANSWER_";
    /// Where a batch stands.
    batch_status: v1::BatchStatus, "BATCH_STATUS_";
    /// What is done to each saga of a batch.
    batch_verb: v1::BatchVerb, "BATCH_VERB_";
    /// What became of one saga of a batch.
    item_status: v1::BatchItemStatus, "BATCH_ITEM_STATUS_";
    /// What a participant's breaker does.
    breaker_state: v1::BreakerState, "BREAKER_STATE_";
    /// What became of what somebody tried.
    audit_result: v1::AuditResult, "AUDIT_RESULT_";
    /// Whether a participant's breaker works.
    breaker_mode: v1::BreakerMode, "BREAKER_MODE_";
}

/// Empty for `UNSPECIFIED`, which means that there is nothing to show.
fn word(name: &str, prefix: &str) -> String {
    match name.strip_prefix(prefix).unwrap_or(name) {
        "UNSPECIFIED" => String::new(),
        name => name.to_ascii_lowercase(),
    }
}

/// `-` for an empty text, so that a table has no holes.
pub(crate) fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// `code: message`, or whichever of them there is.
pub(crate) fn said(code: &str, message: &str) -> String {
    match (code.is_empty(), message.is_empty()) {
        (false, false) => format!("{code}: {message}"),
        (true, _) => message.to_owned(),
        (_, true) => code.to_owned(),
    }
}

/// `step operation`, or whichever of them there is.
pub(crate) fn place(step: &str, of: i32) -> String {
    format!("{step} {}", operation(of)).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_names_without_their_prefix() {
        assert_eq!(status(v1::SagaStatus::ForceStopped.into()), "force_stopped");
        assert_eq!(doubt(v1::Doubt::Unspecified.into()), "");
        assert_eq!(effect(99), "effect 99");
    }
}
