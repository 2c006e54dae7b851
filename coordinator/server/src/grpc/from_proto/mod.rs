//! What callers send, checked and turned into what the runtime takes. With `to_proto` the only place that names both.
//!
//! Never asks the store or the clock: a request is refused here only for what it says itself. Invariant: every refusal names
//! the field as the .proto file has it, and the mend.
//!
//! This file has what all methods share; `sagas.rs`, `operations.rs` and `registrations.rs` have the messages.

mod audit;
mod batches;
pub(crate) mod discovery;
mod operations;
mod registrations;
mod sagas;
mod search;

use amends_engine::ids::{
    DefinitionName, InvalidName, Namespace, Operation, ParticipantName, SagaId, SagaKey, StepName,
};
use amends_engine::payload::Payload;
use amends_engine::saga::By;
use amends_proto::v1;
use amends_runtime::Ask;
use amends_runtime::batch::is_marked;
use amends_runtime::coordinator::namespace_or_default;
use bytes::Bytes;

use super::status::Violation;
pub(crate) use audit::*;
pub(crate) use batches::*;
pub(crate) use operations::*;
pub(crate) use registrations::*;
pub(crate) use sagas::*;
pub(crate) use search::*;

/// Longest reason, in bytes.
const REASON_LENGTH_MAX: usize = 1024;

/// Something that somebody asks of one saga.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) key: SagaKey,
    pub(crate) ask: Ask,
    pub(crate) by: By,
    pub(crate) expected_revision: Option<u64>,
}

/// The tenant of a request.
pub(crate) fn namespace(text: &str) -> Result<Namespace, Violation> {
    namespace_or_default(text).map_err(|error| named("namespace", &error))
}

/// The saga of a request.
pub(crate) fn saga_key(in_namespace: &str, saga_id: &str) -> Result<SagaKey, Violation> {
    let id = SagaId::parse(saga_id).map_err(|error| named("saga_id", &error))?;
    Ok(SagaKey { namespace: namespace(in_namespace)?, id })
}

/// The definition of a request.
pub(crate) fn definition_name(field: &str, text: &str) -> Result<DefinitionName, Violation> {
    DefinitionName::parse(text).map_err(|error| named(field, &error))
}

/// The participant of a request.
pub(crate) fn participant_name(field: &str, text: &str) -> Result<ParticipantName, Violation> {
    ParticipantName::parse(text).map_err(|error| named(field, &error))
}

fn step_name(text: &str) -> Result<StepName, Violation> {
    StepName::parse(text).map_err(|error| named("step", &error))
}

fn named(field: &str, error: &InvalidName) -> Violation {
    Violation::new(field, error.to_string())
}

/// 0 in a request means that any revision will do.
pub(crate) fn revision(expected: u64) -> Option<u64> {
    (expected != 0).then_some(expected)
}

pub(crate) fn by(principal: String, reason: String) -> Result<By, Violation> {
    match reason.len() {
        // What a batch did is told by how its reason begins.
        1..=REASON_LENGTH_MAX if is_marked(&reason) => {
            Err(Violation::new("reason", "only what a batch does has a reason that begins so; say it in other words"))
        }
        1..=REASON_LENGTH_MAX => Ok(By { principal, reason }),
        0 => Err(Violation::new("reason", "it is empty; say why, for the history")),
        length => Err(too_long("reason", length, REASON_LENGTH_MAX)),
    }
}

fn too_long(field: &str, length: usize, max: usize) -> Violation {
    Violation::new(field, format!("it has {length} bytes; at most {max} are allowed"))
}

/// The operation of a request; `None` where it leaves that open.
fn operation(number: i32) -> Result<Option<Operation>, Violation> {
    match v1::Operation::try_from(number) {
        Ok(v1::Operation::Unspecified) => Ok(None),
        Ok(v1::Operation::Action) => Ok(Some(Operation::Action)),
        Ok(v1::Operation::Compensate) => Ok(Some(Operation::Compensate)),
        Ok(v1::Operation::Confirm) => Ok(Some(Operation::Confirm)),
        Ok(v1::Operation::Query) => Ok(Some(Operation::Query)),
        Err(_) => Err(unknown_value("operation", number)),
    }
}

pub(crate) fn unknown_value(field: &str, number: i32) -> Violation {
    Violation::new(field, format!("this coordinator doesn't know the value {number}; is the client newer?"))
}

/// A JSON payload. Where it is unset it is the empty object: nothing to pass, or an empty reply.
fn json(field: &str, payload: Option<v1::Payload>) -> Result<Payload, Violation> {
    let Some(v1::Payload { encoding, data }) = payload else { return Ok(Payload::json(Bytes::from_static(b"{}"))) };
    match v1::payload::Encoding::try_from(encoding) {
        Ok(v1::payload::Encoding::Unspecified | v1::payload::Encoding::Json) => Ok(Payload::json(data)),
        Ok(v1::payload::Encoding::Protobuf) => {
            Err(Violation::new(format!("{field}.encoding"), "only ENCODING_JSON is taken here; send JSON"))
        }
        Err(_) => Err(unknown_value(&format!("{field}.encoding"), encoding)),
    }
}

/// An output that somebody states: it is read by later steps, so it must be JSON here and now.
fn output(field: &str, payload: Option<v1::Payload>) -> Result<Payload, Violation> {
    let payload = json(field, payload)?;
    match amends_definition::read_json(&payload.bytes) {
        Ok(_) => Ok(payload),
        // Its own words are about an input; the place in the bytes is all that is said of what was sent.
        Err(error) => Err(Violation::new(field, error.to_string().replacen("the input", "the output", 1))),
    }
}

#[cfg(test)]
mod tests;
