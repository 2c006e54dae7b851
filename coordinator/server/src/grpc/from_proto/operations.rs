//! The messages of service Operations.

use amends_engine::event::Finding;
use amends_engine::ids::{SagaKey, Version};
use amends_engine::saga::By;
use amends_proto::v1;
use amends_runtime::Ask;

use super::{Asked, by, operation, output, revision, saga_key, step_name, version};
use crate::grpc::status::Violation;

/// Fresh attempts.
pub(crate) fn retry(message: v1::RetrySagaRequest, principal: String) -> Result<Asked, Violation> {
    let step = match message.step.as_str() {
        "" => None,
        name => Some(step_name(name)?),
    };
    asked(
        &message.namespace,
        &message.saga_id,
        Ask::Retry { step },
        principal,
        message.reason,
        message.expected_revision,
    )
}

/// Going on without an operation.
pub(crate) fn skip(message: v1::SkipOperationRequest, principal: String) -> Result<Asked, Violation> {
    let ask = Ask::Skip { step: step_name(&message.step)?, operation: operation(message.operation)? };
    asked(&message.namespace, &message.saga_id, ask, principal, message.reason, message.expected_revision)
}

/// A fact that an operator found out.
pub(crate) fn resolve(message: v1::ResolveOperationRequest, principal: String) -> Result<Asked, Violation> {
    use v1::resolve_operation_request::Finding as Stated;
    let finding = match message.finding {
        Some(Stated::Happened(it)) => Finding::Happened(output("happened.output", it.output)?),
        Some(Stated::DidNotHappen(_)) => Finding::DidNotHappen,
        None => return Err(Violation::new("finding", "it is missing; give `happened` or `did_not_happen`")),
    };
    let ask = Ask::Resolve { step: step_name(&message.step)?, operation: operation(message.operation)?, finding };
    asked(&message.namespace, &message.saga_id, ask, principal, message.reason, message.expected_revision)
}

/// Stop where it stands.
pub(crate) fn force_stop(message: v1::ForceStopSagaRequest, principal: String) -> Result<Asked, Violation> {
    let v1::ForceStopSagaRequest { namespace, saga_id, reason, expected_revision } = message;
    asked(&namespace, &saga_id, Ask::ForceStop, principal, reason, expected_revision)
}

/// Start nothing more.
pub(crate) fn pause(message: v1::PauseSagaRequest, principal: String) -> Result<Asked, Violation> {
    let v1::PauseSagaRequest { namespace, saga_id, reason, expected_revision } = message;
    asked(&namespace, &saga_id, Ask::Pause, principal, reason, expected_revision)
}

/// Go on.
pub(crate) fn resume(message: v1::ResumeSagaRequest, principal: String) -> Result<Asked, Violation> {
    let v1::ResumeSagaRequest { namespace, saga_id, reason, expected_revision } = message;
    asked(&namespace, &saga_id, Ask::Resume, principal, reason, expected_revision)
}

/// Somebody looks after what is stuck.
pub(crate) fn acknowledge(message: v1::AcknowledgeSagaRequest, principal: String) -> Result<Asked, Violation> {
    let v1::AcknowledgeSagaRequest { namespace, saga_id, reason, expected_revision } = message;
    asked(&namespace, &saga_id, Ask::Acknowledge, principal, reason, expected_revision)
}

/// A move to another version of the definition.
#[derive(Debug)]
pub(crate) struct AskedToMove {
    pub(crate) key: SagaKey,
    /// The newest that isn't deprecated where absent.
    pub(crate) version: Option<Version>,
    pub(crate) by: By,
    pub(crate) expected_revision: Option<u64>,
}

/// Going on by another version.
pub(crate) fn repin(message: v1::RepinSagaRequest, principal: String) -> Result<AskedToMove, Violation> {
    Ok(AskedToMove {
        key: saga_key(&message.namespace, &message.saga_id)?,
        version: version(message.version),
        by: by(principal, message.reason)?,
        expected_revision: revision(message.expected_revision),
    })
}

fn asked(
    namespace: &str,
    saga_id: &str,
    ask: Ask,
    principal: String,
    reason: String,
    expected_revision: u64,
) -> Result<Asked, Violation> {
    Ok(Asked {
        key: saga_key(namespace, saga_id)?,
        ask,
        by: by(principal, reason)?,
        expected_revision: revision(expected_revision),
    })
}
