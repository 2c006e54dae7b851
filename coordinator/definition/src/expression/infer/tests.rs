//! What is inferred against what CEL gives, over expressions that nobody chose.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::big_stack;
use crate::expression::path::Root;
use crate::expression::variables::Variables;
use crate::finding::Place;
use crate::types::of_schema;

fn input() -> Value {
    json!({"int": 5, "text": "x", "half": 0.5, "yes": true, "list": [1, 2], "words": ["a"], "map": {"a": 1, "b": "t"}, "items": [{"n": 1}]})
}

fn schema() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["int", "text", "half", "yes", "list", "words", "map", "items"],
    "properties": {
        "int": {"type": "integer"}, "text": {"enum": ["x", "y"]}, "half": {"type": "number"}, "yes": {"type": "boolean"},
        "list": {"type": "array", "items": {"type": "integer"}}, "words": {"type": "array", "items": {"type": "string"}},
        "map": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}, "b": {"type": ["string", "null"]}}},
        "items": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    }})
}

/// `lazy`: with what may leave a part unevaluated.
fn expressions(lazy: bool) -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("input.int"),
        Just("input.text"),
        Just("input.half"),
        Just("input.yes"),
        Just("input.list"),
        Just("input.words"),
        Just("input.map"),
        Just("input.map.a"),
        Just("input.map.b"),
        Just("input.items"),
        Just("input.items[0]"),
        Just("saga.id"),
        Just("1"),
        Just("2u"),
        Just("1.5"),
        Just("'x'"),
        Just("true"),
        Just("null"),
        Just("[]"),
        Just("[1, 'a']"),
        Just("b'x'")
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let two = (inner.clone(), inner.clone());
        let operators = prop_oneof![
            Just("+"),
            Just("-"),
            Just("*"),
            Just("/"),
            Just("%"),
            Just("=="),
            Just("!="),
            Just("<"),
            Just(">="),
            Just("in")
        ];
        let functions = prop_oneof![
            Just("size"),
            Just("int"),
            Just("double"),
            Just("string"),
            Just("bool"),
            Just("dyn"),
            Just("type"),
            Just("!"),
            Just("-")
        ];
        let eager = prop_oneof![
            (two.clone(), operators).prop_map(|((a, b), operator)| format!("({a} {operator} {b})")),
            (inner.clone(), functions).prop_map(|(a, function)| format!("{function}({a})")),
            two.clone().prop_map(|(a, b)| format!("({a}).contains({b})")),
            two.clone().prop_map(|(a, b)| format!("({a})[{b}]")),
            inner.clone().prop_map(|a| format!("[{a}]")),
        ];
        let loops = prop_oneof![Just("all"), Just("exists"), Just("exists_one"), Just("map"), Just("filter")];
        let short = prop_oneof![
            (two.clone(), prop_oneof![Just("&&"), Just("||")]).prop_map(|((a, b), sign)| format!("({a} {sign} {b})")),
            (two.clone(), inner).prop_map(|((a, b), c)| format!("({a} ? {b} : {c})")),
            (two, loops).prop_map(|((a, b), word)| format!("({a}).{word}(v, {b} == v || v.n > 0)")),
        ];
        if lazy { prop_oneof![2 => eager, 1 => short].boxed() } else { eager.boxed() }
    })
}

/// What is inferred of an expression, and what it gives; `None`: it isn't accepted.
fn both(source: &str) -> Option<(Inferred, Result<Value, String>)> {
    let shape = of_schema(&schema());
    let input = input();
    let judged = big_stack::run(|| {
        let expression = Expression::compile(source, Place::START, &[Root::Input, Root::Saga]).ok()?;
        let look = |path: &Path| match path.root {
            Root::Input => crate::types::follow(shape.clone(), &path.segments),
            _ => Type::of(Kinds::TEXT),
        };
        let variables = Variables { input: Some(&input), ..Variables::default() };
        Some((expression.infer(&look), expression.evaluate(&variables).map_err(|error| error.message)))
    });
    judged.expect("no panic")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// What an expression gives is among what was inferred.
    #[test]
    fn the_result_is_of_the_inferred_type(source in expressions(true)) {
        if let Some((inferred, Ok(value))) = both(&source) {
            prop_assert!(inferred.result.kinds.has(Kinds::of(&value)), "{source} gives {value}, inferred {:?}", inferred.result);
        }
    }

    /// What is said never to work doesn't.
    #[test]
    fn what_never_works_fails(source in expressions(false)) {
        if let Some((inferred, Ok(value))) = both(&source) {
            let wrong = inferred.troubles.iter().find(|trouble| !matches!(trouble, TypeTrouble::NeverEqual { .. }));
            prop_assert!(wrong.is_none(), "{source} gives {value}, and: {wrong:?}");
        }
    }

    /// What is said never to be equal isn't.
    #[test]
    fn what_is_never_equal_is_not(a in expressions(false), b in expressions(false)) {
        if let Some((inferred, Ok(value))) = both(&format!("{a} == {b}"))
            && let [TypeTrouble::NeverEqual { message, .. }] = inferred.troubles.as_slice()
            && !a.contains(['=', ' ']) && !b.contains(['=', ' '])
        {
            prop_assert_eq!(value, Value::Bool(false), "{} == {}: {}", a, b, message);
        }
    }
}

#[test]
fn the_properties_are_not_empty() {
    let wrong = ["input.int + input.text", "size(input.int)", "input.list[input.text]", "input.int in input.text"];
    for source in wrong {
        let (inferred, result) = both(source).expect("accepted");
        assert!(!inferred.troubles.is_empty() && result.is_err(), "{source}: {inferred:?} {result:?}");
    }
    for (source, kinds) in [
        ("input.list.map(v, v + 1)", Kinds::LIST),
        ("input.list.map(v, v + 1)[0]", Kinds::INT),
        ("input.words.filter(v, v == 'a')[0]", Kinds::TEXT),
        ("input.items.exists_one(v, v.n == 1)", Kinds::BOOL),
        ("input.map.b == null ? 1 : 1.5", Kinds::INT.or(Kinds::DOUBLE)),
        ("input.yes ? input.text : 'z'", Kinds::TEXT),
    ] {
        let (inferred, _) = both(source).expect("accepted");
        assert!(inferred.troubles.is_empty() && inferred.result.kinds == kinds, "{source}: {inferred:?}");
    }
}
