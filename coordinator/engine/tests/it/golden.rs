//! Every pair of state and event, pinned once: what became of it, in `tests/golden/*.txt`.
//!
//! For each phase, each operation that can be asked about and each of its statuses, every kind of event is applied to a state
//! made for the purpose (most can be reached, some can't and must be borne all the same). One line tells what became of the
//! operation and the saga, or why nothing did. `AMENDS_GOLDEN=write` writes the files anew; read the difference before you
//! commit it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::event::{Event, Finding, Verdict};
use amends_engine::ids::{DefinitionName, Namespace, Operation, SagaId, SagaKey, StepIndex, Version};
use amends_engine::outcome::{CallFacts, Doubt, Outcome, Why};
use amends_engine::payload::{Digest, Payload};
use amends_engine::saga::{
    By, Cause, Decision, OperationState, OperationStatus, Phase, Saga, SagaHead, SkippedBy, StuckReason,
};
use amends_engine::time::Timestamp;
use amends_engine::{Applied, apply, begin};

use crate::render::word;
use crate::shape::shape;

const NOW: Timestamp = Timestamp(5_000);
const SUBJECT: StepIndex = StepIndex(1);

/// The first step is done; the second is looked at; the third hasn't begun.
const SHAPE: &str = "before | subject tcc if query within=900000 | behind";
const PIVOT: &str = "before | subject pivot tcc query within=900000 revert | behind";

const PHASES: [Phase; 6] =
    [Phase::Running, Phase::Confirming, Phase::Compensating, Phase::Completed, Phase::Compensated, Phase::ForceStopped];

const READY: OperationStatus = OperationStatus::Ready;
const CALLING: OperationStatus = OperationStatus::InFlight { deadline: Timestamp(5_500) };
const WAITING: OperationStatus = OperationStatus::Retry { due: Timestamp(6_000) };
const PENDING: OperationStatus = OperationStatus::Pending { since: Timestamp(4_000) };
const SKIPPED: OperationStatus = OperationStatus::Skipped(SkippedBy::Operator);
const STUCK: OperationStatus =
    OperationStatus::Stuck { reason: StuckReason::RetriesExhausted, since: Timestamp(4_000) };

const ALL: [OperationStatus; 12] = [
    OperationStatus::Idle,
    READY,
    CALLING,
    WAITING,
    OperationStatus::Asking,
    PENDING,
    OperationStatus::Succeeded,
    OperationStatus::Rejected,
    OperationStatus::GaveUp,
    OperationStatus::Skipped(SkippedBy::Condition),
    SKIPPED,
    STUCK,
];

/// What a compensation or a confirm can be.
const FINISHING: [OperationStatus; 8] =
    [OperationStatus::Idle, READY, CALLING, WAITING, PENDING, OperationStatus::Succeeded, SKIPPED, STUCK];

/// The operations that can be anything in a phase, with what they can be.
fn subjects(phase: Phase) -> Vec<(Operation, Vec<OperationStatus>)> {
    let done = vec![OperationStatus::Succeeded, OperationStatus::Skipped(SkippedBy::Condition), SKIPPED];
    match phase {
        Phase::Running => vec![
            (Operation::Action, ALL.to_vec()),
            (Operation::Query, vec![READY, CALLING, WAITING]),
            (Operation::Compensate, FINISHING.to_vec()),
        ],
        Phase::Confirming => vec![(Operation::Action, done), (Operation::Confirm, FINISHING.to_vec())],
        Phase::Compensating => vec![(Operation::Action, ALL.to_vec()), (Operation::Compensate, FINISHING.to_vec())],
        Phase::Completed | Phase::Compensated | Phase::ForceStopped => {
            vec![
                (Operation::Action, ALL.to_vec()),
                (Operation::Compensate, ALL.to_vec()),
                (Operation::Query, vec![CALLING]),
            ]
        }
    }
}

/// An operation in this status, with an attempt behind it where there must have been one.
fn operation(status: OperationStatus) -> OperationState {
    let untouched = matches!(
        status,
        OperationStatus::Idle | OperationStatus::Ready | OperationStatus::Skipped(SkippedBy::Condition)
    );
    let attempt = if untouched { 0 } else { 2 };
    OperationState {
        status,
        attempt,
        failures: attempt / 2,
        uncertain: false,
        begun_at: (!untouched).then_some(Timestamp(3_000)),
        quiet_at: None,
        request: (!untouched).then(|| Digest::of(b"request")),
        output: (status == OperationStatus::Succeeded).then(|| Payload::json("{}").digest()),
        last: None,
    }
}

