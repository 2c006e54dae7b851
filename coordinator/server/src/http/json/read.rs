//! Reads a JSON text as a message.
//!
//! Scalars, maps and well-known types are read by the library; this walks the messages, so that it can take payloads as they
//! are and say where something doesn't fit. Invariant: what isn't known is refused, what is given twice is refused.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{ENCODING_JSON, Misfit, is_message_form, is_payload, is_well_known};

/// Line and column, from 1, where they are known.
type Place = Option<(usize, usize)>;

/// Messages within messages, at most; far more than the API has.
const DEPTH_MAX: usize = 32;

/// Reads a body.
pub(crate) fn read(message: &MessageDescriptor, body: &[u8]) -> Result<DynamicMessage, Misfit> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            let before = String::from_utf8_lossy(&body[..error.valid_up_to()]).into_owned();
            let problem = "the body is not UTF-8".to_owned();
            return Err(Misfit { field: String::new(), problem, place: Some(place(&before)) });
        }
    };
    let root: &RawValue = serde_json::from_str(text).map_err(|error| malformed(text, &error))?;
    Walk { text }.message(message, root, &mut Vec::new())
}

/// Reads the JSON of a field that isn't in a body.
pub(crate) fn read_leaf(field: &FieldDescriptor, json: &str) -> Result<Option<Value>, String> {
    leaf(field, json).map_err(|(problem, _)| problem)
}

/// One reading.
struct Walk<'t> {
    text: &'t str,
}

impl<'t> Walk<'t> {
    fn message(
        &self,
        of: &MessageDescriptor,
        json: &'t RawValue,
        path: &mut Vec<String>,
    ) -> Result<DynamicMessage, Misfit> {
        if path.len() > DEPTH_MAX {
            return Err(self.misfit(path, json, "messages are nested too deeply".to_owned()));
        }
        let mut message = DynamicMessage::new(of.clone());
        let Ok(Members(members)) = serde_json::from_str(json.get()) else {
            return Err(self.misfit(path, json, "an object is expected".to_owned()));
        };
        let mut seen = BTreeSet::new();
        for (name, json) in members {
            let known = of.get_field_by_json_name(&name).or_else(|| of.get_field_by_name(&name));
            path.push(name);
            let Some(field) = known else {
                let place = Some(self.place_of_name(json, path.last().map_or("", String::as_str)));
                return Err(Misfit { place, ..self.misfit(path, json, unknown(of, path)) });
            };
            let alone = field.containing_oneof().map_or_else(|| field.name().to_owned(), |one| one.name().to_owned());
            // As everywhere in proto3 JSON, null is the same as leaving the field out.
            if json.get() != "null" {
                if !seen.insert(alone) {
                    return Err(self.misfit(path, json, twice(&field)));
                }
                if let Some(value) = self.field(&field, json, path)? {
                    message.set_field(&field, value);
                }
            }
            path.pop();
        }
        Ok(message)
    }

    fn field(
        &self,
        field: &FieldDescriptor,
        json: &'t RawValue,
        path: &mut Vec<String>,
    ) -> Result<Option<Value>, Misfit> {
        match field.kind() {
            Kind::Message(of) if !field.is_map() && !is_well_known(&of) => {
                if !field.is_list() {
                    return self.element(&of, json, path).map(Some);
                }
                let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(json.get()) else {
                    return Err(self.misfit(path, json, "an array is expected".to_owned()));
                };
                let mut list = Vec::with_capacity(elements.len());
                for (at, json) in elements.into_iter().enumerate() {
                    path.push(format!("[{at}]"));
                    list.push(self.element(&of, json, path)?);
                    path.pop();
                }
                Ok(Some(Value::List(list)))
            }
            _ => leaf(field, json.get()).map_err(|(problem, within)| {
                let (line, column) = within.unwrap_or((1, 1));
                let (first_line, first_column) = self.place(json);
                let column = if line == 1 { first_column + column.saturating_sub(1) } else { column };
                let place = Some((first_line + line - 1, column));
                Misfit { place, ..self.misfit(path, json, problem) }
            }),
        }
    }

    fn element(&self, of: &MessageDescriptor, json: &'t RawValue, path: &mut Vec<String>) -> Result<Value, Misfit> {
        if !is_payload(of) || is_message_form(json) {
            return self.message(of, json, path).map(Value::Message);
        }
        let mut payload = DynamicMessage::new(of.clone());
        payload.set_field_by_name("encoding", Value::EnumNumber(ENCODING_JSON));
        payload.set_field_by_name("data", Value::Bytes(Bytes::copy_from_slice(json.get().as_bytes())));
        Ok(Value::Message(payload))
    }

    fn misfit(&self, path: &[String], json: &RawValue, problem: String) -> Misfit {
        Misfit { field: path.join(".").replace(".[", "["), problem, place: Some(self.place(json)) }
    }

    /// Where a part of the text begins.
    fn place(&self, part: &RawValue) -> (usize, usize) {
        place(self.before(part))
    }

