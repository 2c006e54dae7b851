//! The steps of a saga, and the effects that they left.

use amends_engine::facts::{Residue, StepEffect};
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::payload::PayloadKey;
use amends_engine::saga::{OperationStatus, Phase, SkippedBy};
use amends_proto::v1;
use amends_runtime::Snapshot;

use super::{operation, outcome, payload, timestamp};

/// All steps, in the order of the definition.
pub(super) fn steps(snapshot: &Snapshot) -> Vec<v1::Step> {
    snapshot.saga.definition.indices().map(|index| step(snapshot, index)).collect()
}

fn step(snapshot: &Snapshot, index: StepIndex) -> v1::Step {
    let saga = &snapshot.saga;
    let definition = saga.definition.step(index);
    let operations = [Operation::Action, Operation::Confirm, Operation::Compensate, Operation::Query];
    let named = operations.into_iter().filter(|operation| saga.definition.policy(index, *operation).is_some());
    v1::Step {
        name: definition.name.to_string(),
        participant: definition.participant.to_string(),
        effect: effect(saga.effect(index)).into(),
        pivot: definition.pivot,
        skipped: matches!(saga.step(index).action.status, OperationStatus::Skipped(_)),
        operations: named.map(|operation| operation_state(snapshot, index, operation)).collect(),
    }
}

fn operation_state(snapshot: &Snapshot, index: StepIndex, of: Operation) -> v1::OperationState {
    let state = snapshot.saga.operation(index, of);
    let last = state.last.as_ref();
    let (kind, doubt) = last.map_or((v1::OutcomeKind::Unspecified, v1::Doubt::Unspecified), |last| outcome(last.kind));
    let (status, next_attempt_time) = status(state.status);
    v1::OperationState {
        operation: operation(of).into(),
        status: status.into(),
        attempts: state.attempt,
        next_attempt_time,
        last_outcome: kind.into(),
        last_doubt: doubt.into(),
        last_code: last.map(|last| last.why.code.clone()).unwrap_or_default(),
        last_message: last.map(|last| last.why.message.clone()).unwrap_or_default(),
        last_time: last.map(|last| timestamp(last.at)),
        output: snapshot.payloads.get(&PayloadKey::Output(index, of)).map(payload),
    }
}

fn status(status: OperationStatus) -> (v1::OperationStatus, Option<pbjson_types::Timestamp>) {
    use v1::OperationStatus as S;
    let shown = match status {
        OperationStatus::Idle => S::NotStarted,
        OperationStatus::Ready => S::Preparing,
        OperationStatus::InFlight { .. } => S::Calling,
        OperationStatus::Retry { due } => return (S::Retrying, Some(timestamp(due))),
        OperationStatus::Asking => S::Asking,
        OperationStatus::Pending { .. } => S::Pending,
        OperationStatus::Succeeded => S::Succeeded,
        OperationStatus::Rejected => S::Rejected,
        OperationStatus::GaveUp => S::GaveUp,
        OperationStatus::Skipped(_) => S::Skipped,
        OperationStatus::Stuck { .. } => S::Stuck,
    };
    (shown, None)
}

pub(super) fn effect(effect: StepEffect) -> v1::Effect {
    match effect {
        StepEffect::None => v1::Effect::None,
        StepEffect::Possible => v1::Effect::Possible,
        StepEffect::Stands => v1::Effect::Stands,
        StepEffect::Undone => v1::Effect::Undone,
    }
}

/// The effects that nobody has undone.
pub(super) fn residue(snapshot: &Snapshot) -> Vec<v1::Residue> {
    snapshot.saga.residue().iter().map(|it| residue_of(snapshot, it)).collect()
}

fn residue_of(snapshot: &Snapshot, residue: &Residue) -> v1::Residue {
    let definition = snapshot.saga.definition.step(residue.step);
    v1::Residue {
        step: definition.name.to_string(),
        participant: definition.participant.to_string(),
        effect: effect(residue.effect).into(),
        output: snapshot.payloads.get(&PayloadKey::Output(residue.step, Operation::Action)).map(payload),
        message: why_it_stands(snapshot, residue).to_owned(),
        idempotency_key: format!("{}/{}/{}", snapshot.saga.state.head.key, definition.name, Operation::Action),
        since: residue.since.map(timestamp),
    }
}

fn why_it_stands(snapshot: &Snapshot, residue: &Residue) -> &'static str {
    let state = &snapshot.saga.state;
    let step = snapshot.saga.step(residue.step);
    match (step.compensate.status, state.phase) {
        _ if residue.unconfirmed => "it was tried and never confirmed: an operator skipped the confirm",
        (OperationStatus::Stuck { .. }, _) => "its compensation is stuck",
        (OperationStatus::Skipped(SkippedBy::Operator), _) => "an operator skipped its compensation",
        (_, Phase::ForceStopped) => "the saga was force-stopped",
        (_, Phase::Completed | Phase::Compensated) => "nothing could be called that would have undone it",
        (_, Phase::Compensating) => "its compensation has not come to its end",
        (_, Phase::Running | Phase::Confirming) if residue.effect == StepEffect::Possible => {
            "no answer says whether it happened"
        }
        (_, Phase::Running | Phase::Confirming) => "the saga is stuck on its way forward",
    }
}
