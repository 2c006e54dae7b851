//! Whether what an expression gives can become a field of a request.
//!
//! The rules are those of `transcode`, asked before there is a value. Invariant: a misfit means that no value of the type
//! gets through, with three exceptions that are mistakes all the same: a number that may have a fraction for an integer, a
//! text for an integer, and a word that an enum doesn't have beside others that it has.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::{Kinds, Shape, Type, message};
use crate::finding::did_you_mean;
use crate::transcode::{find_field, kind_name};

/// Deepest comparison of a map with a message.
const DEPTH_MAX: u32 = 8;

/// Why it doesn't fit, and the mend.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) message: String,
    pub(crate) mend: String,
}

impl Misfit {
    fn new(message: impl Into<String>, mend: impl Into<String>) -> Option<Self> {
        Some(Self { message: message.into(), mend: mend.into() })
    }
}

/// For a list field whose items are of a kind.
pub(crate) fn misfit_of_list(given: &Type, kind: &Kind) -> Option<Misfit> {
    list(given, kind, 0)
}

/// For a map field whose values are of a kind.
pub(crate) fn misfit_of_map(given: &Type, values: &Kind) -> Option<Misfit> {
    map(given, values, 0)
}

/// For one value of a kind.
pub(crate) fn misfit_of_value(given: &Type, kind: &Kind) -> Option<Misfit> {
    value(given, kind, 0)
}

fn list(given: &Type, kind: &Kind, depth: u32) -> Option<Misfit> {
    if !possible(given, Kinds::LIST) {
        return wrong(given, "a list", "write `[\"${…}\"]` for a list of one");
    }
    let inner = given.element.as_ref()?;
    let misfit = value(inner, kind, depth + 1)?;
    Misfit::new(format!("each item: {}", misfit.message), misfit.mend)
}

fn map(given: &Type, values: &Kind, depth: u32) -> Option<Misfit> {
    if !possible(given, Kinds::MAP) {
        return wrong(given, "a map", "write its entries out");
    }
    let Some(Shape::Values(inner)) = &given.shape else { return None };
    let misfit = value(inner, values, depth + 1)?;
    Misfit::new(format!("each value: {}", misfit.message), misfit.mend)
}

fn value(given: &Type, kind: &Kind, depth: u32) -> Option<Misfit> {
    if given.is_unknown() || depth > DEPTH_MAX {
        return None;
    }
    let convert = "convert it, or correct the field";
    match kind {
        Kind::Message(descriptor) => message(given, descriptor, depth),
        Kind::Enum(words) => enumeration(given, words),
        Kind::Bool => simple(given, Kinds::BOOL, kind, "compare: `${a == b}` gives true or false"),
        Kind::String => simple(given, Kinds::TEXT, kind, "make it a text: `${string(…)}`"),
        Kind::Bytes => simple(given, Kinds::TEXT, kind, "bytes are texts in base64"),
        Kind::Double | Kind::Float => simple(given, Kinds::NUMBER, kind, convert),
        _ => integer(given, kind),
    }
}

fn simple(given: &Type, wanted: Kinds, kind: &Kind, mend: &str) -> Option<Misfit> {
    if possible(given, wanted) { None } else { wrong(given, kind_name(kind), mend) }
}

fn integer(given: &Type, kind: &Kind) -> Option<Misfit> {
    if given.kinds.has(Kinds::DOUBLE) && !given.kinds.has(Kinds::TEXT) {
        let message = format!("it must be {} and is a number that may have a fraction", kind_name(kind));
        return Misfit::new(
            message,
            "make it `type: integer`, in whole units (money: minor units), or round: `${int(…)}`",
        );
    }
    let digits = given.words.as_ref().is_some_and(|words| words.iter().any(|word| word.parse::<i128>().is_ok()));
    if possible(given, Kinds::INTEGER) || digits {
        return None;
    }
    wrong(given, kind_name(kind), "make it `type: integer` in the schema, or convert it: `${int(…)}`")
}

fn enumeration(given: &Type, known: &EnumDescriptor) -> Option<Misfit> {
    if !possible(given, Kinds::INTEGER.or(Kinds::TEXT)) {
        return wrong(given, "a word of its enum", "give one of its words as a text");
    }
    let has = |word: &&String| known.get_value_by_name(word).is_some();
    let missing = given.words.as_ref()?.iter().find(|word| !has(word))?;
    let names: Vec<String> = known.values().map(|word| word.name().to_owned()).collect();
    let message = format!("it may be `{missing}`, which `{}` doesn't have", known.full_name());
    Misfit::new(message, did_you_mean(missing, names.iter().map(String::as_str)))
}

fn message(given: &Type, descriptor: &MessageDescriptor, depth: u32) -> Option<Misfit> {
    let name = descriptor.full_name();
    if name.starts_with("google.protobuf.") {
        let wanted = message::of_message(descriptor).kinds;
        let integer = wanted == Kinds::INTEGER && given.kinds.has(Kinds::TEXT);
        return match possible(given, wanted) || integer {
            true => None,
            false => wrong(given, &format!("a {name} ({})", wanted.name()), "see the JSON form of this message type"),
        };
    }
    if !possible(given, Kinds::MAP) {
        return wrong(given, &format!("the message `{name}`"), "write the message's fields out");
    }
    match &given.shape {
        Some(Shape::Object(object)) => {
            object.properties().find_map(|(name, given, required)| field(name, given, required, descriptor, depth))
        }
        // A field with presence is left out of the reply where it isn't set.
        Some(Shape::Message(other)) if other.full_name() != name => other.fields().find_map(|each| {
            let always = !each.supports_presence();
            field(each.name(), &message::of_field(&each), always, descriptor, depth)
        }),
        _ => None,
    }
}

fn field(name: &str, given: &Type, always: bool, descriptor: &MessageDescriptor, depth: u32) -> Option<Misfit> {
    let Some(field) = find_field(descriptor, name) else {
        let message = format!("it has `{name}`, which `{}` doesn't have", descriptor.full_name());
        return always.then(|| Misfit::new(message, "write the message's fields out")).flatten();
    };
    let misfit = of_field(given, &field, depth + 1)?;
    Misfit::new(format!("its `{name}`: {}", misfit.message), misfit.mend)
}

fn of_field(given: &Type, field: &FieldDescriptor, depth: u32) -> Option<Misfit> {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => map(given, &entry.map_entry_value_field().kind(), depth),
        kind if field.is_list() => list(given, &kind, depth),
        kind => value(given, &kind, depth),
    }
}

/// Whether a value of one of these kinds can come. A null is left out of the request, so that it fits everywhere.
fn possible(given: &Type, wanted: Kinds) -> bool {
    given.kinds.has(wanted) || given.kinds.without(Kinds::NULL) == Kinds::NONE
}

fn wrong(given: &Type, wanted: &str, mend: &str) -> Option<Misfit> {
    let kinds = given.kinds.without(Kinds::NULL);
    // A list and a map convert into nothing.
    let whole = kinds.without(Kinds::LIST.or(Kinds::MAP)) == Kinds::NONE;
    let mend = if whole { "take one item or field of it, or correct the field" } else { mend };
    let is = kinds.name();
    Misfit::new(format!("it must be {wanted} and is {is}"), mend)
}
