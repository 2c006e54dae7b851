//! Shows a message as proto3 JSON.
//!
//! Well-known types are written by the library. Invariants: fields in the order of their numbers, map entries in the order of
//! their keys; unset fields and defaults are left out; 64-bit integers of the API itself are strings, those within a payload
//! are what they were.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage as _, Value};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::value::RawValue;

use super::{ENCODING_JSON, is_message_form, is_payload, is_well_known};

/// The JSON of a message, in one line as far as it is ours.
pub(crate) fn show(message: &DynamicMessage) -> String {
    // Nothing in here can fail: keys are strings, and numbers that JSON doesn't have are written as words.
    serde_json::to_string(&Message(message)).unwrap_or_default()
}

struct Message<'m>(&'m DynamicMessage);

impl Serialize for Message<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of = self.0.descriptor();
        if is_well_known(&of) {
            return self.0.serialize(serializer);
        }
        if is_payload(&of)
            && let Some(data) = self.0.get_field_by_name("data")
            && let Some(json) = data.as_bytes().and_then(|data| as_itself(self.0, data))
        {
            return json.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        // Of a payload both members are written, so that it is known again for what it is.
        for field in of.fields().filter(|field| is_payload(&of) || self.0.has_field(field)) {
            let part = Part { value: &self.0.get_field(&field), kind: &field.kind() };
            map.serialize_entry(field.json_name(), &part)?;
        }
        map.end()
    }
}

/// The JSON of a payload, where that stands for itself.
fn as_itself<'p>(payload: &DynamicMessage, data: &'p [u8]) -> Option<&'p RawValue> {
    let encoding = payload.get_field_by_name("encoding")?.as_enum_number()?;
    let json: &RawValue = serde_json::from_slice(data).ok()?;
    (encoding == ENCODING_JSON && json.get() != "null" && !is_message_form(json)).then_some(json)
}

struct Part<'m> {
    value: &'m Value,
    kind: &'m Kind,
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::I32(value) => serializer.serialize_i32(*value),
            Value::U32(value) => serializer.serialize_u32(*value),
            Value::I64(value) => serializer.collect_str(value),
            Value::U64(value) => serializer.collect_str(value),
            Value::F32(value) => float(f64::from(*value), serializer),
            Value::F64(value) => float(*value, serializer),
            Value::String(value) => serializer.serialize_str(value),
            Value::Bytes(value) => serializer.serialize_str(&STANDARD.encode(value)),
            Value::EnumNumber(number) => match self.kind.as_enum().and_then(|of| of.get_value(*number)) {
                Some(value) => serializer.serialize_str(value.name()),
                None => serializer.serialize_i32(*number),
            },
            Value::Message(message) => Message(message).serialize(serializer),
            Value::List(values) => serializer.collect_seq(values.iter().map(|value| Part { value, kind: self.kind })),
            Value::Map(entries) => {
                let kind = self.kind.as_message().map(|entry| entry.map_entry_value_field().kind());
                let kind = kind.as_ref().unwrap_or(self.kind);
                let sorted: BTreeMap<String, Part<'_>> =
                    entries.iter().map(|(key, value)| (text(key), Part { value, kind })).collect();
                serializer.collect_map(sorted)
            }
        }
    }
}

fn float<S: Serializer>(value: f64, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        f64::INFINITY => serializer.serialize_str("Infinity"),
        f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
        value if value.is_nan() => serializer.serialize_str("NaN"),
        value => serializer.serialize_f64(value),
    }
}

fn text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
