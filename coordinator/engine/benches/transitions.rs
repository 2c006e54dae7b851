//! What the state machine costs: whole sagas from their start to their end, and the questions that an owner asks of each state.
//!
//! `make bench-micro`. Asserts nothing about time: figures aren't tests. Invariant: what is measured ends as its name says.

#![allow(clippy::unwrap_used, reason = "a measuring program, not a part of the crate")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::definition::{Compensation, Definition, Policy, Step};
use amends_engine::effect::Effect;
use amends_engine::event::Event;
use amends_engine::ids::{
    DefinitionName, Namespace, Operation, ParticipantName, SagaId, SagaKey, StepIndex, StepName, Version,
};
use amends_engine::outcome::{CallFacts, Outcome, Why};
use amends_engine::payload::{Digest, Payload};
use amends_engine::saga::{Saga, SagaHead};
use amends_engine::time::Timestamp;
use amends_engine::{Applied, apply, begin, next_due, outstanding, unprepared};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const STEPS: [u16; 2] = [3, 30];

fn definition(steps: u16) -> Arc<Definition> {
    let step = |number: u16| Step {
        name: StepName::parse(&format!("s{number}")).unwrap(),
        participant: ParticipantName::parse("noop").unwrap(),
        after: number.checked_sub(1).map(StepIndex).into_iter().collect(),
        pivot: false,
        conditional: false,
        within: None,
        action: Policy::action(),
        compensate: Compensation::Call(Policy::finishing()),
        confirm: None,
        query: None,
    };
    let (name, hour) = (DefinitionName::parse("bench").unwrap(), Duration::from_secs(3600));
    Arc::new(Definition::new(name, Version(1), hour, (0..steps).map(step).collect()).unwrap())
}

fn head() -> SagaHead {
    SagaHead {
        key: SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").unwrap() },
        definition: DefinitionName::parse("bench").unwrap(),
        version: Version(1),
        input: Digest::of(b"{}"),
        labels: Vec::new(),
        principal: "shop".to_owned(),
        traceparent: String::new(),
    }
}

fn payload() -> Payload {
    Payload::json(vec![b'x'; 128])
}

fn applied(saga: &mut Saga, event: &Event) {
    if let Applied::Changed(changed) = apply(saga, event, Timestamp(1_000)).unwrap() {
        *saga = changed.saga;
    }
}

/// Prepares what is asked for, as the runtime does before each commit.
fn prepare(saga: &mut Saga) {
    while let Some((step, operation)) = unprepared(saga) {
        let requests = match operation {
            Operation::Action => vec![(Operation::Action, payload()), (Operation::Compensate, payload())],
            other => vec![(other, payload())],
        };
        applied(saga, &Event::Prepared { step, operation, requests });
    }
}

fn begun(definition: &Arc<Definition>) -> Saga {
    let mut saga = begin(head(), Arc::clone(definition), payload(), Timestamp(0)).saga;
    prepare(&mut saga);
    saga
}

/// Answers every call until nothing is outstanding; the last step is refused where it is to turn back.
fn run(definition: &Arc<Definition>, turns_back: bool) -> Saga {
    let last = definition.steps().len() - 1;
    let mut saga = begun(definition);
    while let Some(Effect::Call { step, operation, attempt, .. }) = outstanding(&saga).into_iter().next() {
        let refused = turns_back && operation == Operation::Action && step.get() == last;
        let outcome = match refused {
            true => Outcome::Rejected { why: Why::new("FAILED_PRECONDITION", "no"), last_word: true },
            false => Outcome::Succeeded(payload()),
        };
        let (call, retry_after) = (CallFacts::default(), Duration::from_millis(100));
        applied(&mut saga, &Event::Answered { step, operation, attempt, outcome, retry_after, call });
        prepare(&mut saga);
    }
    saga
}

fn whole_sagas(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("saga");
    for steps in STEPS {
        let definition = definition(steps);
        for (name, turns_back) in [("completed", false), ("compensated", true)] {
            let saga = run(&definition, turns_back);
            assert!(saga.state.phase.is_terminal() && saga.state.decision.is_some() == turns_back, "{:?}", saga.state);
            group
                .bench_function(BenchmarkId::new(name, steps), |bencher| bencher.iter(|| run(&definition, turns_back)));
        }
    }
    group.finish();
}

fn questions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("question");
    for steps in STEPS {
        let saga = begun(&definition(steps));
        group.bench_function(BenchmarkId::new("outstanding", steps), |b| b.iter(|| outstanding(black_box(&saga))));
        group.bench_function(BenchmarkId::new("next_due", steps), |b| b.iter(|| next_due(black_box(&saga))));
        group.bench_function(BenchmarkId::new("clone", steps), |b| b.iter(|| black_box(&saga).clone()));
    }
    group.finish();
}

criterion_group!(benches, whole_sagas, questions);
criterion_main!(benches);
