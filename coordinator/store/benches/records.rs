//! What writing and reading a record costs: a saga's state in the middle of its way, and one history entry of a call.
//!
//! `make bench-micro`. Asserts nothing about time: figures aren't tests. Invariant: what was written is what is read.

#![allow(clippy::unwrap_used, reason = "a measuring program, not a part of the crate")]

use std::hint::black_box;

use amends_engine::history::{Change, HistoryEntry};
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::outcome::{CallFacts, OutcomeKind};
use amends_engine::payload::Digest;
use amends_engine::saga::{OperationState, OperationStatus, SagaState, StepState};
use amends_engine::time::Timestamp;
use amends_store::conformance::support::{key, state};
use amends_store::{Epoch, record};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// A saga of which all steps have succeeded and can be undone.
fn realistic(steps: usize) -> SagaState {
    let action = OperationState {
        status: OperationStatus::Succeeded,
        attempt: 1,
        begun_at: Some(Timestamp(1_760_000_000_000)),
        quiet_at: Some(Timestamp(1_760_000_005_000)),
        request: Some(Digest::of(b"request")),
        output: Some(Digest::of(b"output")),
        ..OperationState::IDLE
    };
    let compensate = OperationState { request: Some(Digest::of(b"undo")), ..OperationState::IDLE };
    let step = StepState { action, compensate, ..StepState::IDLE };
    SagaState { steps: vec![step; steps].into(), ..state(&key("order-00000001"), 4) }
}

fn answered() -> HistoryEntry {
    let change = Change::AttemptEnded(OutcomeKind::Succeeded);
    HistoryEntry {
        step: Some(StepIndex(1)),
        operation: Some(Operation::Action),
        attempt: Some(1),
        call: Some(CallFacts {
            endpoint: "http://127.0.0.1:50051".to_owned(),
            reply: Some(Digest::of(b"reply")),
            ..CallFacts::default()
        }),
        ..HistoryEntry::new(7, Timestamp(1_760_000_000_000), change)
    }
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    for steps in [3, 30] {
        let state = realistic(steps);
        let bytes = record::encode_state(&state);
        assert_eq!(record::decode_state(&bytes).unwrap(), state);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("state written", steps), |b| {
            b.iter(|| record::encode_state(black_box(&state)));
        });
        group.bench_function(BenchmarkId::new("state read", steps), |b| {
            b.iter(|| record::decode_state(black_box(&bytes)));
        });
    }
    let entry = answered();
    let bytes = record::encode_history(&entry, "node-a", Epoch(1), 4);
    assert_eq!(record::decode_history(&bytes).unwrap().entry, entry);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("history entry written", |b| {
        b.iter(|| record::encode_history(black_box(&entry), "node-a", Epoch(1), 4));
    });
    group.bench_function("history entry read", |b| b.iter(|| record::decode_history(black_box(&bytes))));
    group.finish();
}

criterion_group!(benches, records);
criterion_main!(benches);
