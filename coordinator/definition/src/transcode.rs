//! JSON to protobuf by descriptor, and back, exactly and in one order.
//!
//! The conversion is our own where prost-reflect's would be lenient with money: a float never becomes an integer, an
//! integer over 2^53 never a `google.protobuf.Struct` number. 64-bit integers are numbers in JSON, not texts, and fields have
//! the names of the .proto file. Invariants: the same JSON gives the same bytes and the same bytes the same JSON (maps are
//! sorted, though prost-reflect keeps them in hash order); no error holds a value.

use std::collections::HashMap;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _,
    Value as Field,
};
use serde_json::Value;

use crate::expression::path::Segment;
use crate::finding::did_you_mean;

mod encode;
mod json;
mod mismatch;

pub(crate) use encode::encode;
pub(crate) use json::{UnreadableReply, to_json};
pub(crate) use mismatch::{Mismatch, kind_name, unknown_field};
use mismatch::{misfit, wrong_type};

/// A message from JSON; unknown fields are errors.
pub(crate) fn to_message(descriptor: &MessageDescriptor, value: &Value) -> Result<DynamicMessage, Mismatch> {
    if let Some(field) = wrapped(descriptor) {
        let mut message = DynamicMessage::new(descriptor.clone());
        message.set_field(&field, scalar(&field.kind(), value)?);
        return Ok(message);
    }
    if descriptor.full_name().starts_with("google.protobuf.") {
        return well_known(descriptor, value);
    }
    let Value::Object(entries) = value else { return Err(wrong_type(value, &format!("a {}", descriptor.name()))) };
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, value) in entries {
        set(&mut message, name, value).map_err(|mismatch| mismatch.inside(Segment::Key(name.clone())))?;
    }
    Ok(message)
}

/// The field of this name in the .proto file or in its JSON form.
pub(crate) fn find_field(descriptor: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    descriptor.get_field_by_name(name).or_else(|| descriptor.get_field_by_json_name(name))
}

fn set(message: &mut DynamicMessage, name: &str, value: &Value) -> Result<(), Mismatch> {
    let descriptor = message.descriptor();
    let Some(field) = find_field(&descriptor, name) else { return Err(unknown_field(&descriptor, name)) };
    if value.is_null() && !takes_null(&field) {
        return Ok(());
    }
    let rival = field.containing_oneof().and_then(|oneof| oneof.fields().find(|other| message.has_field(other)));
    if let Some(rival) = rival.or_else(|| message.has_field(&field).then(|| field.clone())) {
        let text = format!("it can't be set beside `{}`", rival.name());
        return Err(Mismatch::new(text, "keep one of them"));
    }
    let converted = if field.is_map() {
        map(&field, value)?
    } else if field.is_list() {
        list(&field.kind(), value)?
    } else {
        scalar(&field.kind(), value)?
    };
    message.set_field(&field, converted);
    Ok(())
}

