//! JSON and messages: proto3 JSON by descriptor, with payloads as the JSON that they hold. The only place that knows how a
//! payload looks over HTTP.
//!
//! A field of type `amends.v1.Payload` is written as the payload's JSON itself: `"input": {"order_id": "o-1"}`. Its bytes go
//! through as they are, so that integers of any size stay exact. One shape is not taken for itself: an object with exactly
//! the members `encoding` (`ENCODING_JSON` or `ENCODING_PROTOBUF`) and `data` (a string) is the message in its usual form.
//! Invariant: what is shown reads back as the same payload, but for white space around it; so one that has that shape itself,
//! or is `null` or no JSON, is shown as the message.

mod read;
mod show;
#[cfg(test)]
mod tests;

use std::fmt;

use prost_reflect::MessageDescriptor;
use serde_json::value::RawValue;

pub(super) use read::{others, read, read_leaf};
pub(super) use show::show;

const PAYLOAD: &str = "amends.v1.Payload";
const ENCODING_JSON: i32 = amends_proto::v1::payload::Encoding::Json as i32;

/// Where a JSON text isn't what is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// The path of the field, as it is written in the request; empty: the text as a whole.
    pub(crate) field: String,
    /// What is wrong with it, and the mend.
    pub(crate) problem: String,
    /// Line and column in the body, from 1; none where it isn't in the body.
    pub(crate) place: Option<(usize, usize)>,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.problem)
    }
}

/// Whether it is a payload, written as the JSON that it holds.
pub(super) fn is_payload(message: &MessageDescriptor) -> bool {
    message.full_name() == PAYLOAD
}

/// Whether JSON knows the type by a form of its own.
pub(super) fn is_well_known(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.protobuf"
}

/// Whether this JSON in the place of a payload is the message and not the payload itself.
fn is_message_form(json: &RawValue) -> bool {
    let Ok(read::Members(members)) = serde_json::from_str(json.get()) else { return false };
    let text = |name| {
        let member = members.iter().find(|(key, _)| key == name);
        member.and_then(|(_, value)| serde_json::from_str::<String>(value.get()).ok())
    };
    members.len() == 2
        && text("data").is_some()
        && text("encoding").is_some_and(|encoding| matches!(encoding.as_str(), "ENCODING_JSON" | "ENCODING_PROTOBUF"))
}
