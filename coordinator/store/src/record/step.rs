//! The messages of a step and its operations within a state, format 1.
//!
//! Operations that nothing happened to are left out; a status and what belongs to it are three numbers.
//! Invariant: field numbers and meanings never change within a format.

use amends_engine::outcome::{LastOutcome, OutcomeKind, Why};
use amends_engine::saga::{OperationState, OperationStatus, SkippedBy, StepState, StuckReason};
use amends_engine::time::Timestamp;
use prost::Message;

use super::RecordError;
#[cfg(test)]
use super::parts::digest_bytes;
use super::parts::optional_digest;
use super::tags::Tagged;
use super::writer::Writer;

/// One step.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StepRecord {
    #[prost(message, optional, tag = "1")]
    action: Option<OperationRecord>,
    #[prost(message, optional, tag = "2")]
    compensate: Option<OperationRecord>,
    #[prost(message, optional, tag = "3")]
    confirm: Option<OperationRecord>,
    #[prost(message, optional, tag = "4")]
    query: Option<OperationRecord>,
    #[prost(bool, tag = "5")]
    sealing: bool,
}

#[derive(Clone, PartialEq, Message)]
struct OperationRecord {
    #[prost(uint32, tag = "1")]
    status: u32,
    /// The time that belongs to the status: deadline, due or since.
    #[prost(uint64, tag = "2")]
    status_at: u64,
    /// What else belongs to the status: by what it was skipped, or why it is stuck.
    #[prost(uint32, tag = "3")]
    status_detail: u32,
    #[prost(uint32, tag = "4")]
    attempt: u32,
    #[prost(uint32, tag = "5")]
    failures: u32,
    #[prost(bool, tag = "6")]
    uncertain: bool,
    #[prost(uint64, optional, tag = "7")]
    begun_at: Option<u64>,
    #[prost(uint64, optional, tag = "8")]
    quiet_at: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "9")]
    request: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "10")]
    output: Option<Vec<u8>>,
    #[prost(message, optional, tag = "11")]
    last: Option<LastRecord>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct LastRecord {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(string, tag = "2")]
    code: String,
    #[prost(string, tag = "3")]
    message: String,
    #[prost(uint64, tag = "4")]
    at: u64,
}

/// About as long as a step is.
pub(super) const LENGTH: usize = 192;

/// Writes the message of a step.
pub(super) fn write(step: &StepState, to: &mut Writer) {
    for (tag, operation) in [(1, &step.action), (2, &step.compensate), (3, &step.confirm), (4, &step.query)] {
        if *operation != OperationState::IDLE {
            to.nested(tag, |to| write_operation(operation, to));
        }
    }
    to.number(5, step.sealing);
}

fn write_operation(operation: &OperationState, to: &mut Writer) {
    let (status, status_at, status_detail) = status_parts(operation.status);
    to.number(1, status);
    to.number(2, status_at);
    to.number(3, status_detail);
    to.number(4, operation.attempt);
    to.number(5, operation.failures);
    to.number(6, operation.uncertain);
    to.some_number(7, operation.begun_at.map(|at| at.0));
    to.some_number(8, operation.quiet_at.map(|at| at.0));
    to.digest(9, operation.request.as_ref());
    to.digest(10, operation.output.as_ref());
    if let Some(last) = &operation.last {
        to.nested(11, |to| {
            to.number(1, last.kind.tag());
            to.text(2, &last.why.code);
            to.text(3, &last.why.message);
            to.number(4, last.at.0);
        });
    }
}

#[cfg(test)]
impl From<&StepState> for StepRecord {
    fn from(step: &StepState) -> Self {
        let unless_idle =
            |operation: &OperationState| (*operation != OperationState::IDLE).then(|| OperationRecord::from(operation));
        Self {
            action: unless_idle(&step.action),
            compensate: unless_idle(&step.compensate),
            confirm: unless_idle(&step.confirm),
            query: unless_idle(&step.query),
            sealing: step.sealing,
        }
    }
}

impl TryFrom<StepRecord> for StepState {
    type Error = RecordError;

