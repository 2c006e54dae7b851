//! Every pair of state and event, pinned once: what became of it, in `tests/golden/*.txt`.
//!
//! For each phase, each operation that can be asked about and each of its statuses, every kind of event is applied to a state
//! made for the purpose (most can be reached, some can't and must be borne all the same). One line tells what became of the
//! operation and the saga, or why nothing did. `AMENDS_GOLDEN=write` writes the files anew; read the difference before you
//! commit it. The states are in `states.rs`, the events in `events.rs`.

mod events;
mod states;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use amends_engine::event::Event;
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::saga::{Phase, Saga};
use amends_engine::time::Timestamp;
use amends_engine::{Applied, apply};

use crate::render::word;
use events::events;
use states::{saga, subjects};

const NOW: Timestamp = Timestamp(5_000);
const SUBJECT: StepIndex = StepIndex(1);

/// The first step is done; the second is looked at; the third hasn't begun.
const SHAPE: &str = "before | subject tcc if query within=900000 | behind";
const PIVOT: &str = "before | subject pivot tcc query within=900000 revert | behind";

const PHASES: [Phase; 6] =
    [Phase::Running, Phase::Confirming, Phase::Compensating, Phase::Completed, Phase::Compensated, Phase::ForceStopped];

fn time_of(name: &str) -> Timestamp {
    match name {
        "due in 3 s" => Timestamp(NOW.0 + 3_000),
        "due in an hour" => Timestamp(NOW.0 + 3_600_000),
        _ => NOW,
    }
}

/// What became of it, in a few words.
fn outcome(saga: &Saga, asked: Operation, event: &Event, now: Timestamp) -> String {
    let changed = match apply(saga, event, now) {
        Err(illegal) => return format!("illegal: {illegal}"),
        Ok(Applied::Ignored(reason)) => return format!("ignored: {reason:?}"),
        Ok(Applied::Changed(changed)) => changed,
    };
    let (before, after) = (saga.operation(SUBJECT, asked), changed.saga.operation(SUBJECT, asked));
    let mut told = word(after.status, after.attempt);
    if before.status == after.status && before.attempt == after.attempt {
        told = "unchanged".to_owned();
    }
    if after.uncertain {
        told.push('?');
    }
    if changed.saga.state.phase != saga.state.phase {
        let _ = write!(told, ", then {:?}", changed.saga.state.phase);
    }
    let action = changed.saga.operation(SUBJECT, Operation::Action);
    if asked == Operation::Query {
        let _ = write!(told, ", action {}", word(action.status, action.attempt));
    }
    told
}

/// The table of one phase: by operation and event, the statuses that fare alike.
fn table(text: &str, phase: Phase) -> String {
    let mut out = format!("{phase:?}, definition: {text}\n");
    for (asked, statuses) in subjects(phase) {
        let _ = write!(out, "\n== {asked}\n");
        for (name, event) in events(asked) {
            let _ = writeln!(out, "{name}");
            let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for status in &statuses {
                let saga = saga(text, phase, asked, *status);
                let state = saga.operation(SUBJECT, asked);
                let status = word(state.status, state.attempt);
                alike.entry(outcome(&saga, asked, &event, time_of(name))).or_default().push(status);
            }
            for (outcome, statuses) in alike {
                let _ = writeln!(out, "    {}  →  {outcome}", statuses.join(" "));
            }
        }
    }
    out
}

#[test]
fn every_pair_of_state_and_event_is_decided_as_it_was() {
    let tables = PHASES.map(|phase| (format!("{phase:?}").to_lowercase(), table(SHAPE, phase)));
    let pivot = ("running-pivot".to_owned(), table(PIVOT, Phase::Running));
    for (name, table) in tables.into_iter().chain([pivot]) {
        compare(&name, &table);
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are a shell: they read and write their golden files")]
fn compare(name: &str, table: &str) {
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("AMENDS_GOLDEN").is_ok_and(|mode| mode == "write") {
        return std::fs::write(&path, table).expect("the golden file");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = golden.lines().zip(table.lines()).enumerate().find(|(_, (golden, now))| golden != now);
    if let Some((line, (golden, now))) = difference {
        panic!("{path}, line {}:\n  was {golden}\n  is  {now}\nAMENDS_GOLDEN=write writes it anew", line + 1);
    }
    assert_eq!(golden.len(), table.len(), "{path} has another length; AMENDS_GOLDEN=write writes it anew");
}
