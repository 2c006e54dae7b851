//! From a definition's JSON Schema of `input` to types.
//!
//! It understands what schemas of inputs are written with: `type`, `properties`, `required`, `additionalProperties`, `items`,
//! `enum`, `const`, references within the schema. Where a schema combines others (`allOf`, `if` …) it trusts only what
//! stands beside them. Invariants: every input that the schema accepts is of the type (but for `1.0`, which JSON Schema calls
//! an integer); a schema that refers to itself ends as unknown, within [`DEPTH_MAX`] and [`NODES_MAX`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Field, Kinds, Type};

/// Deepest nesting that is followed; references count too.
const DEPTH_MAX: u32 = 16;
/// Most schemas that are read, references counted at each use.
const NODES_MAX: u32 = 10_000;
/// Keywords that bring in other schemas, so that fields may come that aren't written here.
const COMBINING: [&str; 12] = [
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependentRequired",
    "unevaluatedProperties",
    "$ref",
    "$dynamicRef",
];

/// The fields of a map by its schema.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    /// The fields that are named, and whether an input needs them.
    properties: BTreeMap<String, (Type, Presence)>,
    /// Whether other fields are refused, left out of the list, or unknown.
    others: Others,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
    /// Something beside it may require it.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Others {
    Refused,
    Unlisted,
    #[default]
    Unknown,
}

impl Object {
    pub(super) fn field(&self, name: &str) -> Field {
        let known = || self.properties.keys().cloned().collect();
        match (self.properties.get(name), self.others) {
            (Some((value, presence)), _) => {
                Field::Known { value: value.clone(), optional: *presence == Presence::Optional }
            }
            (None, Others::Refused) => Field::Refused { known: known() },
            (None, Others::Unlisted) => Field::Unlisted { known: known() },
            (None, Others::Unknown) => Field::Unknown,
        }
    }

    /// The named fields, and whether every input has them.
    pub(super) fn properties(&self) -> impl Iterator<Item = (&str, &Type, bool)> {
        self.properties.iter().map(|(name, (value, presence))| {
            let required = *presence == Presence::Required;
            (name.as_str(), value, required)
        })
    }
}

/// The type of an input that a schema accepts.
pub(crate) fn of_schema(schema: &Value) -> Type {
    Reader { root: schema, nodes: 0 }.read(schema, 0)
}

struct Reader<'s> {
    root: &'s Value,
    nodes: u32,
}

impl Reader<'_> {
    fn read(&mut self, schema: &Value, depth: u32) -> Type {
        self.nodes += 1;
        let Value::Object(keywords) = schema else { return Type::unknown() };
        if depth > DEPTH_MAX || self.nodes > NODES_MAX || (depth > 0 && keywords.contains_key("$id")) {
            return Type::unknown();
        }
        if let Some(found) = self.reference(keywords, depth) {
            return found;
        }
        if let Some(values) = listed_values(keywords) {
            return of_values(&values);
        }
        match keywords.get("type") {
            Some(Value::String(word)) => self.of_word(word, keywords, depth),
            Some(Value::Array(words)) => {
                let types = words.iter().filter_map(Value::as_str).map(|word| self.of_word(word, keywords, depth));
                types.reduce(Type::join).unwrap_or_else(Type::unknown)
            }
            _ => self.without_type(keywords, depth),
        }
    }

    /// A reference within the schema that stands alone.
    fn reference(&mut self, keywords: &Map<String, Value>, depth: u32) -> Option<Type> {
        let pointer = keywords.get("$ref")?;
        let notes = ["$ref", "description", "title", "$comment", "examples", "default"];
        let alone = keywords.keys().all(|key| notes.contains(&key.as_str()));
        let target = pointer.as_str().and_then(|text| text.strip_prefix('#')).filter(|_| alone);
        let target = target.and_then(|pointer| self.root.pointer(pointer));
        Some(target.map_or_else(Type::unknown, |target| self.read(target, depth + 1)))
    }

    fn of_word(&mut self, word: &str, keywords: &Map<String, Value>, depth: u32) -> Type {
        match word {
            "null" => Type::of(Kinds::NULL),
            "boolean" => Type::of(Kinds::BOOL),
            "integer" => Type::of(Kinds::INTEGER),
            "number" if keywords.get("multipleOf").is_some_and(Value::is_u64) => Type::of(Kinds::INTEGER),
            "number" => Type::of(Kinds::NUMBER),
            "string" => Type::of(Kinds::TEXT),
            "array" => match keywords.get("items") {
                Some(items) if !keywords.contains_key("prefixItems") => Type::list(self.read(items, depth + 1)),
                _ => Type::of(Kinds::LIST),
            },
            "object" => self.object(keywords, depth),
            _ => Type::unknown(),
        }
    }

    /// Without `type` a schema accepts anything that its other keywords aren't about; who writes them means them.
    fn without_type(&mut self, keywords: &Map<String, Value>, depth: u32) -> Type {
        let has = |key: &str| keywords.contains_key(key);
        if has("properties") || has("required") {
            return self.object(keywords, depth);
        }
        let choice = ["anyOf", "oneOf"].into_iter().find_map(|key| keywords.get(key)?.as_array());
        match choice {
            Some(schemas) if !has("allOf") => {
                let types = schemas.iter().map(|schema| self.read(schema, depth + 1));
                types.reduce(Type::join).unwrap_or_else(Type::unknown)
            }
            _ => Type::unknown(),
        }
    }

    fn object(&mut self, keywords: &Map<String, Value>, depth: u32) -> Type {
        let combined = COMBINING.iter().any(|key| keywords.contains_key(*key));
        let required: Vec<&str> = keywords
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let listed = keywords.get("properties").and_then(Value::as_object);
        let mut properties = BTreeMap::new();
        for (name, schema) in listed.into_iter().flatten() {
            let presence = match required.contains(&name.as_str()) {
                true => Presence::Required,
                false if combined => Presence::Unknown,
                false => Presence::Optional,
            };
            properties.insert(name.clone(), (self.read(schema, depth + 1), presence));
        }
        let others = match keywords.get("additionalProperties") {
            _ if keywords.contains_key("patternProperties") => Others::Unknown,
            Some(Value::Bool(false)) => Others::Refused,
            Some(Value::Bool(true)) | None if !combined && !properties.is_empty() => Others::Unlisted,
            _ => Others::Unknown,
        };
        for name in required {
            // Required and not described: it is there, or the schema accepts nothing.
            let there = || (Type::unknown(), Presence::Required);
            properties.entry(name.to_owned()).or_insert_with(there);
        }
        Type::object(Object { properties, others })
    }
}

/// The values of `const` or `enum`.
fn listed_values(keywords: &Map<String, Value>) -> Option<Vec<&Value>> {
    match (keywords.get("const"), keywords.get("enum")) {
        (Some(value), _) => Some(vec![value]),
        (None, Some(Value::Array(values))) => Some(values.iter().collect()),
        _ => None,
    }
}

/// The type of values that are known.
fn of_values(values: &[&Value]) -> Type {
    let kinds = values.iter().fold(Kinds::NONE, |all, value| all.or(Kinds::of(value)));
    let words = Type::words(values.iter().filter_map(|value| value.as_str().map(str::to_owned)));
    if kinds.has(Kinds::TEXT) { Type { kinds, ..words } } else { Type::of(kinds) }
}
