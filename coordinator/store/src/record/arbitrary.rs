//! Random states, history entries and nodes for the round-trip tests: every variant, every field, no regard for what can happen.
//!
//! Invariant: whatever comes out is a legal value of the types; whether the machine could reach it doesn't matter here.

use std::time::Duration;

use amends_engine::history::{Change, HistoryEntry};
use amends_engine::ids::{DefinitionName, Namespace, Operation, SagaId, SagaKey, StepIndex, Version};
use amends_engine::outcome::{CallFacts, Doubt, LastOutcome, OutcomeKind, Why};
use amends_engine::payload::Digest;
use amends_engine::saga::{
    Acknowledgement, By, CancelRequest, Cause, Decision, OperationState, OperationStatus, Parked, Paused, Phase,
    SagaHead, SagaState, SkippedBy, StepState, StuckReason,
};
use amends_engine::time::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::contract::NodeRecord;

const NAME: &str = "[A-Za-z0-9._-]{1,20}";

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![Just(0), Just(u64::MAX), any::<u64>()].prop_map(Timestamp)
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), any::<String>()]
}

fn step() -> impl Strategy<Value = StepIndex> {
    any::<u16>().prop_map(StepIndex)
}

fn operation_name() -> impl Strategy<Value = Operation> {
    select(vec![Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query])
}

fn stuck_reason() -> impl Strategy<Value = StuckReason> {
    select(StuckReason::ALL.to_vec())
}

fn outcome_kind() -> impl Strategy<Value = OutcomeKind> {
    let doubts = [
        Doubt::NoAnswer,
        Doubt::Broken,
        Doubt::Code,
        Doubt::Unreadable,
        Doubt::OwnerLost,
        Doubt::Misconfigured,
        Doubt::KeyReused,
        Doubt::RowMissing,
        Doubt::StaleEpoch,
    ];
    let plain = [
        OutcomeKind::Succeeded,
        OutcomeKind::Rejected,
        OutcomeKind::Pending,
        OutcomeKind::NotFound,
        OutcomeKind::NotSent,
    ];
    select(plain.into_iter().chain(doubts.map(OutcomeKind::Unknown)).collect::<Vec<_>>())
}

fn why() -> impl Strategy<Value = Why> {
    (text(), text()).prop_map(|(code, message)| Why { code, message })
}

fn by() -> impl Strategy<Value = By> {
    (text(), text()).prop_map(|(principal, reason)| By { principal, reason })
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        step().prop_map(Cause::Rejected),
        step().prop_map(Cause::GaveUp),
        step().prop_map(Cause::ExpressionFailed),
        by().prop_map(Cause::Cancelled),
        Just(Cause::Deadline),
        step().prop_map(Cause::ResolvedAsNotHappened),
    ]
}

fn status() -> impl Strategy<Value = OperationStatus> {
    prop_oneof![
        Just(OperationStatus::Idle),
        Just(OperationStatus::Ready),
        time().prop_map(|deadline| OperationStatus::InFlight { deadline }),
        time().prop_map(|due| OperationStatus::Retry { due }),
        Just(OperationStatus::Asking),
        time().prop_map(|since| OperationStatus::Pending { since }),
        Just(OperationStatus::Succeeded),
        Just(OperationStatus::Rejected),
        Just(OperationStatus::GaveUp),
        select(vec![SkippedBy::Condition, SkippedBy::Operator]).prop_map(OperationStatus::Skipped),
        (stuck_reason(), time()).prop_map(|(reason, since)| OperationStatus::Stuck { reason, since }),
    ]
}

fn last_outcome() -> impl Strategy<Value = LastOutcome> {
    (outcome_kind(), why(), time()).prop_map(|(kind, why, at)| LastOutcome { kind, why, at })
}

fn operation() -> impl Strategy<Value = OperationState> {
    let numbers = (any::<u32>(), any::<u32>(), any::<bool>());
    let times = (option::of(time()), option::of(time()));
    let rest = (option::of(digest()), option::of(digest()), option::of(last_outcome()));
    let used = (status(), numbers, times, rest).prop_map(
        |(status, (attempt, failures, uncertain), (begun_at, quiet_at), (request, output, last))| OperationState {
            status,
            attempt,
            failures,
            uncertain,
            begun_at,
            quiet_at,
            request,
            output,
            last,
        },
    );
    prop_oneof![Just(OperationState::IDLE), used]
}

fn step_state() -> impl Strategy<Value = StepState> {
    (operation(), operation(), operation(), operation(), any::<bool>()).prop_map(
        |(action, compensate, confirm, query, sealing)| StepState { action, compensate, confirm, query, sealing },
    )
}

