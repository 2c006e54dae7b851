//! History entries as lines: when, what, where, and what was said.

use amends_proto::v1::{HistoryEntry, HistoryKind, OutcomeKind};
use comfy_table::Cell;

use crate::output::{Tone, cell, table};
use crate::time::{instant, span_of};
use crate::words;

/// A table of entries.
pub(super) fn entries(entries: &[HistoryEntry]) -> String {
    table(&["TIME", "WHAT", "WHERE", "DETAIL"], entries.iter().map(cells))
}

fn cells(entry: &HistoryEntry) -> Vec<Cell> {
    vec![
        cell(instant(entry.time.as_ref()), Tone::Plain),
        cell(what(entry), tone(entry)),
        cell(words::or_dash(&words::place(&entry.step, entry.operation)), Tone::Plain),
        cell(words::or_dash(&detail(entry)), Tone::Plain),
    ]
}

/// One entry as a line of a stream, with columns wide enough for the usual.
pub(super) fn line(entry: &HistoryEntry) -> String {
    let place = words::place(&entry.step, entry.operation);
    let line = format!("{}  {:<30}  {place:<28}  {}", instant(entry.time.as_ref()), what(entry), detail(entry));
    line.trim_end().replace(char::is_control, " ") + "\n"
}

fn what(entry: &HistoryEntry) -> String {
    let outcome = match words::doubt(entry.doubt).as_str() {
        "" => words::outcome(entry.outcome),
        doubt => format!("{} ({doubt})", words::outcome(entry.outcome)),
    };
    match entry.kind() {
        HistoryKind::AttemptEnded => format!("attempt {} {outcome}", entry.attempt),
        HistoryKind::LateAnswer => format!("late answer: {outcome}"),
        HistoryKind::CalledBack => format!("called back: {outcome}"),
        _ => words::history_kind(entry.kind).replace('_', " "),
    }
}

fn tone(entry: &HistoryEntry) -> Tone {
    match (entry.kind(), entry.outcome()) {
        (HistoryKind::Stuck | HistoryKind::Parked | HistoryKind::ForceStopped, _) => Tone::Bad,
        (HistoryKind::Completed, _) => Tone::Good,
        (HistoryKind::CompensationDecided | HistoryKind::Compensated | HistoryKind::Late, _) => Tone::Notable,
        (_, OutcomeKind::Rejected | OutcomeKind::Unknown | OutcomeKind::NotSent) => Tone::Notable,
        _ => Tone::Plain,
    }
}

fn detail(entry: &HistoryEntry) -> String {
    let mut parts = vec![words::said(&entry.code, &entry.message)];
    if let Some(duration) = &entry.duration {
        parts.push(format!("took {}", span_of(duration)));
    }
    if let Some(next) = &entry.next_attempt_time {
        parts.push(format!("next attempt {}", instant(Some(next))));
    }
    parts.push(match (entry.principal.is_empty(), entry.reason.is_empty()) {
        (false, false) => format!("by {}: {}", entry.principal, entry.reason),
        (false, true) => format!("by {}", entry.principal),
        (true, _) => entry.reason.clone(),
    });
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}
