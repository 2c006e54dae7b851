//! Messages and conversions that states and history entries share.
//!
//! Nothing here knows the format byte. Invariant: every conversion into a message and back gives the same value.

use amends_engine::ids::StepIndex;
use amends_engine::payload::Digest;
use amends_engine::saga::{By, Cause};
use prost::Message;

use super::RecordError;

/// Who asked for something and why.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct ByRecord {
    #[prost(string, tag = "1")]
    principal: String,
    #[prost(string, tag = "2")]
    reason: String,
}

impl From<&By> for ByRecord {
    fn from(by: &By) -> Self {
        Self { principal: by.principal.clone(), reason: by.reason.clone() }
    }
}

impl From<ByRecord> for By {
    fn from(record: ByRecord) -> Self {
        Self { principal: record.principal, reason: record.reason }
    }
}

/// Why a saga turned back.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct CauseRecord {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint32, tag = "2")]
    step: u32,
    #[prost(message, optional, tag = "3")]
    by: Option<ByRecord>,
}

impl From<&Cause> for CauseRecord {
    fn from(cause: &Cause) -> Self {
        let (kind, step, by) = match cause {
            Cause::Rejected(step) => (1, Some(step), None),
            Cause::GaveUp(step) => (2, Some(step), None),
            Cause::ExpressionFailed(step) => (3, Some(step), None),
            Cause::Cancelled(by) => (4, None, Some(ByRecord::from(by))),
            Cause::Deadline => (5, None, None),
            Cause::ResolvedAsNotHappened(step) => (6, Some(step), None),
        };
        Self { kind, step: step.map_or(0, |step| u32::from(step.0)), by }
    }
}

impl TryFrom<CauseRecord> for Cause {
    type Error = RecordError;

    fn try_from(record: CauseRecord) -> Result<Self, RecordError> {
        Ok(match record.kind {
            1 => Self::Rejected(step_index(record.step)?),
            2 => Self::GaveUp(step_index(record.step)?),
            3 => Self::ExpressionFailed(step_index(record.step)?),
            4 => Self::Cancelled(required("principal", record.by)?.into()),
            5 => Self::Deadline,
            6 => Self::ResolvedAsNotHappened(step_index(record.step)?),
            found => return Err(RecordError::UnknownTag { what: "cause", found }),
        })
    }
}

/// A step's index from its stored number.
pub(super) fn step_index(number: u32) -> Result<StepIndex, RecordError> {
    u16::try_from(number).map(StepIndex).map_err(|_| RecordError::OutOfRange { what: "step", found: number })
}

/// A digest from its stored bytes.
pub(super) fn digest(bytes: &[u8]) -> Result<Digest, RecordError> {
    bytes.try_into().map(Digest).map_err(|_| RecordError::InvalidDigest { length: bytes.len() })
}

/// An optional digest from its stored bytes.
pub(super) fn optional_digest(bytes: Option<Vec<u8>>) -> Result<Option<Digest>, RecordError> {
    bytes.as_deref().map(digest).transpose()
}

/// An optional digest as bytes.
#[cfg(test)]
pub(super) fn digest_bytes(digest: Option<&Digest>) -> Option<Vec<u8>> {
    digest.map(|digest| digest.0.to_vec())
}

/// A part without which a record makes no sense.
pub(super) fn required<T>(what: &'static str, part: Option<T>) -> Result<T, RecordError> {
    part.ok_or(RecordError::Missing { what })
}