fn head() -> impl Strategy<Value = SagaHead> {
    let names = (NAME, NAME, NAME);
    let rest = (any::<u32>(), digest(), vec((text(), text()), 0..3), text(), text());
    (names, rest).prop_map(|((namespace, id, definition), (version, input, labels, principal, traceparent))| SagaHead {
        key: SagaKey { namespace: Namespace::parse(&namespace).unwrap(), id: SagaId::parse(&id).unwrap() },
        definition: DefinitionName::parse(&definition).unwrap(),
        version: Version(version),
        input,
        labels,
        principal,
        traceparent,
    })
}

fn phase() -> impl Strategy<Value = Phase> {
    select(vec![
        Phase::Running,
        Phase::Confirming,
        Phase::Compensating,
        Phase::Completed,
        Phase::Compensated,
        Phase::ForceStopped,
    ])
}

/// Any state.
pub(super) fn state() -> impl Strategy<Value = SagaState> {
    let parked =
        (stuck_reason(), text(), time()).prop_map(|(reason, message, since)| Parked { reason, message, since });
    let paused = (time(), by()).prop_map(|(since, by)| Paused { since, by });
    let decision = (cause(), time()).prop_map(|(cause, at)| Decision { cause, at });
    let cancel = (time(), by()).prop_map(|(at, by)| CancelRequest { at, by });
    let acknowledged = (time(), by()).prop_map(|(at, by)| Acknowledgement { at, by });
    let asked = (option::of(cancel), option::of(acknowledged));
    let parts = (option::of(parked), option::of(paused), option::of(decision), asked);
    let numbers = (any::<u64>(), any::<u64>(), any::<bool>(), any::<u32>());
    let times = (time(), time(), time(), option::of(time()));
    (head(), phase(), parts, numbers, times, vec(step_state(), 0..4)).prop_map(
        |(head, phase, (parked, paused, decision, (cancel, acknowledgement)), numbers, times, steps)| {
            let (revision, history_length, late, nondeterministic) = numbers;
            let (deadline, started_at, updated_at, ended_at) = times;
            SagaState {
                head: head.into(),
                revision,
                history_length,
                phase,
                parked,
                paused,
                decision,
                cancel,
                acknowledgement,
                deadline,
                late,
                nondeterministic,
                started_at,
                updated_at,
                ended_at,
                steps: steps.into(),
            }
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    let plain = vec![
        Change::Started,
        Change::ConditionFalse,
        Change::PrepareFailed,
        Change::Nondeterministic,
        Change::PendingExpired,
        Change::DecidedToConfirm,
        Change::CancelRecorded,
        Change::Late,
        Change::Retried,
        Change::Skipped,
        Change::ResolvedAsHappened,
        Change::ResolvedAsNotHappened,
        Change::Paused,
        Change::Resumed,
        Change::Completed,
        Change::Compensated,
        Change::ForceStopped,
        Change::Acknowledged,
    ];
    prop_oneof![
        4 => select(plain),
        1 => outcome_kind().prop_map(Change::AttemptEnded),
        1 => outcome_kind().prop_map(Change::LateAnswer),
        1 => outcome_kind().prop_map(Change::CalledBack),
        1 => cause().prop_map(Change::DecidedToCompensate),
        1 => stuck_reason().prop_map(Change::Stuck),
        1 => stuck_reason().prop_map(Change::Parked),
        1 => any::<u32>().prop_map(|version| Change::Repinned(Version(version))),
    ]
}

fn call() -> impl Strategy<Value = CallFacts> {
    (time(), any::<Duration>(), text(), text(), option::of(digest())).prop_map(
        |(started_at, duration, endpoint, trace_id, reply)| CallFacts {
            started_at,
            duration,
            endpoint,
            trace_id,
            reply,
        },
    )
}

/// Any history entry.
pub(super) fn entry() -> impl Strategy<Value = HistoryEntry> {
    let place = (option::of(step()), option::of(operation_name()), option::of(any::<u32>()));
    let rest = (why(), option::of(call()), option::of(digest()), option::of(time()), option::of(by()));
    (any::<u64>(), time(), change(), place, rest).prop_map(
        |(sequence, at, change, (step, operation, attempt), (why, call, request, next_due, by))| HistoryEntry {
            sequence,
            at,
            change,
            step,
            operation,
            attempt,
            why,
            call,
            request,
            next_due,
            by,
        },
    )
}

/// Any node.
pub(super) fn node() -> impl Strategy<Value = NodeRecord> {
    (text(), text(), text(), time(), any::<bool>(), time()).prop_map(
        |(name, address, version, started_at, draining, heard_at)| NodeRecord {
            name,
            address,
            version,
            started_at,
            draining,
            heard_at,
        },
    )
}