    fn try_from(record: StepRecord) -> Result<Self, RecordError> {
        let or_idle =
            |operation: Option<OperationRecord>| operation.map_or(Ok(OperationState::IDLE), OperationState::try_from);
        Ok(Self {
            action: or_idle(record.action)?,
            compensate: or_idle(record.compensate)?,
            confirm: or_idle(record.confirm)?,
            query: or_idle(record.query)?,
            sealing: record.sealing,
        })
    }
}

#[cfg(test)]
impl From<&OperationState> for OperationRecord {
    fn from(operation: &OperationState) -> Self {
        let (status, status_at, status_detail) = status_parts(operation.status);
        Self {
            status,
            status_at,
            status_detail,
            attempt: operation.attempt,
            failures: operation.failures,
            uncertain: operation.uncertain,
            begun_at: operation.begun_at.map(|at| at.0),
            quiet_at: operation.quiet_at.map(|at| at.0),
            request: digest_bytes(operation.request.as_ref()),
            output: digest_bytes(operation.output.as_ref()),
            last: operation.last.as_ref().map(LastRecord::from),
        }
    }
}

impl TryFrom<OperationRecord> for OperationState {
    type Error = RecordError;

    fn try_from(record: OperationRecord) -> Result<Self, RecordError> {
        Ok(Self {
            status: status_of(record.status, Timestamp(record.status_at), record.status_detail)?,
            attempt: record.attempt,
            failures: record.failures,
            uncertain: record.uncertain,
            begun_at: record.begun_at.map(Timestamp),
            quiet_at: record.quiet_at.map(Timestamp),
            request: optional_digest(record.request)?,
            output: optional_digest(record.output)?,
            last: record.last.map(LastOutcome::try_from).transpose()?,
        })
    }
}

/// Number, time and detail of an operation's status.
fn status_parts(status: OperationStatus) -> (u32, u64, u32) {
    match status {
        OperationStatus::Idle => (1, 0, 0),
        OperationStatus::Ready => (2, 0, 0),
        OperationStatus::InFlight { deadline } => (3, deadline.0, 0),
        OperationStatus::Retry { due } => (4, due.0, 0),
        OperationStatus::Asking => (5, 0, 0),
        OperationStatus::Pending { since } => (6, since.0, 0),
        OperationStatus::Succeeded => (7, 0, 0),
        OperationStatus::Rejected => (8, 0, 0),
        OperationStatus::GaveUp => (9, 0, 0),
        OperationStatus::Skipped(by) => (10, 0, by.tag()),
        OperationStatus::Stuck { reason, since } => (11, since.0, reason.tag()),
    }
}

fn status_of(number: u32, at: Timestamp, detail: u32) -> Result<OperationStatus, RecordError> {
    Ok(match number {
        1 => OperationStatus::Idle,
        2 => OperationStatus::Ready,
        3 => OperationStatus::InFlight { deadline: at },
        4 => OperationStatus::Retry { due: at },
        5 => OperationStatus::Asking,
        6 => OperationStatus::Pending { since: at },
        7 => OperationStatus::Succeeded,
        8 => OperationStatus::Rejected,
        9 => OperationStatus::GaveUp,
        10 => OperationStatus::Skipped(SkippedBy::from_tag(detail)?),
        11 => OperationStatus::Stuck { reason: StuckReason::from_tag(detail)?, since: at },
        found => return Err(RecordError::UnknownTag { what: "operation status", found }),
    })
}

#[cfg(test)]
impl From<&LastOutcome> for LastRecord {
    fn from(last: &LastOutcome) -> Self {
        let Why { code, message } = &last.why;
        Self { kind: last.kind.tag(), code: code.clone(), message: message.clone(), at: last.at.0 }
    }
}

impl TryFrom<LastRecord> for LastOutcome {
    type Error = RecordError;

    fn try_from(record: LastRecord) -> Result<Self, RecordError> {
        let why = Why { code: record.code, message: record.message };
        Ok(Self { kind: OutcomeKind::from_tag(record.kind)?, why, at: Timestamp(record.at) })
    }
}
