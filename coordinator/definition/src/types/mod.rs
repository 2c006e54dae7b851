//! What an expression can give, as far as it is known before there is a saga.
//!
//! A [`Type`] is the set of kinds of values that can come, and what is known about the texts, items and fields among them.
//! `schema.rs` makes types of a definition's `input`, `message.rs` of replies, `fit.rs` compares them with request fields,
//! `check.rs` walks a definition. It evaluates nothing. Invariant: what isn't known is [`Type::unknown`], and that fits
//! everywhere: a type that is not understood never gives a finding.

mod check;
mod fit;
mod message;
mod schema;

use std::collections::BTreeSet;
use std::sync::Arc;

use prost_reflect::MessageDescriptor;

#[cfg(test)]
pub(crate) use check::follow;
pub(crate) use check::{TypesOfStep, World, check};
pub(crate) use fit::{Misfit, misfit_of_list, misfit_of_map, misfit_of_value};
pub(crate) use message::of_message;
pub(crate) use schema::{Object, of_schema};

/// Most texts that are told apart; beyond them it is any text.
const WORDS_MAX: usize = 256;

/// A set of kinds of values, as CEL tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds(u16);

impl Kinds {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOL: Self = Self(1 << 1);
    pub(crate) const INT: Self = Self(1 << 2);
    pub(crate) const UINT: Self = Self(1 << 3);
    pub(crate) const DOUBLE: Self = Self(1 << 4);
    pub(crate) const TEXT: Self = Self(1 << 5);
    pub(crate) const BYTES: Self = Self(1 << 6);
    pub(crate) const LIST: Self = Self(1 << 7);
    pub(crate) const MAP: Self = Self(1 << 8);
    /// What `type(…)` gives.
    pub(crate) const TYPE: Self = Self(1 << 9);
    pub(crate) const ALL: Self = Self((1 << 10) - 1);
    /// An integer of JSON: CEL's int where it fits, else its uint.
    pub(crate) const INTEGER: Self = Self::INT.or(Self::UINT);
    pub(crate) const NUMBER: Self = Self::INTEGER.or(Self::DOUBLE);
    /// What can stand in the middle of a text.
    pub(crate) const IN_TEXT: Self = Self::INTEGER.or(Self::TEXT).or(Self::BOOL);

    const NAMES: [(Self, &'static str); 11] = [
        (Self::TEXT, "a text"),
        (Self::BOOL, "true or false"),
        (Self::NUMBER, "a number"),
        (Self::INTEGER, "an integer"),
        (Self::UINT, "an unsigned integer"),
        (Self::DOUBLE, "a number with a fraction"),
        (Self::LIST, "a list"),
        (Self::MAP, "a map"),
        (Self::BYTES, "bytes"),
        (Self::TYPE, "a type"),
        (Self::NULL, "null"),
    ];

    /// The kinds that a JSON value can be to CEL.
    pub(crate) fn of(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::NULL,
            serde_json::Value::Bool(_) => Self::BOOL,
            serde_json::Value::Number(number) if number.is_f64() => Self::DOUBLE,
            serde_json::Value::Number(_) => Self::INTEGER,
            serde_json::Value::String(_) => Self::TEXT,
            serde_json::Value::Array(_) => Self::LIST,
            serde_json::Value::Object(_) => Self::MAP,
        }
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// How messages call it.
    pub(crate) fn name(self) -> String {
        let mut left = self;
        let mut names = Vec::new();
        for (kinds, name) in Self::NAMES {
            // Nobody says "an int and a uint" of what is an integer in JSON.
            if left.and(kinds) == kinds || (kinds == Self::INTEGER && left.has(Self::INT)) {
                names.push(name);
                left = left.without(kinds);
            }
        }
        if self == Self::ALL { "anything".to_owned() } else { names.join(" or ") }
    }
}

/// What can come at one place.
#[derive(Debug, Clone)]
pub(crate) struct Type {
    pub(crate) kinds: Kinds,
    /// The texts that can come, where they are known.
    pub(crate) words: Option<Arc<BTreeSet<String>>>,
    /// What is in the lists.
    element: Option<Arc<Type>>,
    /// What is in the maps.
    shape: Option<Shape>,
}

/// What is known about the fields of a map.
#[derive(Debug, Clone)]
enum Shape {
    Object(Arc<Object>),
    Message(MessageDescriptor),
    /// Any key, and this below each.
    Values(Arc<Type>),
}

/// What is known about one field of a map.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    /// It can be there. `optional`: it need not be.
    Known { value: Type, optional: bool },
    /// It can't be there.
    Refused { known: Vec<String> },
    /// A schema that lists fields doesn't list it, and lets it pass all the same.
    Unlisted { known: Vec<String> },
    /// A message doesn't have it.
    NotInMessage { message: MessageDescriptor },
    /// This is no map at all.
    NoMap,
    /// Nobody knows.
    Unknown,
}

