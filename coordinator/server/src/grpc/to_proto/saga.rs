//! A saga as it stands.

use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, OutcomeKind, Why};
use amends_engine::saga::{Cause, Decision, OperationStatus, Phase, Saga, StuckReason};
use amends_engine::standing::{self, StatusWord, Waiting, WaitingReason};
use amends_engine::why::{self, Around};
use amends_proto::v1;
use amends_runtime::cluster::Lost;
use amends_runtime::{Snapshot, UnreadableSaga};

use super::{history_entry, operation, payload, steps, timestamp, trace_id};
use crate::grpc::asking::{Cancelled, Completion};
use crate::grpc::reading::Seen;
use amends_engine::payload::PayloadKey;

/// Why a saga waits whose participant refuses its owner's epoch, though it is the store's newest.
const NEWER_OWNER: &str = "the participant has seen a newer owner of this saga than the store knows: the store's clock stands behind, \
                           or another store was in use since; goes on by itself once its epochs are higher";

/// How much of a saga is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// All of it.
    Full,
    /// Without input and steps.
    Listed,
}

/// A saga.
pub(crate) fn saga(snapshot: &Snapshot, view: View) -> v1::Saga {
    let saga = &snapshot.saga;
    let state = &saga.state;
    let head = &state.head;
    let status = standing::status(saga);
    let needs_residue = status == StatusWord::Stuck || state.phase.is_terminal();
    v1::Saga {
        namespace: head.key.namespace.to_string(),
        id: head.key.id.to_string(),
        definition: head.definition.to_string(),
        version: head.version.0,
        status: status_of(status).into(),
        phase: phase_of(saga).into(),
        revision: state.revision,
        input: match view {
            View::Full => snapshot.payloads.get(&PayloadKey::Input).map(payload),
            View::Listed => None,
        },
        labels: head.labels.iter().cloned().collect(),
        create_time: Some(timestamp(state.started_at)),
        update_time: Some(timestamp(state.updated_at)),
        end_time: state.ended_at.map(timestamp),
        deadline: Some(timestamp(state.deadline)),
        late: state.late,
        principal: head.principal.clone(),
        trace_id: trace_id(&head.traceparent),
        decision: state.decision.as_ref().map(|it| decision(it, saga)),
        recorded_cancel: state.cancel.as_ref().map(|cancel| v1::RecordedCancel {
            time: Some(timestamp(cancel.at)),
            principal: cancel.by.principal.clone(),
            reason: cancel.by.reason.clone(),
        }),
        stuck: stuck(saga),
        waiting: waits(&standing::waits(saga), saga),
        steps: match view {
            View::Full => steps::steps(snapshot),
            View::Listed => Vec::new(),
        },
        residue: if needs_residue { steps::residue(snapshot) } else { Vec::new() },
        why: why::why(saga, &Around { waits: standing::waits(saga), ..Around::default() }),
        held_up_at: standing::held_up_at(saga).map(ToString::to_string).unwrap_or_default(),
        acknowledgement: state.acknowledgement.as_ref().map(|it| v1::Acknowledgement {
            time: Some(timestamp(it.at)),
            principal: it.by.principal.clone(),
            note: it.by.reason.clone(),
        }),
    }
}

/// What a saga waits for.
pub(crate) fn waits(waits: &[Waiting], saga: &Saga) -> Vec<v1::Waiting> {
    waits.iter().map(|it| waiting(it, saga)).collect()
}

/// A saga that can't be read. One that had ended needs nobody; any other needs an operator.
pub(crate) fn unreadable(saga: &UnreadableSaga, last: &str) -> v1::Saga {
    let ended = [StatusWord::Completed, StatusWord::Compensated, StatusWord::ForceStopped];
    let status = ended.into_iter().find(|word| word.as_str() == last).unwrap_or(StatusWord::Stuck);
    let poison = v1::Stuck {
        reason: v1::StuckReason::Poison.into(),
        message: format!("{saga}. It was {last}"),
        ..v1::Stuck::default()
    };
    v1::Saga {
        namespace: saga.key.namespace.to_string(),
        id: saga.key.id.to_string(),
        revision: saga.revision,
        status: status_of(status).into(),
        why: if status == StatusWord::Stuck { format!("Stuck: {}", poison.message) } else { String::new() },
        stuck: if status == StatusWord::Stuck { vec![poison] } else { Vec::new() },
        ..v1::Saga::default()
    }
}

