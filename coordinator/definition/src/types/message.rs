//! From protobuf messages to types, as `transcode` writes them in JSON.
//!
//! Invariant: every reply that the descriptor allows is of the type, once it is JSON (64-bit integers are numbers, enums
//! words, bytes base64, times texts), but for a double that is no number, which JSON shows as the text `NaN`.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::{Kinds, Type};

/// The type of a message.
pub(crate) fn of_message(descriptor: &MessageDescriptor) -> Type {
    let Some(name) = descriptor.full_name().strip_prefix("google.protobuf.") else {
        return Type::message(descriptor.clone());
    };
    match name {
        "Timestamp" | "Duration" | "FieldMask" => Type::of(Kinds::TEXT),
        "StringValue" | "BytesValue" => Type::of(Kinds::TEXT),
        "BoolValue" => Type::of(Kinds::BOOL),
        "Int32Value" | "Int64Value" | "UInt32Value" | "UInt64Value" => Type::of(Kinds::INTEGER),
        "Struct" | "Empty" | "Any" => Type::of(Kinds::MAP),
        "ListValue" => Type::of(Kinds::LIST),
        _ => Type::unknown(),
    }
}

/// The type of a field, lists and maps as such.
pub(super) fn of_field(field: &FieldDescriptor) -> Type {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => Type::map_of(of_kind(&entry.map_entry_value_field().kind())),
        kind if field.is_list() => Type::list(of_kind(&kind)),
        kind => of_kind(&kind),
    }
}

fn of_kind(kind: &Kind) -> Type {
    match kind {
        Kind::Double | Kind::Float => Type::of(Kinds::DOUBLE),
        Kind::Bool => Type::of(Kinds::BOOL),
        Kind::String | Kind::Bytes => Type::of(Kinds::TEXT),
        Kind::Message(message) => of_message(message),
        // A number that has no word stays a number.
        Kind::Enum(words) => {
            let names = words.values().map(|word| word.name().to_owned());
            Type::words(names).join(Type::of(Kinds::INTEGER))
        }
        _ => Type::of(Kinds::INTEGER),
    }
}
