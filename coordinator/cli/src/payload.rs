//! Inputs and outputs as users read them: JSON in place of the API's base64.
//!
//! Never rounds a number: a payload with an integer that JSON tools would round stays as the API gives it. The paths
//! are written out by message type, so that a field of a user's own can't be mistaken for a payload.

use amends_proto::v1::{HistoryEntry, Payload, Saga, payload::Encoding};
use serde::Serialize;
use serde_json::Value;

use crate::exit::Failure;

/// From here on a double no longer holds every integer.
const EXACT_DOUBLE_MAX: f64 = 9_007_199_254_740_992.0;

/// A payload of JSON.
#[cfg(feature = "server")]
pub(crate) fn from_json(value: &Value) -> Payload {
    Payload { encoding: Encoding::Json.into(), data: value.to_string().into() }
}

/// Proto3 JSON of a message without payloads.
pub(crate) fn to_json(message: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(message).map_err(Failure::Answer)
}

/// Proto3 JSON of a saga with its payloads as JSON.
pub(crate) fn saga_to_json(saga: &Saga) -> Result<Value, Failure> {
    let mut json = to_json(saga)?;
    if let Some(input) = readable(saga.input.as_ref()) {
        json["input"] = input;
    }
    for (s, step) in saga.steps.iter().enumerate() {
        for (o, operation) in step.operations.iter().enumerate() {
            if let Some(output) = readable(operation.output.as_ref()) {
                json["steps"][s]["operations"][o]["output"] = output;
            }
        }
    }
    for (r, residue) in saga.residue.iter().enumerate() {
        if let Some(output) = readable(residue.output.as_ref()) {
            json["residue"][r]["output"] = output;
        }
    }
    Ok(json)
}

/// Proto3 JSON of history entries, which hold digests instead of payloads.
pub(crate) fn history_to_json(entries: &[HistoryEntry]) -> Result<Value, Failure> {
    to_json(&entries)
}

/// One line for a person.
pub(crate) fn to_text(payload: &Payload) -> String {
    match is_json(payload).then(|| std::str::from_utf8(&payload.data)) {
        Some(Ok(text)) => text.split('\n').map(str::trim).collect::<Vec<_>>().join(" "),
        _ => format!("({} bytes of protobuf)", payload.data.len()),
    }
}

fn is_json(payload: &Payload) -> bool {
    payload.encoding == i32::from(Encoding::Json)
}

fn readable(payload: Option<&Payload>) -> Option<Value> {
    let payload = payload.filter(|payload| is_json(payload))?;
    serde_json::from_slice(&payload.data).ok().filter(is_exact)
}

/// serde_json reads an integer over 64 bits as a double.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64() || number.as_f64().is_some_and(|n| n.abs() < EXACT_DOUBLE_MAX),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(fields) => fields.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &'static str) -> Saga {
        let data = bytes::Bytes::from_static(text.as_bytes());
        Saga { input: Some(Payload { encoding: Encoding::Json.into(), data }), ..Saga::default() }
    }

    #[test]
    fn money_is_shown_to_the_last_digit() {
        let json = saga_to_json(&input(r#"{"amount_minor":9223372036854775807}"#)).expect("json");
        assert_eq!(json["input"].to_string(), r#"{"amount_minor":9223372036854775807}"#);
    }

    #[test]
    fn what_would_be_rounded_stays_as_bytes() {
        let json = saga_to_json(&input(r#"{"n":[18446744073709551617]}"#)).expect("json");
        assert_eq!(json["input"]["encoding"], "ENCODING_JSON");
    }
}
