//! Messages and enums as JSON Schema, as far as OpenAPI needs them.
//!
//! Invariant: a schema describes what this server writes; what it also takes (the other spelling of a name, a number for a
//! string of digits, an enum's number) is said in words.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comments::Commented as _;
use crate::http::json::{is_payload, is_well_known};

const PAYLOAD: &str = "An input or an output: its JSON itself, any value, kept to the byte, so that integers of any size stay \
    exact. An object with exactly the members `encoding` (`ENCODING_JSON` or `ENCODING_PROTOBUF`) and `data` (base64) is not \
    taken for itself: it is the payload's encoding and bytes. Payloads of that shape, and the payload `null`, are written so.";

/// A name, or nothing where it may be left out.
const NAME_OR_NONE: &str = "^[A-Za-z0-9._-]{0,128}$";

/// The schemas that have been asked for, by name, with all that they refer to.
#[derive(Default)]
pub(super) struct Schemas {
    known: Map<String, Value>,
}

impl Schemas {
    /// A reference to a message's schema.
    pub(super) fn message(&mut self, of: &MessageDescriptor) -> Value {
        if is_well_known(of) {
            return well_known(of);
        }
        let name = short(of.full_name(), of.package_name());
        if !self.known.contains_key(&name) {
            // First, so that a message that holds itself refers to itself.
            self.known.insert(name.clone(), Value::Null);
            let schema = if is_payload(of) { json!({ "description": PAYLOAD }) } else { self.object(of) };
            self.known.insert(name.clone(), schema);
        }
        reference(&name)
    }

    /// The schema of one field's value, with its comment.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = if field.is_map() {
            let value = field.kind().as_message().map(|entry| entry.map_entry_value_field().kind());
            let value = value.map(|kind| self.kind(&kind)).unwrap_or_default();
            json!({ "type": "object", "additionalProperties": value })
        } else if field.is_list() {
            json!({ "type": "array", "items": self.kind(&field.kind()) })
        } else {
            self.kind(&field.kind())
        };
        narrow(field, &mut schema);
        let mut comment = field.comment();
        if let Some(one) = field.containing_oneof() {
            let names: Vec<String> = one.fields().map(|field| format!("`{}`", field.json_name())).collect();
            comment.push_str(&format!(" Only one of {}.", names.join(", ")));
        }
        if !comment.is_empty() {
            schema["description"] = comment.trim().into();
        }
        schema
    }

    /// Where an enum is a parameter, its number is taken too.
    pub(super) fn also_by_number(&mut self, field: &FieldDescriptor, schema: &mut Value) {
        let Kind::Enum(of) = field.kind() else { return };
        let either = json!({ "anyOf": [self.one_of(&of), { "type": "integer", "format": "int32" }] });
        *schema = if field.is_list() { json!({ "type": "array", "items": either }) } else { either };
    }

    /// All schemas.
    pub(super) fn into_map(mut self) -> Map<String, Value> {
        self.known.sort_keys();
        self.known
    }

    fn object(&mut self, of: &MessageDescriptor) -> Value {
        let fields = of.fields().map(|field| (field.json_name().to_owned(), self.field(&field)));
        let properties: Map<String, Value> = fields.collect();
        json!({ "type": "object", "description": of.comment(), "properties": properties })
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Double | Kind::Float => json!({ "type": "number" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => {
                json!({ "type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX })
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]+$" })
            }
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "format": "uint64", "pattern": "^[0-9]+$" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Message(of) => self.message(of),
            Kind::Enum(of) => self.one_of(of),
        }
    }

    fn one_of(&mut self, of: &EnumDescriptor) -> Value {
        let name = short(of.full_name(), of.package_name());
        if !self.known.contains_key(&name) {
            let names: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
            let meanings = of.values().map(|value| format!("- `{}`: {}", value.name(), value.comment()));
            let description = format!("{}\n\n{}", of.comment(), meanings.collect::<Vec<_>>().join("\n"));
            self.known.insert(name.clone(), json!({ "type": "string", "enum": names, "description": description }));
        }
        reference(&name)
    }
}

/// What a field's name says about its values, all over the API.
fn narrow(field: &FieldDescriptor, schema: &mut Value) {
    match (field.name(), field.is_list()) {
        ("namespace" | "saga_id" | "definition" | "participant", false) if field.kind() == Kind::String => {
            schema["pattern"] = NAME_OR_NONE.into();
        }
        ("page_size", false) => schema["minimum"] = 0.into(),
        _ => {}
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn short(full_name: &str, package: &str) -> String {
    full_name.strip_prefix(package).unwrap_or(full_name).trim_start_matches('.').to_owned()
}

fn well_known(of: &MessageDescriptor) -> Value {
    match of.name() {
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "Duration" => json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$", "examples": ["1.5s"] }),
        // Any other is any JSON, until the API has one.
        _ => json!({}),
    }
}