/// A message to somebody who follows a saga, which is shown so.
pub(crate) fn watched(seen: &Seen, saga: v1::Saga) -> v1::WatchSagaResponse {
    v1::WatchSagaResponse {
        saga: Some(saga),
        entries: seen.entries.iter().map(|recorded| history_entry(recorded, &seen.snapshot)).collect(),
    }
}

/// What became of a cancel.
pub(crate) fn cancel_result(result: Cancelled) -> v1::CancelResult {
    match result {
        Cancelled::Compensating => v1::CancelResult::Compensating,
        Cancelled::Recorded => v1::CancelResult::Recorded,
    }
}

/// What became of the message that completes a step.
pub(crate) fn completion_result(result: Completion) -> v1::CompletionResult {
    match result {
        Completion::Applied => v1::CompletionResult::Applied,
        Completion::Repeated => v1::CompletionResult::Repeated,
        Completion::Late => v1::CompletionResult::Late,
    }
}

pub(super) fn status_of(status: StatusWord) -> v1::SagaStatus {
    match status {
        StatusWord::Running => v1::SagaStatus::Running,
        StatusWord::Confirming => v1::SagaStatus::Confirming,
        StatusWord::Compensating => v1::SagaStatus::Compensating,
        StatusWord::Stuck => v1::SagaStatus::Stuck,
        StatusWord::Paused => v1::SagaStatus::Paused,
        StatusWord::Completed => v1::SagaStatus::Completed,
        StatusWord::Compensated => v1::SagaStatus::Compensated,
        StatusWord::ForceStopped => v1::SagaStatus::ForceStopped,
    }
}

/// What a saga works at or, when it has ended, was working at last.
fn phase_of(saga: &Saga) -> v1::SagaPhase {
    let confirming = || {
        let mut steps = saga.state.steps.iter();
        steps.any(|step| step.confirm.status != OperationStatus::Idle)
    };
    match saga.state.phase {
        Phase::Running => v1::SagaPhase::Running,
        Phase::Confirming => v1::SagaPhase::Confirming,
        Phase::Compensating | Phase::Compensated => v1::SagaPhase::Compensating,
        Phase::ForceStopped if saga.state.decision.is_some() => v1::SagaPhase::Compensating,
        Phase::Completed | Phase::ForceStopped if confirming() => v1::SagaPhase::Confirming,
        Phase::Completed | Phase::ForceStopped => v1::SagaPhase::Running,
    }
}

fn decision(decision: &Decision, saga: &Saga) -> v1::Decision {
    use v1::DecisionCause as C;
    let (cause, step, by) = match &decision.cause {
        Cause::Rejected(step) => (C::Rejected, Some(*step), None),
        Cause::GaveUp(step) => (C::GaveUp, Some(*step), None),
        Cause::ExpressionFailed(step) => (C::ExpressionFailed, Some(*step), None),
        Cause::Cancelled(by) => (C::Cancelled, None, Some(by)),
        Cause::Deadline => (C::Deadline, None, None),
        Cause::ResolvedAsNotHappened(step) => (C::ResolvedAsNotHappened, Some(*step), None),
    };
    let last = step.and_then(|step| saga.step(step).action.last.as_ref());
    let Why { code, message } = last.map(|last| last.why.clone()).unwrap_or_default();
    v1::Decision {
        cause: cause.into(),
        step: step.map(|step| saga.definition.step(step).name.to_string()).unwrap_or_default(),
        code,
        message,
        time: Some(timestamp(decision.at)),
        principal: by.map(|by| by.principal.clone()).unwrap_or_default(),
        reason: by.map(|by| by.reason.clone()).unwrap_or_default(),
    }
}