    /// Where the name of a member begins, whose value is this part.
    fn place_of_name(&self, part: &RawValue, name: &str) -> (usize, usize) {
        let before = self.before(part);
        // A name that is written with escapes isn't found; its value is near enough.
        place(before.rfind(&format!("\"{name}\"")).map_or(before, |at| &before[..at]))
    }

    /// The text before a part of it, which is a slice of it.
    fn before(&self, part: &RawValue) -> &'t str {
        let offset = (part.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        self.text.get(..offset).unwrap_or_default()
    }
}

/// The members of an object as they are written.
pub(super) struct Members<'t>(pub(super) Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// A value that holds no message of ours, read by the library: as the only field of its message. With a problem comes its
/// line and column within the value.
fn leaf(field: &FieldDescriptor, json: &str) -> Result<Option<Value>, (String, Place)> {
    let alone = format!("{{\"{}\":\n{json}}}", field.json_name());
    let mut reader = serde_json::Deserializer::from_str(&alone);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    match DynamicMessage::deserialize_with_options(field.parent_message().clone(), &mut reader, &options) {
        Ok(mut message) => Ok(message.take_field(field)),
        Err(error) => {
            let place = (error.line() > 1).then(|| (error.line() - 1, error.column().max(1)));
            let mut problem = without_place(&error);
            if let Some(expected) = expected(&field.kind()) {
                problem = format!("{problem}; {expected}");
            }
            Err((problem, place))
        }
    }
}

/// How a value is written, where the library doesn't say so.
fn expected(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Enum(of) => {
            let names = of.values().map(|value| value.name().to_owned());
            // What stands for "not given" is no choice.
            let names: Vec<String> = names.filter(|name| !name.ends_with("_UNSPECIFIED")).collect();
            Some(format!("use one of {}", names.join(", ")))
        }
        Kind::Uint32 => Some(format!("write a whole number from 0 to {}", u32::MAX)),
        Kind::Uint64 => Some(format!("write a whole number from 0 to {}", u64::MAX)),
        Kind::Int32 | Kind::Int64 => Some("write a whole number".to_owned()),
        Kind::Bytes => Some("write base64".to_owned()),
        Kind::Message(of) if of.is_map_entry() => expected(&of.map_entry_value_field().kind()),
        Kind::Message(of) => match of.full_name() {
            "google.protobuf.Duration" => Some("write seconds: \"1.5s\", \"300s\"".to_owned()),
            "google.protobuf.Timestamp" => Some("write it as in RFC 3339: \"2026-01-31T12:00:00Z\"".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// What is wrong with a text that is no JSON, and in which field.
fn malformed(text: &str, error: &serde_json::Error) -> Misfit {
    // A second reading only to know the field: it keeps every part of the text in mind.
    let mut reader = serde_json::Deserializer::from_str(text);
    let field = match serde_path_to_error::deserialize::<_, serde_json::Value>(&mut reader) {
        Err(found) if found.path().to_string() != "." => found.path().to_string(),
        Ok(_) | Err(_) => String::new(),
    };
    // A name that can't be read has none.
    let field = match field.strip_suffix('?') {
        Some(before) => before.trim_end_matches('.').to_owned(),
        None => field,
    };
    let problem = if text.trim().is_empty() {
        "the body is empty; a JSON object is expected".to_owned()
    } else {
        format!("this is not JSON: {}", without_place(error))
    };
    Misfit { field, problem, place: Some((error.line().max(1), error.column().max(1))) }
}

/// Its place is said apart.
fn without_place(error: &serde_json::Error) -> String {
    let (text, place) = (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
    text.strip_suffix(&place).map(str::to_owned).unwrap_or(text)
}

fn unknown(of: &MessageDescriptor, path: &[String]) -> String {
    let name = path.last().map(String::as_str).unwrap_or_default();
    format!("there is no such field; {}", others(of, name))
}

/// The field that was meant, or all that there are.
pub(crate) fn others(of: &MessageDescriptor, name: &str) -> String {
    let known: Vec<String> = of.fields().map(|field| field.json_name().to_owned()).collect();
    // `id` for `sagaId`.
    let ending = known.iter().find(|known| name.len() > 1 && known.to_lowercase().ends_with(&name.to_lowercase()));
    match (known.iter().map(|known| (strsim::levenshtein(known, name), known)).min(), ending) {
        (Some((far, nearest)), _) if far <= name.len().div_ceil(3) => format!("did you mean {nearest:?}?"),
        (_, Some(ending)) => format!("did you mean {ending:?}?"),
        (Some(_), None) => format!("there are {}", known.join(", ")),
        (None, None) => "this object has none".to_owned(),
    }
}

fn twice(field: &FieldDescriptor) -> String {
    match field.containing_oneof() {
        Some(one) => {
            let names: Vec<String> = one.fields().map(|field| field.json_name().to_owned()).collect();
            format!("only one of {} can be given, once", names.join(", "))
        }
        None => "it is given twice".to_owned(),
    }
}

/// Line and column after this text, counted from 1, the column in characters.
fn place(before: &str) -> (usize, usize) {
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}
