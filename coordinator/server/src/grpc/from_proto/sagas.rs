//! The messages of service Sagas.

use std::collections::BTreeMap;
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, Operation, SagaId, SagaKey, Version};
use amends_engine::outcome::{MESSAGE_LENGTH_MAX, Why};
use amends_engine::payload::Digest;
use amends_engine::saga::{By, StuckReason};
use amends_engine::standing::StatusWord;
use amends_proto::v1;
use amends_runtime::{Ask, Start};

use super::{
    Asked, by, definition_name, json, namespace, operation, output, revision, saga_key, step_name, too_long,
    unknown_value,
};
use crate::grpc::status::Violation;

const WAIT_MAX: Duration = Duration::from_secs(60);
const REQUEST_ID_LENGTH_MAX: usize = 128;
const LABELS_MAX: usize = 16;
const LABEL_KEY_LENGTH_MAX: usize = 64;
const LABEL_VALUE_LENGTH_MAX: usize = 256;
const CODE_LENGTH_MAX: usize = 128;

/// A saga to be started, and how long to wait for it.
pub(crate) fn start(
    message: v1::StartSagaRequest,
    principal: String,
    traceparent: String,
) -> Result<(Start, Option<Duration>), Violation> {
    let definition = definition_name("definition", &message.definition)?;
    let key = key_of_start(&message, &definition)?;
    check_labels(&message.labels)?;
    let wait = message.wait.map(wait).transpose()?;
    let start = Start {
        key,
        definition,
        version: version(message.version),
        input: json("input", message.input)?,
        labels: message.labels.into_iter().collect(),
        principal,
        traceparent,
    };
    Ok((start, wait))
}

/// The saga that a request means to start; `None` where it can't be told.
pub(crate) fn start_key(message: &v1::StartSagaRequest) -> Option<SagaKey> {
    let definition = definition_name("definition", &message.definition).ok()?;
    key_of_start(message, &definition).ok()
}

fn key_of_start(message: &v1::StartSagaRequest, definition: &DefinitionName) -> Result<SagaKey, Violation> {
    let namespace = namespace(&message.namespace)?;
    let id = match (message.saga_id.as_str(), message.request_id.as_str()) {
        ("", "") => {
            let problem = "give it, best an order number or the like, or a unique `request_id`: without one of them \
                           a repeated request would start a second saga";
            return Err(Violation::new("saga_id", problem));
        }
        (_, "") => saga_key("", &message.saga_id)?.id,
        ("", request_id) => derived_id(&namespace, definition, request_id)?,
        (_, _) => return Err(Violation::new("request_id", "give either `saga_id` or `request_id`, not both")),
    };
    Ok(SagaKey { namespace, id })
}

/// 0 in a request means the newest.
pub(crate) fn version(number: u32) -> Option<Version> {
    (number != 0).then_some(Version(number))
}

