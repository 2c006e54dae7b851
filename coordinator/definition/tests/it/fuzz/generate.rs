//! Invents expressions, schemas, values, and changes to texts.
//!
//! Invariant: what it makes is near enough to what is accepted to get past the first check, often enough.

use serde_json::{Map, Value, json};

use super::random::Random;

const NAMES: [&str; 10] = ["order_id", "sku", "quantity", "amount_minor", "lines", "note", "a", "b", "next", "x y"];
/// What an expression of a step can read.
pub(super) const IN_STEPS: [&str; 11] = [
    "input",
    "input.order_id",
    "input.quantity",
    "input.amount_minor",
    "input.lines",
    "input.lines[0].sku",
    "input['x y']",
    "input.next.next.next",
    "saga.id",
    "saga.definition",
    "steps['reserve-stock'].reservation_id",
];
/// What a condition on a reply can read.
pub(super) const IN_REPLIES: [&str; 7] =
    ["reply", "reply.lines", "reply.state", "reply.lines[0].sku", "reply.tags", "reply.score", "reply.address.note"];
const LITERALS: [&str; 22] = [
    "0",
    "1",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "1u",
    "18446744073709551615u",
    "1.5",
    "1e308",
    "0.0",
    "true",
    "false",
    "null",
    "''",
    "'text'",
    "b'x'",
    "[]",
    "{}",
    "[1, 'a', null]",
    "{'a': 1}",
    "'OPEN'",
    "int",
];
const BINARY: [&str; 15] = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in", "+"];
const UNARY: [&str; 9] = ["size", "int", "uint", "double", "string", "bytes", "bool", "dyn", "type"];
const MACROS: [&str; 5] = ["all", "exists", "exists_one", "map", "filter"];
const ON_TEXTS: [&str; 3] = ["contains", "startsWith", "endsWith"];
const PATTERNS: [&str; 8] =
    ["^[a-z]+$", "(a*)*b", "(a|a)*c", "(((a{50}){50}){50})", "\\w{80}", "(?=a)", "(", "(x+x+)+y"];

/// An expression of the language, mostly.
pub(super) fn expression(random: &mut Random, depth: usize, paths: &[&str]) -> String {
    if depth == 0 || random.once_in(5) {
        return match random.below(8) {
            0..=4 => (*random.pick(paths)).to_owned(),
            _ => (*random.pick(&LITERALS)).to_owned(),
        };
    }
    let inner = |random: &mut Random| expression(random, depth - 1, paths);
    match random.below(12) {
        0..=2 => format!("({} {} {})", inner(random), random.pick(&BINARY), inner(random)),
        3 => format!("({} ? {} : {})", inner(random), inner(random), inner(random)),
        4 => format!("{}({})", random.pick(&UNARY), inner(random)),
        5 => format!("{}{}", random.pick(&["!", "-"]), inner(random)),
        6 => {
            let with_item = [paths, &["item", "item", "item.sku", "item.quantity"]].concat();
            format!("{}.{}(item, {})", inner(random), random.pick(&MACROS), expression(random, depth - 1, &with_item))
        }
        7 => format!("{}.{}({})", inner(random), random.pick(&ON_TEXTS), inner(random)),
        8 => {
            // Three of four are accepted.
            let from = if random.once_in(4) { &PATTERNS[..] } else { &PATTERNS[..3] };
            format!("{}.matches('{}')", inner(random), random.pick(from))
        }
        9 => format!("{}[{}]", inner(random), inner(random)),
        10 => format!("has({}.{})", random.pick(paths), random.pick(&NAMES[..9])),
        _ => format!("[{}, {}].size()", inner(random), inner(random)),
    }
}

/// A JSON Schema, mostly.
pub(super) fn schema(random: &mut Random, depth: usize) -> Value {
    if depth == 0 || random.once_in(6) {
        return match random.below(9) {
            0 => {
                json!({"$ref": random.pick(&["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/nowhere", "x.json"])})
            }
            1 => json!({"enum": ["EUR", "CHF", 1, null]}),
            2 => json!({"type": "string", "pattern": random.pick(&PATTERNS)}),
            3 => json!({"type": ["string", "null"]}),
            4 => json!({"type": "number", "multipleOf": random.pick(&[1.0, 0.01, 0.0])}),
            5 => json!(true),
            _ => json!({"type": random.pick(&["string", "integer", "number", "boolean", "null", "object", "array"])}),
        };
    }
    let mut object = Map::new();
    for _ in 0..=random.below(3) {
        let (key, value) = match random.below(11) {
            0 => ("required", json!([random.pick(&NAMES), random.pick(&NAMES)])),
            1 => ("items", schema(random, depth - 1)),
            2 => ("additionalProperties", if random.once_in(2) { json!(false) } else { schema(random, depth - 1) }),
            3 => (
                *random.pick(&["allOf", "anyOf", "oneOf"]),
                json!([schema(random, depth - 1), schema(random, depth - 1)]),
            ),
            4 => (
                *random.pick(&["not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties"]),
                schema(random, depth - 1),
            ),
            5 => ("$defs", json!({"a": schema(random, depth - 1), "b": schema(random, depth - 1)})),
            6 => ("patternProperties", json!({*random.pick(&PATTERNS): schema(random, depth - 1)})),
            7 => ("uniqueItems", json!(true)),
            _ => {
                let fields =
                    (0..=random.below(3)).map(|_| ((*random.pick(&NAMES)).to_owned(), schema(random, depth - 1)));
                ("properties", Value::Object(fields.collect()))
            }
        };
        object.insert(key.to_owned(), value);
    }
    if random.once_in(2) {
        object.insert("type".to_owned(), json!(random.pick(&["object", "object", "array"])));
    }
    Value::Object(object)
}

/// About the longest list, in bytes: as much as one request may have. Lists of lists of long texts grow by the power.
const VALUE_MAX: usize = 1 << 20;

/// A value that could be an input or an output.
pub(super) fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 7 } else { 10 }) {
        0 => Value::Null,
        1 => random.once_in(2).into(),
        2 => random.number().into(),
        3 => i64::try_from(random.number() >> 1).map_or(0, |number| -number).into(),
        4 => (random.number() as f64 / 7.0).into(),
        5 => (*random.pick(&["", "OPEN", "EUR", "a", "4111-1111"])).into(),
        6 => "ab ".repeat(random.size(4_000)).into(),
        7 => {
            let item = value(random, depth - 1);
            let length = random.size(300).min(VALUE_MAX / item.to_string().len());
            Value::Array(vec![item; length])
        }
        _ => {
            let fields = (0..random.below(6)).map(|_| ((*random.pick(&NAMES)).to_owned(), value(random, depth - 1)));
            Value::Object(fields.collect())
        }
    }
}
