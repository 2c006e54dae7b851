//! Protobuf bytes in one order.
//!
//! prost-reflect writes fields by number, but the entries of a map in hash order, so that the same request would have
//! other bytes in another process. Here entries are sorted by their key, on every level. Invariant: equal messages have
//! equal bytes.

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};

/// The bytes of a message. `has_maps`: whether a map can occur anywhere in it.
pub(crate) fn encode(message: &DynamicMessage, has_maps: bool) -> Vec<u8> {
    if !has_maps {
        return message.encode_to_vec();
    }
    let mut bytes = Vec::new();
    for (field, value) in message.fields() {
        match value {
            Value::Message(inner) if !field.is_group() => nested(&field, inner, &mut bytes),
            Value::List(items) if matches!(field.kind(), Kind::Message(_)) && !field.is_group() => {
                items.iter().filter_map(Value::as_message).for_each(|inner| nested(&field, inner, &mut bytes));
            }
            Value::Map(entries) => {
                let mut sorted: Vec<(&MapKey, &Value)> = entries.iter().collect();
                sorted.sort_by(|(a, _), (b, _)| compare(a, b));
                for (key, value) in sorted {
                    if let Kind::Message(entry) = field.kind() {
                        let mut message = DynamicMessage::new(entry.clone());
                        message.set_field(&entry.map_entry_key_field(), key.clone().into());
                        message.set_field(&entry.map_entry_value_field(), value.clone());
                        nested(&field, &message, &mut bytes);
                    }
                }
            }
            _ => {
                let mut single = DynamicMessage::new(message.descriptor());
                single.set_field(&field, value.clone());
                bytes.extend(single.encode_to_vec());
            }
        }
    }
    bytes
}

fn nested(field: &FieldDescriptor, message: &DynamicMessage, bytes: &mut Vec<u8>) {
    let inner = encode(message, true);
    encode_key(field.number(), WireType::LengthDelimited, bytes);
    encode_varint(inner.len() as u64, bytes);
    bytes.extend(inner);
}

/// All keys of one map have one type.
fn compare(a: &MapKey, b: &MapKey) -> std::cmp::Ordering {
    match (a, b) {
        (MapKey::Bool(a), MapKey::Bool(b)) => a.cmp(b),
        (MapKey::I32(a), MapKey::I32(b)) => a.cmp(b),
        (MapKey::I64(a), MapKey::I64(b)) => a.cmp(b),
        (MapKey::U32(a), MapKey::U32(b)) => a.cmp(b),
        (MapKey::U64(a), MapKey::U64(b)) => a.cmp(b),
        (MapKey::String(a), MapKey::String(b)) => a.cmp(b),
        _ => std::cmp::Ordering::Equal,
    }
}
