//! One scenario from its start to its report.
//!
//! Starts the saga as the coordinator would, input and labels checked; `play.rs` does the rest. Invariant: whatever goes wrong
//! in a run, also a panic, is its report, and the other scenarios run.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use amends_engine::begin;
use amends_engine::ids::{Namespace, ParticipantName, SagaKey};
use amends_engine::payload::Payload;
use amends_engine::saga::SagaHead;
use amends_engine::time::Timestamp;

use super::Scenario;
use super::compare::{compare, ended};
use super::play::Play;
use super::report::Report;
use crate::compiled::Compiled;

/// Runs one scenario to its end.
pub(super) fn run(compiled: &Compiled, scenario: &Scenario, refusals_final: &BTreeSet<ParticipantName>) -> Report {
    let played = catch_unwind(AssertUnwindSafe(|| play(compiled, scenario, refusals_final)));
    played
        .unwrap_or_else(|_| failed(scenario, "a rule, template or expression panicked: a defect of Amends".to_owned()))
}

fn failed(scenario: &Scenario, complaint: String) -> Report {
    Report {
        name: scenario.name.clone(),
        place: scenario.place,
        complaints: vec![complaint],
        calls: Vec::new(),
        timeline: Vec::new(),
        ended: "not started".to_owned(),
        took: Duration::ZERO,
    }
}

fn play(compiled: &Compiled, scenario: &Scenario, refusals_final: &BTreeSet<ParticipantName>) -> Report {
    let input = scenario.input.to_string();
    let labels = match compiled.check_input(input.as_bytes()) {
        Ok(value) => compiled.labels(&value).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let labels = match labels {
        Ok(labels) => labels,
        Err(refused) => return failed(scenario, format!("it can't be started: {refused}")),
    };
    let payload = Payload::json(input);
    let head = SagaHead {
        key: SagaKey { namespace: Namespace::default_namespace(), id: scenario.id.clone() },
        definition: compiled.engine().name().clone(),
        version: compiled.engine().version(),
        input: payload.digest(),
        labels,
        principal: "scenario".to_owned(),
        traceparent: String::new(),
    };
    let begun = begin(head, compiled.engine().clone(), payload, Timestamp::default());
    let mut play = Play::new(compiled, scenario, refusals_final, begun.saga.clone());
    play.take(begun);
    play.settle();
    play.run();
    report(play)
}

fn report(play: Play<'_>) -> Report {
    let Play { compiled, scenario, saga, now, made, outputs, timeline, mut complaints, .. } = play;
    // An alarm that is raised later doesn't make a stuck saga any slower.
    let stuck_since = saga.all_stuck().iter().map(|stuck| stuck.since).max();
    let took = saga.state.ended_at.or(stuck_since).unwrap_or(now).since(Timestamp::default());
    let mut calls = Vec::new();
    // A run that was broken off is not compared: all would differ.
    if complaints.is_empty() {
        (complaints, calls) = compare(compiled, &scenario.expect, &saga, &made, &outputs, took);
    }
    Report {
        name: scenario.name.clone(),
        place: scenario.place,
        complaints,
        calls,
        timeline,
        ended: ended(&saga),
        took,
    }
}
