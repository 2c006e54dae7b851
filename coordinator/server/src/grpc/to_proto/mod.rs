//! What the runtime knows, as callers see it. With `from_proto` the only place that names both.
//!
//! It shows and never decides; what is derived here (a phase after the end, why an effect stands) is said in words, never
//! acted on. Invariant: no JSON is read or written on the way: payloads pass as the bytes they are.
//!
//! `saga.rs` has the saga as a whole, `steps.rs` its steps and what they left, `history.rs` the history, `counts.rs` how many, `registrations.rs`
//! definitions and participants.

mod audit;
mod batches;
mod counts;
mod discovery;
mod history;
mod reconciling;
mod registrations;
mod saga;
mod steps;

use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, OutcomeKind};
use amends_engine::payload::{Encoding, Payload};
use amends_engine::time::Timestamp;
use amends_proto::v1;

pub(crate) use audit::*;
pub(crate) use batches::*;
pub(crate) use counts::*;
pub(crate) use discovery::*;
pub(crate) use history::*;
pub(crate) use reconciling::finding as reconciled;
pub(crate) use registrations::*;
pub(crate) use saga::*;

/// The last second that a protobuf timestamp can hold: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

pub(crate) fn timestamp(at: Timestamp) -> pbjson_types::Timestamp {
    let (seconds, millis) = (at.0 / 1000, at.0 % 1000);
    if seconds > LAST_SECOND {
        return pbjson_types::Timestamp { seconds: LAST_SECOND as i64, nanos: 0 };
    }
    pbjson_types::Timestamp { seconds: seconds as i64, nanos: millis as i32 * 1_000_000 }
}

fn payload(payload: &Payload) -> v1::Payload {
    let encoding = match payload.encoding {
        Encoding::Json => v1::payload::Encoding::Json,
        Encoding::Protobuf => v1::payload::Encoding::Protobuf,
    };
    v1::Payload { encoding: encoding.into(), data: payload.bytes.clone() }
}

pub(crate) fn operation(operation: Operation) -> v1::Operation {
    match operation {
        Operation::Action => v1::Operation::Action,
        Operation::Compensate => v1::Operation::Compensate,
        Operation::Confirm => v1::Operation::Confirm,
        Operation::Query => v1::Operation::Query,
    }
}

/// The kind of an outcome and, for an unknown one, the doubt.
fn outcome(kind: OutcomeKind) -> (v1::OutcomeKind, v1::Doubt) {
    match kind {
        OutcomeKind::Succeeded => (v1::OutcomeKind::Succeeded, v1::Doubt::Unspecified),
        OutcomeKind::Rejected => (v1::OutcomeKind::Rejected, v1::Doubt::Unspecified),
        OutcomeKind::Pending => (v1::OutcomeKind::Pending, v1::Doubt::Unspecified),
        OutcomeKind::NotFound => (v1::OutcomeKind::NotFound, v1::Doubt::Unspecified),
        OutcomeKind::NotSent => (v1::OutcomeKind::NotSent, v1::Doubt::Unspecified),
        OutcomeKind::Unknown(doubt) => (v1::OutcomeKind::Unknown, reason_of(doubt)),
    }
}

fn reason_of(doubt: Doubt) -> v1::Doubt {
    match doubt {
        Doubt::NoAnswer => v1::Doubt::NoAnswer,
        Doubt::Broken => v1::Doubt::Broken,
        Doubt::Code => v1::Doubt::Code,
        Doubt::Unreadable => v1::Doubt::Unreadable,
        Doubt::OwnerLost => v1::Doubt::OwnerLost,
        Doubt::Misconfigured => v1::Doubt::Misconfigured,
        Doubt::KeyReused => v1::Doubt::KeyReused,
        Doubt::RowMissing => v1::Doubt::RowMissing,
        Doubt::StaleEpoch => v1::Doubt::StaleEpoch,
    }
}

/// The trace id within a W3C `traceparent`; empty when there is none.
fn trace_id(traceparent: &str) -> String {
    traceparent.split('-').nth(1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