fn saga(text: &str, phase: Phase, asked: Operation, status: OperationStatus) -> Saga {
    let key = SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").expect("id") };
    let head = SagaHead {
        key,
        definition: DefinitionName::parse("shape").expect("name"),
        version: Version(1),
        input: Digest::of(b"{}"),
        labels: Vec::new(),
        principal: "shop".to_owned(),
        traceparent: String::new(),
    };
    let mut saga = begin(head, Arc::new(shape(text)), Payload::json("{}"), Timestamp(0)).saga;
    saga.state.phase = phase;
    saga.state.ended_at = phase.is_terminal().then_some(Timestamp(4_500));
    let back = matches!(phase, Phase::Compensating | Phase::Compensated);
    saga.state.decision = back.then_some(Decision { cause: Cause::Deadline, at: Timestamp(4_000) });
    let done = || operation(OperationStatus::Succeeded);
    saga.state.steps[0].action = done();
    if matches!(phase, Phase::Confirming | Phase::Completed) {
        saga.state.steps[2].action = done();
    }
    let subject = &mut saga.state.steps[SUBJECT.get()];
    if asked == Operation::Query {
        subject.action = operation(OperationStatus::Asking);
        subject.action.uncertain = true;
    } else {
        subject.action = done();
    }
    if asked == Operation::Compensate && phase == Phase::Running {
        // Forward, a compensation runs only to seal what an operator skipped.
        subject.action = operation(SKIPPED);
        subject.action.uncertain = true;
        subject.sealing = true;
    }
    *subject.operation_mut(asked) = operation(status);
    if status == OperationStatus::Asking {
        subject.query = operation(OperationStatus::InFlight { deadline: Timestamp(5_500) });
    }
    saga
}

/// Every kind of event.
fn events(asked: Operation) -> Vec<(&'static str, Event)> {
    let (step, by) = (SUBJECT, By::default());
    let why = || Why::new("CODE", "");
    let retry_after = Duration::from_millis(100);
    let answer = |attempt, outcome| Event::Answered {
        step,
        operation: asked,
        attempt,
        outcome,
        retry_after,
        call: CallFacts::default(),
    };
    let told = |verdict| Event::CalledBack { step, operation: asked, verdict, retry_after, by: By::default() };
    let rejected = |last_word| Outcome::Rejected { why: why(), last_word };
    let unknown = |doubt| Outcome::Unknown { doubt, why: why() };
    let ok = || Payload::json("{}");
    vec![
        ("loaded", Event::Loaded),
        ("prepared", Event::Prepared { step, operation: asked, requests: vec![(asked, Payload::json("1"))] }),
        ("condition false", Event::ConditionFalse { step }),
        ("prepare failed", Event::PrepareFailed { step, operation: asked, message: "null".to_owned() }),
        ("answer ok", answer(2, Outcome::Succeeded(ok()))),
        ("answer ok, other output", answer(2, Outcome::Succeeded(Payload::json("[]")))),
        ("answer rejected", answer(2, rejected(false))),
        ("answer rejected for good", answer(2, rejected(true))),
        ("answer pending", answer(2, Outcome::Pending)),
        ("answer not found", answer(2, Outcome::NotFound(why()))),
        ("answer unknown", answer(2, unknown(Doubt::NoAnswer))),
        ("answer misconfigured", answer(2, unknown(Doubt::Misconfigured))),
        ("answer key reused", answer(2, unknown(Doubt::KeyReused))),
        ("answer row missing", answer(2, unknown(Doubt::RowMissing))),
        ("answer stale epoch", answer(2, unknown(Doubt::StaleEpoch))),
        ("answer not sent", answer(2, Outcome::NotSent(why()))),
        ("late answer ok", answer(1, Outcome::Succeeded(ok()))),
        ("late answer rejected", answer(1, rejected(false))),
        ("late answer rejected for good", answer(1, rejected(true))),
        ("late answer unknown", answer(1, unknown(Doubt::NoAnswer))),
        ("answer to no attempt", answer(9, Outcome::Succeeded(ok()))),
        ("callback ok", told(Verdict::Succeeded(ok()))),
        ("callback ok, other output", told(Verdict::Succeeded(Payload::json("[]")))),
        ("callback rejected", told(Verdict::Rejected { why: why(), last_word: false })),
        ("callback rejected for good", told(Verdict::Rejected { why: why(), last_word: true })),
        ("due now", Event::Due),
        ("due in 3 s", Event::Due),
        ("due in an hour", Event::Due),
        ("cancel", Event::Cancel(by.clone())),
        ("retry", Event::Retry { step: Some(step), by: by.clone() }),
        ("skip", Event::Skip { step, operation: asked, by: by.clone() }),
        (
            "resolve happened",
            Event::Resolve { step, operation: asked, finding: Finding::Happened(ok()), by: by.clone() },
        ),
        ("resolve not", Event::Resolve { step, operation: asked, finding: Finding::DidNotHappen, by: by.clone() }),
        ("force-stop", Event::ForceStop(by.clone())),
        ("pause", Event::Pause(by.clone())),
        ("resume", Event::Resume(by)),
        ("park", Event::Park { reason: StuckReason::Poison, message: "panic".to_owned() }),
    ]
}

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
