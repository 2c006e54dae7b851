//! One saga as one row: what lists and changes print.
//!
//! Never hides that somebody has to act: a stuck saga's reason stands in its row.

use amends_proto::v1::{Saga, SagaStatus};
use comfy_table::Cell;
use pbjson_types::Timestamp;

use crate::output::{Tone, cell, table};
use crate::words;

const HEADER: [&str; 6] = ["ID", "DEFINITION", "STATUS", "REASON", "FOR", "AGE"];

/// A table of sagas.
pub(super) fn sagas(sagas: &[Saga]) -> String {
    table(&HEADER, sagas.iter().map(row))
}

fn row(saga: &Saga) -> Vec<Cell> {
    let tone = tone(saga);
    let (reason, since) = reason(saga);
    vec![
        cell(&saga.id, Tone::Plain),
        cell(definition(saga), Tone::Plain),
        cell(status(saga), tone),
        cell(words::or_dash(&reason), tone),
        cell(crate::time::age(since), Tone::Plain),
        cell(crate::time::age(saga.create_time.as_ref()), Tone::Plain),
    ]
}

/// Name and version; `-` for a saga whose record can't be read.
fn definition(saga: &Saga) -> String {
    if saga.definition.is_empty() { "-".to_owned() } else { format!("{} v{}", saga.definition, saga.version) }
}

/// The status word, with the alarm beside it.
pub(super) fn status(saga: &Saga) -> String {
    let late = if saga.late && saga.end_time.is_none() { " (late)" } else { "" };
    words::status(saga.status) + late
}

/// What the status calls for.
pub(super) fn tone(saga: &Saga) -> Tone {
    match saga.status() {
        SagaStatus::Stuck | SagaStatus::ForceStopped => Tone::Bad,
        SagaStatus::Completed => Tone::Good,
        SagaStatus::Compensating | SagaStatus::Compensated | SagaStatus::Paused => Tone::Notable,
        _ if saga.late => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// Why it stands where it stands, and since when: stuck before waiting before the decision to compensate.
fn reason(saga: &Saga) -> (String, Option<&Timestamp>) {
    if let Some(stuck) = saga.stuck.first() {
        return (at(words::stuck_reason(stuck.reason), &stuck.step, stuck.operation), stuck.since.as_ref());
    }
    if let Some(waiting) = saga.waiting.first() {
        return (at(words::waiting_reason(waiting.reason), &waiting.step, waiting.operation), waiting.since.as_ref());
    }
    match &saga.decision {
        Some(decision) => (at(words::cause(decision.cause), &decision.step, 0), decision.time.as_ref()),
        None => (String::new(), None),
    }
}

fn at(reason: String, step: &str, operation: i32) -> String {
    if step.is_empty() { reason } else { format!("{reason} at {}", words::place(step, operation)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amends_proto::v1::{Stuck, StuckReason};

    #[test]
    fn a_saga_that_cant_be_read_has_its_row() {
        let poison = Stuck { reason: StuckReason::Poison.into(), ..Stuck::default() };
        let id = "order-1".to_owned();
        let saga = Saga { id, status: SagaStatus::Stuck.into(), stuck: vec![poison], ..Saga::default() };
        let cells: Vec<String> = row(&saga).iter().map(Cell::content).collect();
        assert_eq!(cells, ["order-1", "-", "stuck", "poison", "-", "-"]);
    }
}