/// Only a JSON null itself is a value there.
fn takes_null(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(message) => message.full_name() == "google.protobuf.Value" && !field.is_list() && !field.is_map(),
        Kind::Enum(words) => words.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

fn list(kind: &Kind, value: &Value) -> Result<Field, Mismatch> {
    let Value::Array(items) = value else { return Err(wrong_type(value, "a list")) };
    let item = |(index, item)| scalar(kind, item).map_err(|mismatch| mismatch.inside(Segment::Index(index)));
    items.iter().enumerate().map(item).collect::<Result<_, _>>().map(Field::List)
}

fn map(field: &FieldDescriptor, value: &Value) -> Result<Field, Mismatch> {
    let (Value::Object(entries), Kind::Message(entry)) = (value, field.kind()) else {
        return Err(wrong_type(value, "a map"));
    };
    let (keys, values) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
    let mut converted = HashMap::with_capacity(entries.len());
    for (name, value) in entries {
        let inside = |mismatch: Mismatch| mismatch.inside(Segment::Key(name.clone()));
        let key =
            map_key(&keys, name).ok_or_else(|| inside(Mismatch::new("this key has the wrong type", "correct it")))?;
        converted.insert(key, scalar(&values, value).map_err(inside)?);
    }
    Ok(Field::Map(converted))
}

fn map_key(kind: &Kind, text: &str) -> Option<MapKey> {
    match kind {
        Kind::String => Some(MapKey::String(text.to_owned())),
        Kind::Bool => text.parse().ok().map(MapKey::Bool),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => text.parse().ok().map(MapKey::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => text.parse().ok().map(MapKey::I64),
        Kind::Uint32 | Kind::Fixed32 => text.parse().ok().map(MapKey::U32),
        Kind::Uint64 | Kind::Fixed64 => text.parse().ok().map(MapKey::U64),
        _ => None,
    }
}

/// One value of a kind. Integers also come as texts of digits, as proto3's JSON has them; floats never become integers.
pub(crate) fn scalar(kind: &Kind, value: &Value) -> Result<Field, Mismatch> {
    let signed = || match value {
        Value::String(text) => text.parse::<i64>().ok(),
        _ => value.as_i64(),
    };
    let unsigned = || match value {
        Value::String(text) => text.parse::<u64>().ok(),
        _ => value.as_u64(),
    };
    let converted = match kind {
        Kind::Message(descriptor) => return to_message(descriptor, value).map(Field::Message),
        Kind::String => value.as_str().map(|text| Field::String(text.to_owned())),
        Kind::Bool => value.as_bool().map(Field::Bool),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => signed().map(Field::I64),
        Kind::Uint64 | Kind::Fixed64 => unsigned().map(Field::U64),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => signed().and_then(|n| i32::try_from(n).ok()).map(Field::I32),
        Kind::Uint32 | Kind::Fixed32 => unsigned().and_then(|n| u32::try_from(n).ok()).map(Field::U32),
        Kind::Double => check_exact(value).ok().and_then(|()| value.as_f64()).map(Field::F64),
        Kind::Float => value.as_f64().map(|number| number as f32).filter(|number| number.is_finite()).map(Field::F32),
        Kind::Enum(words) => match value {
            Value::String(word) => {
                let found = words.get_value_by_name(word).map(|found| Field::EnumNumber(found.number()));
                return found.ok_or_else(|| {
                    let known: Vec<String> = words.values().map(|known| known.name().to_owned()).collect();
                    let message = format!("`{}` has no such word", words.full_name());
                    Mismatch::new(message, did_you_mean("", known.iter().map(String::as_str)))
                });
            }
            _ => value.as_i64().and_then(|number| i32::try_from(number).ok()).map(Field::EnumNumber),
        },
        Kind::Bytes => value.as_str().and_then(base64),
    };
    converted.ok_or_else(|| misfit(kind, value))
}

/// Both alphabets, as proto3's JSON takes them.
fn base64(text: &str) -> Option<Field> {
    let decoded = BASE64_STANDARD.decode(text).or_else(|_| BASE64_URL_SAFE.decode(text));
    decoded.ok().map(|bytes| Field::Bytes(bytes.into()))
}

/// The one field of a wrapper like `google.protobuf.Int64Value`.
fn wrapped(descriptor: &MessageDescriptor) -> Option<FieldDescriptor> {
    let name = descriptor.full_name().strip_prefix("google.protobuf.")?.strip_suffix("Value")?;
    let wrapper = ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"].contains(&name);
    wrapper.then(|| descriptor.get_field_by_name("value")).flatten()
}

/// Timestamp, Duration, Struct and their like, by prost-reflect; its error texts hold values and are not passed on.
fn well_known(descriptor: &MessageDescriptor, value: &Value) -> Result<DynamicMessage, Mismatch> {
    let name = descriptor.full_name();
    if matches!(name, "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue") {
        check_exact(value)?;
    }
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(descriptor.clone(), value, &options)
        .map_err(|_| Mismatch::new(format!("it can't become a {name}"), "see the JSON form of this message type"))
}

/// `google.protobuf.Value` has floats only: an integer that they can't hold would change silently.
fn check_exact(value: &Value) -> Result<(), Mismatch> {
    const EXACT_MAX: u64 = 1 << 53;
    match value {
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if size.is_some_and(|size| size > EXACT_MAX) {
                let message = "an integer of more than 53 bits would lose digits in a google.protobuf.Value";
                return Err(Mismatch::new(message, "send it as a text"));
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(check_exact),
        Value::Object(entries) => entries.values().try_for_each(check_exact),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
