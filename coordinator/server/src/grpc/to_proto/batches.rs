//! Plans and batches as callers see them.

use amends_engine::event::Finding;
use amends_engine::ids::{Namespace, Operation, StepName};
use amends_proto::v1;
use amends_runtime::batch::{Action, CallCount, Item, ItemStatus, Shown, Status};
use prost::Message as _;

use super::{operation, payload, timestamp};

/// A batch; `payloads`: whether whoever asks may see the output that a RESOLVE states.
pub(crate) fn batch(shown: Shown, payloads: bool) -> v1::Batch {
    let Shown { head, status, done, moved, refused, note } = shown;
    let mut stated = action(&head.action);
    stated.output = stated.output.filter(|_| payloads);
    v1::Batch {
        namespace: head.namespace.to_string(),
        status: batch_status(status).into(),
        action: Some(stated),
        // The server itself has written it.
        filter: v1::SagaFilter::decode(head.filter).ok(),
        principal: head.principal,
        reason: head.reason,
        create_time: Some(timestamp(head.planned_at)),
        expire_time: Some(timestamp(head.expires_at)),
        applied_by: head.applied_by,
        apply_reason: head.apply_reason,
        apply_time: head.applied_at.map(timestamp),
        end_time: head.ended_at.map(timestamp),
        rate_per_second: head.rate,
        planned: head.planned,
        done,
        moved,
        refused,
        calls: head.calls.iter().map(calls).collect(),
        sample: head.sample.iter().map(|it| batch_item(it, &head.namespace)).collect(),
        refusals: head.refusals,
        held_up: note,
        id: head.id,
    }
}

fn batch_status(status: Status) -> v1::BatchStatus {
    match status {
        Status::Draft | Status::Planned => v1::BatchStatus::Planned,
        Status::Running => v1::BatchStatus::Running,
        Status::Stopped => v1::BatchStatus::Stopped,
        Status::Done => v1::BatchStatus::Done,
        Status::Expired => v1::BatchStatus::Expired,
    }
}

fn calls(counted: &CallCount) -> v1::BatchCalls {
    v1::BatchCalls {
        participant: counted.call.participant.clone(),
        method: counted.call.method.clone(),
        operation: operation(counted.call.operation()).into(),
        count: counted.count,
    }
}

/// One saga of a batch.
pub(crate) fn batch_item(item: &Item, namespace: &Namespace) -> v1::BatchItem {
    let key = item.key(namespace);
    let call = |call: &amends_runtime::batch::ItemCall| v1::BatchItemCall {
        step: call.step.clone(),
        operation: operation(call.operation()).into(),
        participant: call.participant.clone(),
        method: call.method.clone(),
        idempotency_key: key.as_ref().map(|key| call.idempotency_key(key)).unwrap_or_default(),
    };
    v1::BatchItem {
        saga_id: item.saga_id.clone(),
        revision: item.revision,
        status: match item.status() {
            ItemStatus::Waiting => v1::BatchItemStatus::Waiting,
            ItemStatus::Done => v1::BatchItemStatus::Done,
            ItemStatus::Moved => v1::BatchItemStatus::Moved,
            ItemStatus::Refused => v1::BatchItemStatus::Refused,
        }
        .into(),
        message: item.message.clone(),
        calls: item.calls.iter().map(call).collect(),
    }
}

fn action(action: &Action) -> v1::BatchAction {
    use v1::BatchVerb as V;
    let named = |verb: V, step: &Option<StepName>, of: Option<Operation>| v1::BatchAction {
        verb: verb.into(),
        step: step.as_ref().map(StepName::to_string).unwrap_or_default(),
        operation: of.map_or(v1::Operation::Unspecified, operation).into(),
        ..v1::BatchAction::default()
    };
    let plain = |verb| named(verb, &None, None);
    match action {
        Action::Retry { step } => named(V::Retry, step, None),
        Action::Skip { step, operation } => named(V::Skip, step, *operation),
        Action::Resolve { step, operation, finding } => v1::BatchAction {
            happened: matches!(finding, Finding::Happened(_)),
            output: match finding {
                Finding::Happened(output) => Some(payload(output)),
                Finding::DidNotHappen => None,
            },
            ..named(V::Resolve, step, *operation)
        },
        Action::Cancel => plain(V::Cancel),
        Action::ForceStop => plain(V::ForceStop),
        Action::Pause => plain(V::Pause),
        Action::Resume => plain(V::Resume),
        Action::Acknowledge => plain(V::Acknowledge),
        Action::Repin { version } => v1::BatchAction { version: version.0, ..plain(V::Repin) },
    }
}
