//! What a saga is started with: checked against the definition's JSON Schema, digits kept.
//!
//! It reads and judges; it never fills in defaults or converts. Invariants: an integer that 64 bits can't hold is refused
//! instead of rounded, and no error text holds a value of the input (reliability-and-security §4.6).

use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::finding::{Findings, did_you_mean};
use crate::rules;
use crate::tree::{Node, NodeValue};

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
        match options.build(&node.to_json()) {
            Ok(validator) => Some(Self { validator: Arc::new(validator) }),
            Err(error) => {
                let pointer = error.instance_path().to_string();
                let message = format!("`input{pointer}` is no valid JSON Schema (draft 2020-12): {error}");
                findings.error(rules::BAD_SCHEMA, node.at_pointer(&pointer).place, message, "correct the schema");
                None
            }
        }
    }

    /// The first thing that is wrong with an input.
    pub(crate) fn check(&self, input: &Value) -> Result<(), InputError> {
        self.validator.validate(input).map_err(|error| InputError::Schema {
            pointer: error.instance_path().to_string(),
            message: describe(error.kind(), &error),
            mend: mend(error.kind()),
        })
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
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| InputError::NotJson { line: error.line(), column: error.column() })?;
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
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(yaml: &str) -> Result<InputSchema, Vec<String>> {
        let mut findings = Findings::new(&Arc::from("t"));
        let node = crate::tree::read_yaml(yaml, &mut findings).expect("yaml");
        let schema = InputSchema::read(&node, &mut findings);
        schema.ok_or_else(|| findings.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn integers_are_exact_or_refused() {
        let value =
            read_json(br#"{"a": 18446744073709551615, "b": -9223372036854775808, "c": "99999999999999999999"}"#);
        assert_eq!(value, Ok(json!({"a": u64::MAX, "b": i64::MIN, "c": "99999999999999999999"})));
        assert_eq!(read_json(br#"{"\"9": 18446744073709551616}"#), Err(InputError::TooManyDigits { offset: 8 }));
        assert_eq!(read_json(b"[-9223372036854775809]"), Err(InputError::TooManyDigits { offset: 1 }));
        assert_eq!(read_json(b"1e30"), Ok(json!(1e30)));
        assert_eq!(read_json(b"{\"a\": }"), Err(InputError::NotJson { line: 1, column: 7 }));
    }

    #[test]
    fn errors_name_the_pointer_and_the_mend_and_show_no_value() {
        let schema = schema(
            "{ type: object, required: [id, lines], additionalProperties: false, properties: { id: { type: string, pattern: '^o-' },
               currency: { enum: [EUR, USD] }, lines: { type: array, items: { type: object, properties: { n: { type: integer, minimum: 1 } } } } } }",
        )
        .expect("schema");
        for (input, message) in [
            (json!({"id": "o-1"}), "input: \"lines\" is missing — add it"),
            (
                json!({"id": "4111", "lines": []}),
                "input/id: the value does not match \"^o-\" — send what `input:` of the definition describes",
            ),
            (
                json!({"id": "o-1", "lines": [{"n": 1}, {"n": "4111"}]}),
                "input/lines/1/n: the value is not of type \"integer\" — send what `input:` of the definition describes",
            ),
            (
                json!({"id": "o-1", "lines": [], "currency": "4111"}),
                "input/currency: the value is not one of \"EUR\" or \"USD\" — use `EUR`, `USD`",
            ),
            (
                json!({"id": "o-1", "lines": [], "idd": 1}),
                "input: there is no field \"idd\" — leave it out, or check its spelling",
            ),
        ] {
            assert_eq!(schema.check(&input).expect_err("invalid").to_string(), message);
        }
        assert_eq!(schema.check(&json!({"id": "o-1", "lines": [{"n": 1}]})), Ok(()));
    }

    #[test]
    fn a_schema_that_is_none_or_reaches_out_is_refused() {
        for yaml in [
            "[1]",
            "{ type: strin }",
            "{ $ref: 'https://example.com/s.json' }",
            "{ $ref: 'file:///etc/passwd' }",
            "{ pattern: '(' }",
        ] {
            let findings = schema(yaml).expect_err(yaml);
            assert!(findings.len() == 1 && findings[0].contains(": error[AM-L010]: `input"), "{findings:?}");
        }
    }
}
