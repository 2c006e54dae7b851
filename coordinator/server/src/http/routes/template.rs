//! A path as an annotation writes it: `/v1/sagas/{saga_id}/steps/{step}:complete`.
//!
//! Only what the API uses: literal segments, variables of one segment, a verb at the end. Invariant: a variable never matches
//! an empty segment or one with an unescaped `:`, so that a mistyped verb isn't taken for a part of a name.

use std::fmt;

use percent_encoding::percent_decode_str;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

/// A path with variables.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
    pub(crate) verb: Option<String>,
}

/// One part of a path, between slashes.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    Literal(String),
    /// Fills this field, reached from the request through the fields before it.
    Variable(Vec<FieldDescriptor>),
}

impl Template {
    /// Reads a template whose variables are fields of `request`.
    pub(super) fn parse(text: &str, request: &MessageDescriptor) -> Result<Self, String> {
        let path = text.strip_prefix('/').ok_or("it doesn't begin with /")?;
        let (path, verb) = match path.rsplit_once(':') {
            Some((path, verb)) => (path, Some(verb.to_owned())),
            None => (path, None),
        };
        let segment = |part: &str| match part.strip_prefix('{').map(|inner| inner.strip_suffix('}')) {
            None if part.is_empty() || part.contains(['{', '}', '*']) => Err(format!("{part:?} isn't supported")),
            None => Ok(Segment::Literal(part.to_owned())),
            Some(None) => Err(format!("{part:?} isn't closed")),
            Some(Some(name)) => variable(name, request).map(Segment::Variable),
        };
        Ok(Self { segments: path.split('/').map(segment).collect::<Result<_, _>>()?, verb })
    }

    /// The values of the variables in their order, if the path is one of these; the path is still percent-encoded.
    pub(super) fn matches(&self, path: &str) -> Option<Vec<String>> {
        let path = path.strip_prefix('/')?;
        let path = match &self.verb {
            Some(verb) => path.strip_suffix(verb.as_str())?.strip_suffix(':')?,
            None => path,
        };
        let parts: Vec<&str> = path.split('/').collect();
        if parts.len() != self.segments.len() {
            return None;
        }
        let mut values = Vec::new();
        for (segment, part) in self.segments.iter().zip(parts) {
            match segment {
                Segment::Literal(literal) if literal == part => {}
                Segment::Variable(_) if !part.is_empty() && !part.contains(':') => {
                    // Bytes that are no text become a character that no name has, and the field's own check says so.
                    values.push(percent_decode_str(part).decode_utf8_lossy().into_owned());
                }
                Segment::Literal(_) | Segment::Variable(_) => return None,
            }
        }
        Some(values)
    }

    /// The fields that the variables fill, in their order.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &[FieldDescriptor]> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Variable(fields) => Some(fields.as_slice()),
        })
    }

    /// The same for all templates that match the same paths.
    pub(super) fn shape(&self) -> String {
        self.text(|_| "")
    }

    fn text<'s>(&'s self, name: impl Fn(&'s [FieldDescriptor]) -> &'s str) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => text.extend(["/", literal]),
                Segment::Variable(fields) => text.extend(["/{", name(fields), "}"]),
            }
        }
        text.extend(self.verb.iter().flat_map(|verb| [":", verb]));
        text
    }
}

/// As a caller reads it: each variable by the name of its field alone, as in JSON.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(|fields| fields.last().map_or("", FieldDescriptor::json_name)))
    }
}

fn variable(name: &str, request: &MessageDescriptor) -> Result<Vec<FieldDescriptor>, String> {
    let mut fields = Vec::new();
    let mut message = Some(request.clone());
    for part in name.split('.') {
        let within = message.ok_or_else(|| format!("{name}: a field with fields is expected before {part:?}"))?;
        let field = within.get_field_by_name(part).ok_or_else(|| format!("{} has no {part:?}", within.full_name()))?;
        message = match field.kind() {
            Kind::Message(inner) if !field.is_list() && !field.is_map() => Some(inner),
            _ => None,
        };
        fields.push(field);
    }
    let plain = message.is_none() && fields.last().is_some_and(|field| !field.is_list() && !field.is_map());
    if plain { Ok(fields) } else { Err(format!("{name} can't be written as one segment")) }
}