/// A UUID (version 8) of the request's id, the same for every repeat. Names can't hold a slash, so the parts can't run into
/// each other.
fn derived_id(namespace: &Namespace, definition: &DefinitionName, request_id: &str) -> Result<SagaId, Violation> {
    if request_id.len() > REQUEST_ID_LENGTH_MAX {
        return Err(too_long("request_id", request_id.len(), REQUEST_ID_LENGTH_MAX));
    }
    let Digest(digest) = Digest::of(format!("{namespace}/{definition}/{request_id}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    let id = uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string();
    SagaId::parse(&id).map_err(|error| Violation::new("request_id", error.to_string()))
}

pub(super) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Violation> {
    if labels.len() > LABELS_MAX {
        return Err(Violation::new("labels", format!("{} labels; at most {LABELS_MAX} are allowed", labels.len())));
    }
    for (key, value) in labels {
        if !(1..=LABEL_KEY_LENGTH_MAX).contains(&key.len()) {
            return Err(Violation::new(
                "labels",
                format!("a key has 1 to {LABEL_KEY_LENGTH_MAX} bytes, not {}", key.len()),
            ));
        }
        if value.len() > LABEL_VALUE_LENGTH_MAX {
            return Err(too_long(&format!("labels[{key:?}]"), value.len(), LABEL_VALUE_LENGTH_MAX));
        }
    }
    Ok(())
}

fn wait(duration: pbjson_types::Duration) -> Result<Duration, Violation> {
    match Duration::try_from(duration) {
        Ok(wait) if wait <= WAIT_MAX => Ok(wait),
        Ok(_) => Err(Violation::new("wait", format!("at most {WAIT_MAX:?}; repeat the same request to wait longer"))),
        Err(_) => Err(Violation::new("wait", "it is negative; leave it out to get the answer at once")),
    }
}

pub(super) fn status_word(number: i32) -> Result<Option<StatusWord>, Violation> {
    use v1::SagaStatus as S;
    Ok(Some(match S::try_from(number) {
        Ok(S::Unspecified) => return Ok(None),
        Ok(S::Running) => StatusWord::Running,
        Ok(S::Confirming) => StatusWord::Confirming,
        Ok(S::Compensating) => StatusWord::Compensating,
        Ok(S::Stuck) => StatusWord::Stuck,
        Ok(S::Paused) => StatusWord::Paused,
        Ok(S::Completed) => StatusWord::Completed,
        Ok(S::Compensated) => StatusWord::Compensated,
        Ok(S::ForceStopped) => StatusWord::ForceStopped,
        Err(_) => return Err(unknown_value("statuses", number)),
    }))
}

pub(super) fn stuck_reason(number: i32) -> Result<Option<StuckReason>, Violation> {
    use v1::StuckReason as R;
    Ok(Some(match R::try_from(number) {
        Ok(R::Unspecified) => return Ok(None),
        Ok(R::RetriesExhausted) => StuckReason::RetriesExhausted,
        Ok(R::CompensationRefused) => StuckReason::CompensationRefused,
        Ok(R::ConfirmRefused) => StuckReason::ConfirmRefused,
        Ok(R::RejectedAfterPivot) => StuckReason::RejectedAfterPivot,
        Ok(R::PivotUnknown) => StuckReason::PivotUnknown,
        Ok(R::BarrierRowMissing) => StuckReason::BarrierRowMissing,
        Ok(R::KeyReused) => StuckReason::KeyReused,
        Ok(R::ExpressionFailed) => StuckReason::ExpressionFailed,
        Ok(R::DefinitionOrParticipantMissing) => StuckReason::DefinitionOrParticipantMissing,
        Ok(R::Misconfigured) => StuckReason::Misconfigured,
        Ok(R::Poison) => StuckReason::Poison,
        Err(_) => return Err(unknown_value("stuck_reason", number)),
    }))
}

/// A cancel.
pub(crate) fn cancel(message: v1::CancelSagaRequest, principal: String) -> Result<Asked, Violation> {
    Ok(Asked {
        key: saga_key(&message.namespace, &message.saga_id)?,
        ask: Ask::Cancel,
        by: by(principal, message.reason)?,
        expected_revision: revision(message.expected_revision),
    })
}

/// What became of a pending operation.
pub(crate) fn complete_step(message: v1::CompleteStepRequest, principal: String) -> Result<Asked, Violation> {
    use v1::complete_step_request::Outcome;
    let step = step_name(&message.step)?;
    let operation = operation(message.operation)?.unwrap_or(Operation::Action);
    if operation == Operation::Query {
        return Err(Violation::new("operation", "a query is never pending; name ACTION, COMPENSATE or CONFIRM"));
    }
    let ask = match message.outcome {
        Some(Outcome::Succeeded(it)) => {
            Ask::CompleteSucceeded { step, operation, output: output("succeeded.output", it.output)? }
        }
        Some(Outcome::Rejected(it)) => Ask::CompleteRejected { step, operation, why: refusal(it)? },
        None => return Err(Violation::new("outcome", "it is missing; give `succeeded` or `rejected`")),
    };
    Ok(Asked {
        key: saga_key(&message.namespace, &message.saga_id)?,
        ask,
        by: By { principal, reason: String::new() },
        expected_revision: None,
    })
}

fn refusal(rejected: v1::StepRejected) -> Result<Why, Violation> {
    let v1::StepRejected { code, message } = rejected;
    if code.len() > CODE_LENGTH_MAX {
        return Err(too_long("rejected.code", code.len(), CODE_LENGTH_MAX));
    }
    if message.len() > MESSAGE_LENGTH_MAX {
        return Err(too_long("rejected.message", message.len(), MESSAGE_LENGTH_MAX));
    }
    Ok(Why { code, message })
}
