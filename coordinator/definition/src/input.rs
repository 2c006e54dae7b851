//! What a saga is started with: checked against the definition's JSON Schema, digits kept.
//!
//! It reads and judges; it never fills in defaults or converts. Invariants: an integer that 64 bits can't hold is refused
//! instead of rounded, and no error text holds a value of the input (reliability-and-security §4.6).

mod bounds;

use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::big_stack;
use crate::finding::{Findings, did_you_mean, shown};
use crate::rules;
use crate::tree::{Node, NodeValue};
use crate::types::{Type, of_schema};
pub(crate) use bounds::trouble_with;
use bounds::{Bounds, Unbounded, bounds};

/// Most steps of one check: a second or two.
const WORK_MAX: u64 = 20_000_000;
/// Deepest recursion of a check that the stack of a server's worker thread bears with ease.
const SHALLOW: usize = 200;

/// An input that a saga can't be started with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Not JSON at all.
    #[error("the input is not JSON: line {line}, column {column} — send a JSON value in UTF-8")]
    NotJson {
        /// Counts from 1.
        line: usize,
        /// Counts from 1.
        column: usize,
    },
    /// JSON with more lists and objects inside one another than can be read.
    #[error("the input is nested too deeply at line {line}, column {column} — flatten it")]
    TooDeep {
        /// Counts from 1.
        line: usize,
        /// Counts from 1.
        column: usize,
    },
    /// An integer over 64 bits.
    #[error("the input has an integer of more than 64 bits at byte {offset} — send it as a text")]
    TooManyDigits {
        /// Where it begins, in bytes from 0.
        offset: usize,
    },
    /// Against the definition's `input`.
    #[error("input{pointer}: {message} — {mend}")]
    Schema {
        /// JSON pointer to the value, empty for the input itself.
        pointer: String,
        /// What is wrong with it.
        message: String,
        /// What to do about it.
        mend: String,
    },
}

/// The JSON Schema of `input`.
#[derive(Debug, Clone)]
pub(crate) struct InputSchema {
    validator: Arc<Validator>,
    /// What checking can take.
    bounds: Bounds,
    /// What is known about an input that it accepts.
    shape: Type,
}

impl InputSchema {
    /// Compiles the schema (draft 2020-12). References to other documents are refused: nothing is ever fetched.
    pub(crate) fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        if !matches!(node.value, NodeValue::Map(_) | NodeValue::Bool(_)) {
            let message = format!("`input` must be a JSON Schema and is {}", node.kind());
            findings.error(
                rules::BAD_SCHEMA,
                node.place,
                message,
                "write `input: { type: object, required: [order_id] }`",
            );
            return None;
        }
        // The plain regex engine: linear time, whatever the pattern and the text.
        let options = jsonschema::draft202012::options().with_pattern_options(PatternOptions::regex());
        let schema = node.to_json();
        let bounds = match bounds(&schema) {
            Ok(bounds) => bounds,
            Err(Unbounded { pointer, message, mend }) => {
                let place = node.at_pointer(&pointer).place;
                findings.error(rules::BAD_SCHEMA, place, format!("`input{}`: {message}", shown(&pointer)), mend);
                return None;
            }
        };
        match options.build(&schema) {
            Ok(validator) => Some(Self { validator: Arc::new(validator), bounds, shape: of_schema(&schema) }),
            Err(error) => {
                let pointer = error.instance_path().to_string();
                let message = format!("`input{pointer}` is no valid JSON Schema (draft 2020-12): {error}");
                findings.error(rules::BAD_SCHEMA, node.at_pointer(&pointer).place, message, "correct the schema");
                None
            }
        }
    }

    /// The type of what it accepts.
    pub(crate) fn shape(&self) -> &Type {
        &self.shape
    }

    /// The first thing that is wrong with an input.
    pub(crate) fn check(&self, input: &Value) -> Result<(), InputError> {
        if self.bounds.cost.saturating_mul(size_of(input)) > WORK_MAX {
            let message = "it is too large for a schema like this".to_owned();
            let mend = "send less, or simplify `input:` of the definition".to_owned();
            return Err(InputError::Schema { pointer: String::new(), message, mend });
        }
        if self.bounds.depth <= SHALLOW {
            return self.validate(input);
        }
        big_stack::run(|| self.validate(input)).unwrap_or_else(|error| {
            let mend = "try again".to_owned();
            Err(InputError::Schema { pointer: String::new(), message: error.to_string(), mend })
        })
    }

    fn validate(&self, input: &Value) -> Result<(), InputError> {
        self.validator.validate(input).map_err(|error| InputError::Schema {
            pointer: error.instance_path().to_string(),
            message: describe(error.kind(), &error),
            mend: mend(error.kind()),
        })
    }
}

/// How much there is to check: values, and long texts for their length.
fn size_of(value: &Value) -> u64 {
    match value {
        Value::String(text) => 1 + text.len() as u64 / 64,
        Value::Array(items) => items.iter().map(size_of).sum::<u64>() + 1,
        Value::Object(entries) => entries.values().map(size_of).sum::<u64>() + 1,
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

fn describe(kind: &ValidationErrorKind, error: &jsonschema::ValidationError<'_>) -> String {
    match kind {
        ValidationErrorKind::Required { property } => format!("{property} is missing"),
        ValidationErrorKind::AdditionalProperties { unexpected } => format!("there is no field {}", quoted(unexpected)),
        _ => error.masked_with("the value").to_string(),
    }
}

fn mend(kind: &ValidationErrorKind) -> String {
    match kind {
        ValidationErrorKind::Required { .. } => "add it".to_owned(),
        ValidationErrorKind::AdditionalProperties { .. } => "leave it out, or check its spelling".to_owned(),
        ValidationErrorKind::Enum { options } => {
            let words: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            did_you_mean("", words.iter().copied())
        }
        _ => "send what `input:` of the definition describes".to_owned(),
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}

/// Reads JSON, keeping every digit of every integer: one that 64 bits can't hold is refused, not rounded.
pub fn read_json(bytes: &[u8]) -> Result<Value, InputError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        // The library says so in words only.
        match error.to_string().starts_with("recursion limit") {
            true => InputError::TooDeep { line, column },
            false => InputError::NotJson { line, column },
        }
    })?;
    match oversized_integer(bytes) {
        Some(offset) => Err(InputError::TooManyDigits { offset }),
        None => Ok(value),
    }
}

/// Where an integer begins that serde_json has made a float of. The bytes are known to be JSON.
fn oversized_integer(json: &[u8]) -> Option<usize> {
    let mut position = 0;
    while let Some(byte) = json.get(position) {
        match byte {
            b'"' => position += text_length(&json[position..]),
            b'-' | b'0'..=b'9' => {
                let numeric = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
                let length = json[position..].iter().take_while(|byte| numeric(byte)).count();
                let number = std::str::from_utf8(&json[position..position + length]).unwrap_or_default();
                let is_integer = !number.contains(['.', 'e', 'E']);
                if is_integer && number.parse::<u64>().is_err() && number.parse::<i64>().is_err() {
                    return Some(position);
                }
                position += length;
            }
            _ => position += 1,
        }
    }
    None
}

/// Bytes of the text literal at the beginning, quotes included.
fn text_length(json: &[u8]) -> usize {
    let mut escaped = false;
    for (offset, byte) in json.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return offset + 1,
            _ => {}
        }
    }
    json.len()
}

#[cfg(test)]
mod tests;
