//! Replies from protobuf to JSON.
//!
//! Fields have the names of the .proto file, defaults are written out so that expressions can read them, and unset messages
//! and optional fields are left out so that `has` can tell. Invariants: 64-bit integers are numbers with every digit; the
//! same bytes give the same JSON (maps are sorted).

use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};

/// A reply that has no JSON form.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnreadableReply {
    /// Not a message of its type.
    #[error("the reply is no {0}")]
    Undecodable(String, #[source] prost::DecodeError),
    /// It holds a `google.protobuf.Any` of an unknown type, or a time outside JSON's range.
    #[error("the reply is a {0} that JSON can't show")]
    NoJson(String),
}

/// A reply's bytes as JSON bytes: 64-bit integers as numbers, defaults written out so that expressions can read them.
pub(crate) fn to_json(
    descriptor: &MessageDescriptor,
    has_maps: bool,
    bytes: &[u8],
) -> Result<Vec<u8>, UnreadableReply> {
    const OPTIONS: SerializeOptions =
        SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true).skip_default_fields(false);
    let name = || descriptor.full_name().to_owned();
    let message = DynamicMessage::decode(descriptor.clone(), bytes)
        .map_err(|error| UnreadableReply::Undecodable(name(), error))?;
    let no_json = |_| UnreadableReply::NoJson(name());
    if has_maps {
        let mut value = message.serialize_with_options(serde_json::value::Serializer, &OPTIONS).map_err(no_json)?;
        value.sort_all_objects();
        return Ok(value.to_string().into_bytes());
    }
    let mut json = Vec::with_capacity(bytes.len() * 3 + 64);
    message.serialize_with_options(&mut serde_json::Serializer::new(&mut json), &OPTIONS).map_err(no_json)?;
    Ok(json)
}
