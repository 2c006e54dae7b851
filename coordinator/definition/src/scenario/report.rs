//! What came of one scenario, for people and programs.
//!
//! Only data and its wording. Invariant: a passed scenario has no complaint, a failed one at least one.

use std::time::Duration;

use amends_engine::history::{Change, HistoryEntry};
use amends_engine::outcome::{Doubt, OutcomeKind};
use amends_engine::saga::Cause;
use amends_engine::time::Timestamp;

use super::operation_name;
use crate::compiled::Compiled;
use crate::finding::Place;

/// What came of one scenario.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// Where it is written.
    pub place: Place,
    /// What differs from what was expected, in sentences; empty for a scenario that passed.
    pub complaints: Vec<String>,
    /// The calls that were made beside those that were expected; empty where no calls were expected.
    pub calls: Vec<CallLine>,
    /// What happened, in order.
    pub timeline: Vec<Moment>,
    /// How the saga ended: `completed`, `stuck: pivot_unknown` …
    pub ended: String,
    /// How long it took, in virtual time.
    pub took: Duration,
}

impl Report {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.complaints.is_empty()
    }
}

/// Which list an operation stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Expected and made.
    Same,
    /// Expected, but not made (there, or so often).
    Missing,
    /// Made, but not expected.
    Unexpected,
}

/// One operation in the comparison of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallLine {
    /// Which list it stands in.
    pub mark: Mark,
    /// `charge.action`, with the number of attempts where it isn't one.
    pub text: String,
}

/// Something that happened, and when in virtual time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Since the saga was started.
    pub at: Duration,
    /// What.
    pub text: String,
}

impl Moment {
    pub(super) fn new(at: Timestamp, text: impl Into<String>) -> Self {
        Self { at: at.since(Timestamp::default()), text: text.into() }
    }

    /// A line of the history.
    pub(super) fn of(entry: &HistoryEntry, compiled: &Compiled) -> Self {
        let mut text = String::new();
        if let (Some(step), Some(operation)) = (entry.step, entry.operation) {
            text = operation_name(compiled, (step, operation));
        } else if let Some(step) = entry.step {
            text = compiled.engine().step(step).name.to_string();
        }
        if let Some(attempt) = entry.attempt {
            text += &format!(" #{attempt}");
        }
        text += if text.is_empty() { "" } else { ": " };
        text += &change(&entry.change, compiled);
        let why = entry.why.to_string();
        if !why.is_empty() {
            text += &format!(" ({why})");
        }
        if let Some(due) = entry.next_due {
            text += &format!("; next at {}", clock(due.since(Timestamp::default())));
        }
        Self::new(entry.at, text)
    }
}

/// Virtual time: `0.010s`, `75.500s`.
pub(super) fn clock(at: Duration) -> String {
    format!("{}.{:03}s", at.as_secs(), at.subsec_millis())
}

fn change(change: &Change, compiled: &Compiled) -> String {
    let word = match change {
        Change::Started => "started",
        Change::ConditionFalse => "skipped: its `when` is false",
        Change::PrepareFailed => "its request can't be made",
        Change::AttemptEnded(kind) => return kind_word(*kind).to_owned(),
        Change::LateAnswer(kind) => return format!("a late answer: {}", kind_word(*kind)),
        Change::Nondeterministic => "another output than before",
        Change::CalledBack(kind) => return format!("the participant reports: {}", kind_word(*kind)),
        Change::PendingExpired => "pending for too long",
        Change::DecidedToCompensate(cause) => return format!("turns back: {}", cause_word(cause, compiled)),
        Change::DecidedToConfirm => "goes on to confirm",
        Change::CancelRecorded => "cancel recorded: the pivot is in doubt",
        Change::Late => "late: the deadline has passed",
        Change::Stuck(reason) => return format!("stuck: {}", reason.as_str()),
        Change::Parked(reason) => return format!("parked: {}", reason.as_str()),
        Change::Retried => "retried by an operator",
        Change::Skipped => "skipped by an operator",
        Change::ResolvedAsHappened => "resolved: it happened",
        Change::ResolvedAsNotHappened => "resolved: it did not happen",
        Change::Paused => "paused",
        Change::Resumed => "resumed",
        Change::Completed => "completed",
        Change::Compensated => "compensated",
        Change::ForceStopped => "force-stopped",
        Change::Acknowledged => "acknowledged",
        Change::Repinned(version) => return format!("moved to version {version}"),
    };
    word.to_owned()
}

fn kind_word(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Succeeded => "succeeded",
        OutcomeKind::Rejected => "rejected",
        OutcomeKind::Pending => "pending",
        OutcomeKind::NotFound => "not found",
        OutcomeKind::NotSent => "not sent",
        OutcomeKind::Unknown(doubt) => match doubt {
            Doubt::NoAnswer => "unknown: no answer",
            Doubt::Broken => "unknown: the connection broke",
            Doubt::Code => "unknown by its code",
            Doubt::Unreadable => "unknown: the reply can't be read",
            Doubt::OwnerLost => "unknown: the coordinator was lost",
            Doubt::Misconfigured => "misconfigured",
            Doubt::KeyReused => "unknown: key reused",
            Doubt::RowMissing => "unknown: barrier row missing",
            Doubt::StaleEpoch => "unknown: stale epoch",
        },
    }
}

fn cause_word(cause: &Cause, compiled: &Compiled) -> String {
    let name = |step: &amends_engine::ids::StepIndex| compiled.engine().step(*step).name.clone();
    match cause {
        Cause::Rejected(step) => format!("{} was refused", name(step)),
        Cause::GaveUp(step) => format!("{} was given up", name(step)),
        Cause::ExpressionFailed(step) => format!("an expression of {} failed", name(step)),
        Cause::Cancelled(_) => "cancelled".to_owned(),
        Cause::Deadline => "its deadline passed".to_owned(),
        Cause::ResolvedAsNotHappened(step) => format!("{} did not happen", name(step)),
    }
}
