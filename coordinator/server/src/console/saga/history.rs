//! The history of a saga, entry by entry.
//!
//! Pure. Invariant: nothing that an entry says is left out of its row.

use amends_proto::v1;

use super::super::text::{self, When, when};

/// One entry.
pub(super) struct HistoryRow {
    pub(super) sequence: u64,
    pub(super) revision: u64,
    pub(super) time: Option<When>,
    pub(super) what: String,
    pub(super) class: &'static str,
    /// Step, operation and attempt.
    pub(super) about: String,
    /// What was said, by whom, why.
    pub(super) said: String,
    /// What is rarely needed: names and values.
    pub(super) more: Vec<(&'static str, String)>,
    pub(super) next: Option<When>,
}

impl HistoryRow {
    pub(super) fn of(entry: &v1::HistoryEntry) -> Self {
        let mut what = text::word(entry.kind().as_str_name(), "HISTORY_KIND_");
        if entry.outcome() != v1::OutcomeKind::Unspecified {
            what = format!("{what}: {}", text::word(entry.outcome().as_str_name(), "OUTCOME_KIND_"));
        }
        if entry.doubt() != v1::Doubt::Unspecified {
            what = format!("{what} ({})", text::word(entry.doubt().as_str_name(), "DOUBT_"));
        }
        let mut about = entry.step.clone();
        if entry.operation() != v1::Operation::Unspecified {
            about = format!("{about} {}", text::operation(entry.operation()));
        }
        if entry.attempt > 0 {
            about = format!("{about} #{}", entry.attempt);
        }
        let who = if entry.principal.is_empty() { String::new() } else { format!("by {}", entry.principal) };
        let said = [&entry.code, &entry.message, &who, &entry.reason];
        let said: Vec<&str> = said.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        Self {
            sequence: entry.sequence,
            revision: entry.revision,
            time: when(&entry.time),
            class: class(entry),
            said: said.join(" · "),
            more: more(entry),
            next: when(&entry.next_attempt_time),
            what,
            about,
        }
    }
}

fn more(entry: &v1::HistoryEntry) -> Vec<(&'static str, String)> {
    let took = entry.duration.as_ref().map(|it| text::millis(millis(it))).unwrap_or_default();
    let began = entry.start_time.as_ref().map(precise).unwrap_or_default();
    let all = [
        ("began", began),
        ("took", took),
        ("endpoint", entry.endpoint.clone()),
        ("node", entry.node.clone()),
        ("epoch", if entry.epoch == 0 { String::new() } else { entry.epoch.to_string() }),
        ("trace", entry.trace_id.clone()),
        ("request sha-256", entry.request_digest.clone()),
        ("reply sha-256", entry.reply_digest.clone()),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn precise(time: &pbjson_types::Timestamp) -> String {
    jiff::Timestamp::new(time.seconds, time.nanos).map(|time| time.to_string()).unwrap_or_default()
}

/// A duration, which is never negative here.
pub(super) fn millis(duration: &pbjson_types::Duration) -> u64 {
    let seconds = u64::try_from(duration.seconds).unwrap_or_default();
    seconds.saturating_mul(1000) + u64::try_from(duration.nanos / 1_000_000).unwrap_or_default()
}

fn class(entry: &v1::HistoryEntry) -> &'static str {
    use v1::HistoryKind as K;
    match entry.kind() {
        K::Stuck | K::Parked | K::ForceStopped | K::PrepareFailed | K::OutputDiffers => "bad",
        K::CompensationDecided | K::Compensated | K::CancelRecorded | K::Late | K::PendingExpired => "undo",
        K::Completed => "ok",
        K::AttemptEnded | K::LateAnswer => outcome(entry.outcome()),
        K::Paused | K::Skipped => "held",
        _ => "plain",
    }
}

/// The class of what became of an attempt.
pub(super) fn outcome(outcome: v1::OutcomeKind) -> &'static str {
    match outcome {
        v1::OutcomeKind::Succeeded => "ok",
        v1::OutcomeKind::Rejected => "bad",
        v1::OutcomeKind::Pending => "busy",
        v1::OutcomeKind::Unknown => "undo",
        v1::OutcomeKind::NotFound | v1::OutcomeKind::NotSent | v1::OutcomeKind::Unspecified => "held",
    }
}
