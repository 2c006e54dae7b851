//! Why a value can't become a message or a field, said in types and names.
//!
//! Invariant: no text here holds a value, only what kind of value it is and where.

use prost_reflect::{Kind, MessageDescriptor};
use serde_json::Value;

use crate::expression::path::Segment;
use crate::finding::did_you_mean;

/// Why a value can't become a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The way to the offending value, innermost first.
    reversed: Vec<Segment>,
    /// What is wrong with it.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) mend: String,
}

impl Mismatch {
    pub(super) fn new(message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { reversed: Vec::new(), message: message.into(), mend: mend.into() }
    }

    pub(super) fn inside(mut self, segment: Segment) -> Self {
        self.reversed.push(segment);
        self
    }

    /// The way to the offending value.
    pub(crate) fn path(&self) -> Vec<Segment> {
        self.reversed.iter().rev().cloned().collect()
    }
}

/// An unknown field, and what is there instead.
pub(crate) fn unknown_field(descriptor: &MessageDescriptor, name: &str) -> Mismatch {
    let known: Vec<String> = descriptor.fields().map(|field| field.name().to_owned()).collect();
    let message = format!("`{}` has no field `{name}`", descriptor.full_name());
    Mismatch::new(message, did_you_mean(name, known.iter().map(String::as_str)))
}

pub(super) fn wrong_type(value: &Value, wanted: &str) -> Mismatch {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number with a fraction or exponent",
        Value::Number(_) => "an integer",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    };
    Mismatch::new(format!("it must be {wanted} and is {found}"), "correct the value or the field")
}

/// What keeps a value from becoming one of this kind.
pub(super) fn misfit(kind: &Kind, value: &Value) -> Mismatch {
    let wanted = kind_name(kind);
    let is_integer = !matches!(kind, Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Enum(_));
    match value {
        Value::Number(number) if is_integer && !number.is_f64() => Mismatch::new(
            format!("it must be {wanted} and is an integer out of its range"),
            "correct the value or the field",
        ),
        Value::Number(_) if is_integer => {
            let message = format!("it must be {wanted} and is a number with a fraction or exponent");
            Mismatch::new(message, "use a whole number: money is whole minor units")
        }
        Value::String(_) if is_integer => {
            Mismatch::new(format!("it must be {wanted} and is a text that isn't one"), "correct the value or the field")
        }
        Value::String(_) if matches!(kind, Kind::Bytes) => {
            Mismatch::new("it must be base64 and is another text", "encode it")
        }
        _ => wrong_type(value, wanted),
    }
}

/// How messages call a kind.
pub(crate) fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Double => "a double",
        Kind::Float => "a float",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "an int32",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "an int64",
        Kind::Uint32 | Kind::Fixed32 => "a uint32",
        Kind::Uint64 | Kind::Fixed64 => "a uint64",
        Kind::Bool => "true or false",
        Kind::String => "a text",
        Kind::Bytes => "base64",
        Kind::Message(_) => "a message",
        Kind::Enum(_) => "a word of its enum",
    }
}