/// Every reason for which an operator is needed, the oldest first.
fn stuck(saga: &Saga) -> Vec<v1::Stuck> {
    if saga.state.phase.is_terminal() {
        return Vec::new();
    }
    let parked = saga.state.parked.as_ref().map(|parked| v1::Stuck {
        reason: stuck_reason(parked.reason).into(),
        since: Some(timestamp(parked.since)),
        message: parked.message.clone(),
        ..v1::Stuck::default()
    });
    let operations = [Operation::Action, Operation::Compensate, Operation::Confirm];
    let places = saga.definition.indices().flat_map(|step| operations.map(|operation| (step, operation)));
    let of_operations = places.filter_map(|(step, of)| {
        let state = saga.operation(step, of);
        let OperationStatus::Stuck { reason, since } = state.status else { return None };
        let Why { code, message } = state.last.as_ref().map(|last| last.why.clone()).unwrap_or_default();
        Some(v1::Stuck {
            reason: stuck_reason(reason).into(),
            since: Some(timestamp(since)),
            step: saga.definition.step(step).name.to_string(),
            operation: operation(of).into(),
            code,
            message,
        })
    });
    let mut all: Vec<v1::Stuck> = parked.into_iter().chain(of_operations).collect();
    all.sort_by_key(|stuck| stuck.since.map(|since| (since.seconds, since.nanos)));
    all
}

pub(super) fn stuck_reason(reason: StuckReason) -> v1::StuckReason {
    match reason {
        StuckReason::RetriesExhausted => v1::StuckReason::RetriesExhausted,
        StuckReason::CompensationRefused => v1::StuckReason::CompensationRefused,
        StuckReason::ConfirmRefused => v1::StuckReason::ConfirmRefused,
        StuckReason::RejectedAfterPivot => v1::StuckReason::RejectedAfterPivot,
        StuckReason::PivotUnknown => v1::StuckReason::PivotUnknown,
        StuckReason::BarrierRowMissing => v1::StuckReason::BarrierRowMissing,
        StuckReason::KeyReused => v1::StuckReason::KeyReused,
        StuckReason::ExpressionFailed => v1::StuckReason::ExpressionFailed,
        StuckReason::DefinitionOrParticipantMissing => v1::StuckReason::DefinitionOrParticipantMissing,
        StuckReason::Misconfigured => v1::StuckReason::Misconfigured,
        StuckReason::Poison => v1::StuckReason::Poison,
    }
}

/// That the saga's shard is frozen, and why.
pub(crate) fn frozen(lost: &Lost) -> v1::Waiting {
    v1::Waiting { reason: v1::WaitingReason::ShardFrozen.into(), message: lost.to_string(), ..Default::default() }
}

/// Whose breaker or limit it is: where to look further.
fn at_participant(waiting: &Waiting, saga: &Saga) -> Option<String> {
    let participant = &saga.definition.step(waiting.step?).participant;
    Some(format!("participant {participant}: see `amends participant describe {participant}`"))
}

fn waiting(waiting: &Waiting, saga: &Saga) -> v1::Waiting {
    let last_said = |operation: Option<Operation>| {
        let state = saga.operation(waiting.step?, operation?);
        state.last.as_ref().map(|last| last.why.to_string())
    };
    let is_overtaken = waiting.step.zip(waiting.operation).is_some_and(|(step, operation)| {
        let last = saga.operation(step, operation).last.as_ref();
        last.is_some_and(|last| last.kind == OutcomeKind::Unknown(Doubt::StaleEpoch))
    });
    let (reason, message) = match waiting.reason {
        // Its owner has asked for a newer epoch already, and it was of no use.
        WaitingReason::RetryDue if is_overtaken => {
            let said = last_said(waiting.operation).unwrap_or_default();
            (v1::WaitingReason::ShardFrozen, Some(format!("{NEWER_OWNER} ({said})")))
        }
        WaitingReason::RetryDue => (v1::WaitingReason::RetryDue, last_said(waiting.operation)),
        WaitingReason::Pending => (v1::WaitingReason::Pending, last_said(waiting.operation)),
        // It is the action's attempt that keeps the compensation waiting.
        WaitingReason::Quiet => (v1::WaitingReason::Quiet, last_said(Some(Operation::Action))),
        WaitingReason::Paused => {
            let reason = saga.state.paused.as_ref().map(|paused| paused.by.reason.clone());
            (v1::WaitingReason::Paused, reason)
        }
        WaitingReason::BreakerOpen => (v1::WaitingReason::BreakerOpen, at_participant(waiting, saga)),
        WaitingReason::Limit => (v1::WaitingReason::Limit, at_participant(waiting, saga)),
    };
    v1::Waiting {
        reason: reason.into(),
        since: Some(timestamp(waiting.since)),
        until: waiting.until.map(timestamp),
        step: waiting.step.map(|step| saga.definition.step(step).name.to_string()).unwrap_or_default(),
        operation: waiting.operation.map_or(v1::Operation::Unspecified, operation).into(),
        message: message.unwrap_or_default(),
    }
}