impl Type {
    pub(crate) fn unknown() -> Self {
        Self::of(Kinds::ALL)
    }

    pub(crate) fn of(kinds: Kinds) -> Self {
        Self { kinds, words: None, element: None, shape: None }
    }

    /// One of these texts.
    pub(crate) fn words(words: impl IntoIterator<Item = String>) -> Self {
        let words: BTreeSet<String> = words.into_iter().take(WORDS_MAX + 1).collect();
        Self { words: (words.len() <= WORDS_MAX).then(|| Arc::new(words)), ..Self::of(Kinds::TEXT) }
    }

    pub(crate) fn list(element: Self) -> Self {
        Self { element: Some(Arc::new(element)), ..Self::of(Kinds::LIST) }
    }

    pub(crate) fn object(object: Object) -> Self {
        Self { shape: Some(Shape::Object(Arc::new(object))), ..Self::of(Kinds::MAP) }
    }

    fn map_of(values: Self) -> Self {
        Self { shape: Some(Shape::Values(Arc::new(values))), ..Self::of(Kinds::MAP) }
    }

    fn message(descriptor: MessageDescriptor) -> Self {
        Self { shape: Some(Shape::Message(descriptor)), ..Self::of(Kinds::MAP) }
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.kinds == Kinds::ALL
    }

    /// What is in a list of it.
    pub(crate) fn element(&self) -> Self {
        match &self.element {
            Some(element) if self.kinds.has(Kinds::LIST) => Self::clone(element),
            _ => Self::unknown(),
        }
    }

    /// Either of the two.
    pub(crate) fn join(self, other: Self) -> Self {
        let both = |kind: Kinds| self.kinds.has(kind) && other.kinds.has(kind);
        let words = match (&self.words, &other.words) {
            (Some(a), Some(b)) if a.len() + b.len() <= WORDS_MAX => Some(Arc::new(a.union(b).cloned().collect())),
            (Some(_), Some(_)) => None,
            (one, two) if both(Kinds::TEXT) => one.as_ref().and(two.as_ref()).cloned(),
            (one, two) => one.as_ref().or(two.as_ref()).cloned(),
        };
        let element = match (&self.element, &other.element) {
            (Some(a), Some(b)) => Some(Arc::new(Self::clone(a).join(Self::clone(b)))),
            (one, two) if both(Kinds::LIST) => one.as_ref().and(two.as_ref()).cloned(),
            (one, two) => one.as_ref().or(two.as_ref()).cloned(),
        };
        let shape = match (&self.shape, &other.shape) {
            (Some(a), Some(b)) if a.is_same(b) => Some(a.clone()),
            (one, two) if !both(Kinds::MAP) => one.as_ref().or(two.as_ref()).cloned(),
            _ => None,
        };
        Self { kinds: self.kinds.or(other.kinds), words, element, shape }
    }

    /// What is known about a field of it.
    pub(crate) fn field(&self, name: &str) -> Field {
        if !self.kinds.has(Kinds::MAP) {
            return Field::NoMap;
        }
        match &self.shape {
            None => Field::Unknown,
            Some(Shape::Values(values)) => Field::Known { value: Self::clone(values), optional: false },
            Some(Shape::Object(object)) => object.field(name),
            Some(Shape::Message(descriptor)) => match descriptor.get_field_by_name(name) {
                Some(field) => Field::Known { value: message::of_field(&field), optional: false },
                None => Field::NotInMessage { message: descriptor.clone() },
            },
        }
    }
}

impl Shape {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(a), Self::Object(b)) => Arc::ptr_eq(a, b),
            (Self::Message(a), Self::Message(b)) => a.full_name() == b.full_name(),
            _ => false,
        }
    }
}
