//! The message of a history entry, format 1.
//!
//! One flat message: what belongs to a change besides its number is its `detail` (an outcome or a stuck reason) or its
//! `cause`. Invariant: field numbers and meanings never change within a format.

use std::time::Duration;

use amends_engine::history::{Change, HistoryEntry};
use amends_engine::ids::{Operation, Version};
use amends_engine::outcome::{CallFacts, OutcomeKind, Why};
use amends_engine::saga::StuckReason;
use amends_engine::time::Timestamp;
use prost::Message;

#[cfg(test)]
use super::parts::digest_bytes;
use super::parts::{ByRecord, CauseRecord, optional_digest, required, step_index};
use super::tags::Tagged;
use super::writer::Writer;
use super::{RecordError, RecordedEntry};
use crate::contract::Epoch;

/// A history entry with the commit that made it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HistoryRecord {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(uint64, tag = "2")]
    at: u64,
    #[prost(uint32, tag = "3")]
    change: u32,
    #[prost(uint32, tag = "4")]
    detail: u32,
    #[prost(message, optional, tag = "5")]
    cause: Option<CauseRecord>,
    #[prost(uint32, optional, tag = "6")]
    step: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    operation: Option<u32>,
    #[prost(uint32, optional, tag = "8")]
    attempt: Option<u32>,
    #[prost(string, tag = "9")]
    code: String,
    #[prost(string, tag = "10")]
    message: String,
    #[prost(message, optional, tag = "11")]
    call: Option<CallRecord>,
    #[prost(bytes = "vec", optional, tag = "12")]
    request: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "13")]
    next_due: Option<u64>,
    #[prost(message, optional, tag = "14")]
    by: Option<ByRecord>,
    #[prost(string, tag = "15")]
    node: String,
    #[prost(uint64, tag = "16")]
    epoch: u64,
    #[prost(uint64, tag = "17")]
    revision: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct CallRecord {
    #[prost(uint64, tag = "1")]
    started_at: u64,
    #[prost(uint64, tag = "2")]
    seconds: u64,
    #[prost(uint32, tag = "3")]
    nanos: u32,
    #[prost(string, tag = "4")]
    endpoint: String,
    #[prost(string, tag = "5")]
    trace_id: String,
    #[prost(bytes = "vec", optional, tag = "6")]
    reply: Option<Vec<u8>>,
}

/// About as long as an entry is.
pub(super) const LENGTH: usize = 256;

/// Writes the message of an entry.
pub(super) fn write(entry: &HistoryEntry, (node, epoch, revision): (&str, Epoch, u64), to: &mut Writer) {
    let (change, detail, cause) = change_parts(&entry.change);
    to.number(1, entry.sequence);
    to.number(2, entry.at.0);
    to.number(3, change);
    to.number(4, detail);
    to.message(5, cause.as_ref());
    to.some_number(6, entry.step.map(|step| step.0));
    to.some_number(7, entry.operation.map(Operation::tag));
    to.some_number(8, entry.attempt);
    to.text(9, &entry.why.code);
    to.text(10, &entry.why.message);
    if let Some(call) = &entry.call {
        to.nested(11, |to| {
            to.number(1, call.started_at.0);
            to.number(2, call.duration.as_secs());
            to.number(3, call.duration.subsec_nanos());
            to.text(4, &call.endpoint);
            to.text(5, &call.trace_id);
            to.digest(6, call.reply.as_ref());
        });
    }
    to.digest(12, entry.request.as_ref());
    to.some_number(13, entry.next_due.map(|due| due.0));
    to.message(14, entry.by.as_ref().map(ByRecord::from).as_ref());
    to.text(15, node);
    to.number(16, epoch.0);
    to.number(17, revision);
}

#[cfg(test)]
impl HistoryRecord {
    /// The message of this entry.
    pub(super) fn new(entry: &HistoryEntry, node: &str, epoch: Epoch, revision: u64) -> Self {
        let (change, detail, cause) = change_parts(&entry.change);
        Self {
            sequence: entry.sequence,
            at: entry.at.0,
            change,
            detail,
            cause,
            step: entry.step.map(|step| u32::from(step.0)),
            operation: entry.operation.map(Operation::tag),
            attempt: entry.attempt,
            code: entry.why.code.clone(),
            message: entry.why.message.clone(),
            call: entry.call.as_ref().map(CallRecord::from),
            request: digest_bytes(entry.request.as_ref()),
            next_due: entry.next_due.map(|due| due.0),
            by: entry.by.as_ref().map(ByRecord::from),
            node: node.to_owned(),
            epoch: epoch.0,
            revision,
        }
    }
}

impl TryFrom<HistoryRecord> for RecordedEntry {
    type Error = RecordError;

