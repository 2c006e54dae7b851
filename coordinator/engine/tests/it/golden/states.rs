//! The states of the table: a phase, an operation, a status, and around it what has to be there.
//!
//! Made by hand, since some can't be reached; nothing here says what should become of them.

use std::sync::Arc;

use amends_engine::begin;
use amends_engine::ids::Operation;
use amends_engine::payload::{Digest, Payload};
use amends_engine::saga::{Cause, Decision, OperationState, OperationStatus, Phase, Saga, SkippedBy, StuckReason};
use amends_engine::time::Timestamp;

use super::SUBJECT;
use crate::shape::{head, shape};

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
pub(super) fn subjects(phase: Phase) -> Vec<(Operation, Vec<OperationStatus>)> {
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

/// A saga in this phase, whose second step's operation has this status.
pub(super) fn saga(text: &str, phase: Phase, asked: Operation, status: OperationStatus) -> Saga {
    let mut saga = begin(head(), Arc::new(shape(text)), Payload::json("{}"), Timestamp(0)).saga;
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
