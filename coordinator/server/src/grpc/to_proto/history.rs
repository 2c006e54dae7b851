//! What happened to a saga.

use amends_engine::history::Change;
use amends_engine::outcome::OutcomeKind;
use amends_engine::saga::Cause;
use amends_proto::v1;
use amends_runtime::Snapshot;
use amends_store::record::RecordedEntry;

use super::{operation, outcome, timestamp};

/// One change. The names of its step and definition are the snapshot's.
pub(crate) fn history_entry(recorded: &RecordedEntry, snapshot: &Snapshot) -> v1::HistoryEntry {
    let entry = &recorded.entry;
    let Told { kind, outcome: of_attempt, word } = told(&entry.change);
    let (outcome_kind, doubt) = of_attempt.map_or((v1::OutcomeKind::Unspecified, v1::Doubt::Unspecified), outcome);
    let step = entry.step.and_then(|step| snapshot.saga.definition.steps().get(step.get()));
    let call = entry.call.as_ref();
    let by = entry.by.as_ref();
    v1::HistoryEntry {
        // Counted from 1 outside, so that 0 can stand for "none seen yet".
        sequence: entry.sequence.saturating_add(1),
        revision: recorded.revision,
        time: Some(timestamp(entry.at)),
        kind: kind.into(),
        step: step.map(|step| step.name.to_string()).unwrap_or_default(),
        operation: entry.operation.map_or(v1::Operation::Unspecified, operation).into(),
        attempt: entry.attempt.unwrap_or_default(),
        outcome: outcome_kind.into(),
        doubt: doubt.into(),
        code: word.unwrap_or_else(|| entry.why.code.clone()),
        message: entry.why.message.clone(),
        start_time: call.map(|call| timestamp(call.started_at)),
        duration: call.map(|call| call.duration.into()),
        node: recorded.node.clone(),
        epoch: recorded.epoch.0,
        endpoint: call.map(|call| call.endpoint.clone()).unwrap_or_default(),
        trace_id: call.map(|call| call.trace_id.clone()).unwrap_or_default(),
        request_digest: entry.request.map(|digest| digest.to_string()).unwrap_or_default(),
        reply_digest: call.and_then(|call| call.reply).map(|digest| digest.to_string()).unwrap_or_default(),
        next_attempt_time: entry.next_due.map(timestamp),
        principal: by.map(|by| by.principal.clone()).unwrap_or_default(),
        reason: by.map(|by| by.reason.clone()).unwrap_or_default(),
    }
}

/// A change in the API's words.
struct Told {
    kind: v1::HistoryKind,
    /// Of the attempt that the change is about.
    outcome: Option<OutcomeKind>,
    /// A word that says more than the kind, in place of a participant's code.
    word: Option<String>,
}

fn told(change: &Change) -> Told {
    use v1::HistoryKind as K;
    let plain = |kind| Told { kind, outcome: None, word: None };
    match change {
        Change::Started => plain(K::Started),
        Change::ConditionFalse => plain(K::ConditionFalse),
        Change::PrepareFailed => plain(K::PrepareFailed),
        Change::AttemptEnded(kind) => Told { outcome: Some(*kind), ..plain(K::AttemptEnded) },
        Change::LateAnswer(kind) => Told { outcome: Some(*kind), ..plain(K::LateAnswer) },
        Change::Nondeterministic => plain(K::OutputDiffers),
        Change::CalledBack(kind) => Told { outcome: Some(*kind), ..plain(K::CalledBack) },
        Change::PendingExpired => plain(K::PendingExpired),
        Change::DecidedToCompensate(cause) => {
            Told { word: Some(cause_word(cause).to_owned()), ..plain(K::CompensationDecided) }
        }
        Change::DecidedToConfirm => plain(K::ConfirmationDecided),
        Change::CancelRecorded => plain(K::CancelRecorded),
        Change::Late => plain(K::Late),
        Change::Stuck(reason) => Told { word: Some(reason.as_str().to_owned()), ..plain(K::Stuck) },
        Change::Parked(reason) => Told { word: Some(reason.as_str().to_owned()), ..plain(K::Parked) },
        Change::Retried => plain(K::Retried),
        Change::Skipped => plain(K::Skipped),
        Change::ResolvedAsHappened => plain(K::ResolvedAsHappened),
        Change::ResolvedAsNotHappened => plain(K::ResolvedAsNotHappened),
        Change::Paused => plain(K::Paused),
        Change::Resumed => plain(K::Resumed),
        Change::Completed => plain(K::Completed),
        Change::Compensated => plain(K::Compensated),
        Change::ForceStopped => plain(K::ForceStopped),
        Change::Acknowledged => plain(K::Acknowledged),
        Change::Repinned(version) => Told { word: Some(version.to_string()), ..plain(K::Repinned) },
    }
}

/// The word of `DecisionCause` in lower case.
fn cause_word(cause: &Cause) -> &'static str {
    match cause {
        Cause::Rejected(_) => "rejected",
        Cause::GaveUp(_) => "gave_up",
        Cause::ExpressionFailed(_) => "expression_failed",
        Cause::Cancelled(_) => "cancelled",
        Cause::Deadline => "deadline",
        Cause::ResolvedAsNotHappened(_) => "resolved_as_not_happened",
    }
}