    fn try_from(record: HistoryRecord) -> Result<Self, RecordError> {
        let entry = HistoryEntry {
            sequence: record.sequence,
            at: Timestamp(record.at),
            change: change_of(record.change, record.detail, record.cause)?,
            step: record.step.map(step_index).transpose()?,
            operation: record.operation.map(Operation::from_tag).transpose()?,
            attempt: record.attempt,
            why: Why { code: record.code, message: record.message },
            call: record.call.map(CallFacts::try_from).transpose()?,
            request: optional_digest(record.request)?,
            next_due: record.next_due.map(Timestamp),
            by: record.by.map(Into::into),
        };
        Ok(Self { entry, node: record.node, epoch: Epoch(record.epoch), revision: record.revision })
    }
}

#[cfg(test)]
impl From<&CallFacts> for CallRecord {
    fn from(call: &CallFacts) -> Self {
        Self {
            started_at: call.started_at.0,
            seconds: call.duration.as_secs(),
            nanos: call.duration.subsec_nanos(),
            endpoint: call.endpoint.clone(),
            trace_id: call.trace_id.clone(),
            reply: digest_bytes(call.reply.as_ref()),
        }
    }
}

impl TryFrom<CallRecord> for CallFacts {
    type Error = RecordError;

    fn try_from(record: CallRecord) -> Result<Self, RecordError> {
        // Whole seconds among the nanoseconds could overflow and panic in `Duration::new`.
        if record.nanos >= 1_000_000_000 {
            return Err(RecordError::OutOfRange { what: "duration in nanoseconds", found: record.nanos });
        }
        Ok(Self {
            started_at: Timestamp(record.started_at),
            duration: Duration::new(record.seconds, record.nanos),
            endpoint: record.endpoint,
            trace_id: record.trace_id,
            reply: optional_digest(record.reply)?,
        })
    }
}

/// Number, detail and cause of a change.
fn change_parts(change: &Change) -> (u32, u32, Option<CauseRecord>) {
    match change {
        Change::Started => (1, 0, None),
        Change::ConditionFalse => (2, 0, None),
        Change::PrepareFailed => (3, 0, None),
        Change::AttemptEnded(kind) => (4, kind.tag(), None),
        Change::LateAnswer(kind) => (5, kind.tag(), None),
        Change::Nondeterministic => (6, 0, None),
        Change::CalledBack(kind) => (7, kind.tag(), None),
        Change::PendingExpired => (8, 0, None),
        Change::DecidedToCompensate(cause) => (9, 0, Some(CauseRecord::from(cause))),
        Change::DecidedToConfirm => (10, 0, None),
        Change::CancelRecorded => (11, 0, None),
        Change::Late => (12, 0, None),
        Change::Stuck(reason) => (13, reason.tag(), None),
        Change::Parked(reason) => (14, reason.tag(), None),
        Change::Retried => (15, 0, None),
        Change::Skipped => (16, 0, None),
        Change::ResolvedAsHappened => (17, 0, None),
        Change::ResolvedAsNotHappened => (18, 0, None),
        Change::Paused => (19, 0, None),
        Change::Resumed => (20, 0, None),
        Change::Completed => (21, 0, None),
        Change::Compensated => (22, 0, None),
        Change::ForceStopped => (23, 0, None),
        Change::Acknowledged => (24, 0, None),
        Change::Repinned(version) => (25, version.0, None),
    }
}

fn change_of(number: u32, detail: u32, cause: Option<CauseRecord>) -> Result<Change, RecordError> {
    Ok(match number {
        1 => Change::Started,
        2 => Change::ConditionFalse,
        3 => Change::PrepareFailed,
        4 => Change::AttemptEnded(OutcomeKind::from_tag(detail)?),
        5 => Change::LateAnswer(OutcomeKind::from_tag(detail)?),
        6 => Change::Nondeterministic,
        7 => Change::CalledBack(OutcomeKind::from_tag(detail)?),
        8 => Change::PendingExpired,
        9 => Change::DecidedToCompensate(required("cause", cause)?.try_into()?),
        10 => Change::DecidedToConfirm,
        11 => Change::CancelRecorded,
        12 => Change::Late,
        13 => Change::Stuck(StuckReason::from_tag(detail)?),
        14 => Change::Parked(StuckReason::from_tag(detail)?),
        15 => Change::Retried,
        16 => Change::Skipped,
        17 => Change::ResolvedAsHappened,
        18 => Change::ResolvedAsNotHappened,
        19 => Change::Paused,
        20 => Change::Resumed,
        21 => Change::Completed,
        22 => Change::Compensated,
        23 => Change::ForceStopped,
        24 => Change::Acknowledged,
        25 => Change::Repinned(Version(detail)),
        found => return Err(RecordError::UnknownTag { what: "change", found }),
    })
}
