//! Requests and replies in JSON, for whoever plays a participant: a scenario writes replies and compares requests.
//!
//! The runtime never comes here: it has bytes from the wire. Invariant: a reply that passes here is what the participant could
//! have sent, checked field by field where its descriptors are known.

use amends_engine::ids::{Operation, StepIndex};
use amends_engine::payload::{Encoding, Payload};
use bytes::Bytes;
use serde_json::{Number, Value};

use super::Compiled;
use crate::expression::path::dotted;
use crate::http::HttpRequest;
use crate::input::read_json;
use crate::transcode::{encode, to_json, to_message};
use crate::untyped::STRUCT;

impl Compiled {
    /// A prepared request as JSON, of HTTP its body; null where it has none.
    pub(crate) fn request_json(&self, step: StepIndex, operation: Operation, request: &Payload) -> Value {
        let json = match (request.encoding, self.method(step, operation)) {
            (Encoding::Protobuf, Some(method)) => to_json(&method.input, method.input_has_maps, &request.bytes).ok(),
            (Encoding::Json, _) => Some(request.bytes.to_vec()),
            (Encoding::Protobuf, None) => {
                HttpRequest::decode(request.bytes.clone()).ok().and_then(|http| Some(http.body?.to_vec()))
            }
        };
        let mut value = json.and_then(|json| read_json(&json).ok()).unwrap_or_default();
        if self.method(step, operation).is_some_and(|method| method.input.full_name() == STRUCT) {
            whole_numbers(&mut value);
        }
        value
    }

    /// A reply as the participant would give it, with the defaults of what is left out. The error says what doesn't fit.
    pub(crate) fn reply_from_json(
        &self,
        step: StepIndex,
        operation: Operation,
        reply: &Value,
    ) -> Result<Payload, String> {
        let Some(method) = self.method(step, operation).filter(|method| method.output.full_name() != STRUCT) else {
            return Ok(Payload::json(reply.to_string()));
        };
        let message = to_message(&method.output, reply).map_err(|mismatch| {
            let (field, message) = (dotted(&mismatch.path()), method.output.full_name());
            let field = if field.is_empty() { String::new() } else { format!("`{field}` of ") };
            format!("{field}the reply {message}: {} — {}", mismatch.message, mismatch.mend)
        })?;
        self.decode_reply(step, operation, &encode(&message, method.output_has_maps)).map_err(|error| error.to_string())
    }

    /// The bytes of a reply as they would come over the wire; `None` where it doesn't fit.
    pub(crate) fn reply_bytes(&self, step: StepIndex, operation: Operation, reply: &Value) -> Option<Bytes> {
        let Some(method) = self.method(step, operation) else { return Some(reply.to_string().into()) };
        let message = to_message(&method.output, reply).ok()?;
        Some(encode(&message, method.output_has_maps).into())
    }
}

/// A `Struct` has floats only; what was written as an integer is shown as one again.
fn whole_numbers(value: &mut Value) {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT_MAX);
            if let Some(float) = float {
                *number = Number::from(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(entries) => entries.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
