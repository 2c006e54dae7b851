//! Tests of expressions: what they mean, what they refuse, and that nothing a team writes can abort the process.

use std::collections::BTreeMap;

use amends_engine::ids::{DefinitionName, Namespace, SagaId, SagaKey, StepIndex};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::big_stack;

const KNOWN: &[Root] = &[Root::Input, Root::Steps, Root::Saga];

fn compile(source: &str) -> Result<Expression, Trouble> {
    big_stack::run(|| Expression::compile(source, Place::START, KNOWN)).expect("no panic")
}

fn evaluate(source: &str, input: &Value) -> Result<Value, String> {
    let expression = compile(source).map_err(|trouble| format!("{} — {}", trouble.message, trouble.mend))?;
    let key = SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").expect("id") };
    let definition = DefinitionName::parse("checkout").expect("name");
    let names = BTreeMap::from([("reserve-stock".to_owned(), StepIndex(0)), ("skipped".to_owned(), StepIndex(1))]);
    let output = json!({"reservation_id": "r-1"});
    let outputs = BTreeMap::from([(StepIndex(0), &output)]);
    let steps = Some(variables::Outputs { names: &names, outputs: &outputs });
    let variables = Variables { input: Some(input), reply: None, saga: Some((&key, &definition)), steps };
    expression.evaluate(&variables).map_err(|error| error.message)
}

#[test]
fn lookups_arithmetic_and_macros_work_on_exact_integers() {
    let input =
        json!({"amount": 9_007_199_254_740_993_i64, "max": u64::MAX, "lines": [{"qty": 2}, {"qty": 3}], "a-b": "x"});
    for (source, expected) in [
        ("input.amount", json!(9_007_199_254_740_993_i64)),
        ("input.amount + 1", json!(9_007_199_254_740_994_i64)),
        ("input.max", json!(u64::MAX)),
        ("input.max - 1u", json!(u64::MAX - 1)),
        ("input['a-b'] + '!'", json!("x!")),
        ("input.lines[1].qty * 2", json!(6)),
        ("input.lines.all(l, l.qty > 1)", json!(true)),
        ("input.lines.map(l, l.qty + input.lines.size())", json!([4, 5])),
        ("input.lines.map(input, input.qty)", json!([2, 3])),
        ("saga.id + '/' + saga.namespace + '/' + saga.definition", json!("order-1/default/checkout")),
        ("steps['reserve-stock'].reservation_id", json!("r-1")),
        ("has(input.note) ? input.note : ''", json!("")),
        ("has(steps.skipped) ? steps.skipped.id : 'none'", json!("none")),
        ("'reserve-stock' in steps && !('skipped' in steps)", json!(true)),
        ("{'b': 1, 'a': [input.amount]}", json!({"a": [9_007_199_254_740_993_i64], "b": 1})),
        ("type(input.amount) == int", json!(true)),
    ] {
        assert_eq!(evaluate(source, &input), Ok(expected), "{source}");
    }
}

#[test]
fn what_is_not_there_is_named_and_values_are_never_shown() {
    let input = json!({"amount": 5, "secret": "4111-1111", "zero": 0, "list": ["4111-1111"]});
    for (source, message) in [
        ("input.note", "`input.note` isn't there"),
        ("input.address.zip", "`input.address` isn't there"),
        ("input.note + 'x'", "`input.note + 'x'`: `input.note` isn't there"),
        ("has(input.a.b)", "`has(input.a.b)`: `input.a` isn't there"),
        ("steps.skipped.id", "`steps.skipped` isn't there"),
        ("input.amount + input.secret", "`input.amount + input.secret`: `add` doesn't work on int and string"),
        ("int(input.secret)", "`int(input.secret)`: `int` can't take this value"),
        ("input.list[0] > 1", "`input.list[0] > 1`: found no matching overload for '_>_' applied to '(string, int)'"),
        ("input.amount / input.zero", "`input.amount / input.zero`: it divides by zero"),
        ("9223372036854775807 + input.amount", "`9223372036854775807 + input.amount`: a result has more than 64 bits"),
        ("{'a': 1}[input.secret]", "`{'a': 1}[input.secret]`: a key that it looks up isn't there"),
    ] {
        let error = evaluate(source, &input).expect_err(source);
        assert_eq!(error, message);
        assert!(!error.contains("4111"), "{error}");
    }
}

#[test]
fn what_cannot_work_is_refused_with_a_mend() {
    for (source, message) in [
        ("inputs.a", "`inputs` is not known here — did you mean `input`?"),
        (
            "reply.a",
            "`reply` is not known here — use `input` (what the saga was started with: `input.reply`), `steps` (the output \
             of a step: `steps['reply'].field`) or `saga`",
        ),
        (
            "lowercase(input.a)",
            "there is no function `lowercase` with these arguments — use `size`, `contains`, \
          `startsWith`, `endsWith`, `matches`, `int`, `uint`, `double`, `string`, `bytes`, `bool`, `dyn`, `type`, `has`, `all`, \
          `exists`, `exists_one`, `map`, `filter`",
        ),
        ("sizee(input.a)", "there is no function `sizee` with these arguments — did you mean `size`?"),
        ("steps", "`steps` alone has no value — name a step: `steps['name'].field`, or `'name' in steps`"),
        ("size(steps)", "`steps` alone has no value — name a step: `steps['name'].field`, or `'name' in steps`"),
        ("saga.idd", "`saga` has no `idd` — did you mean `id`?"),
        ("saga.started_at", "`saga` has no `started_at` — use `id`, `namespace`, `definition`"),
        ("", "the expression is empty — write one between `${` and `}`, or `$${` for the text itself"),
        (
            "timestamp('2026-01-01T00:00:00Z')",
            "there is no function `timestamp` with these arguments — a repeat must send the same, so there is no clock and no \
             chance here: take it from `input`; `saga.id` is unique",
        ),
    ] {
        let trouble = compile(source).expect_err(source);
        assert_eq!(format!("{} — {}", trouble.message, trouble.mend), message);
    }
    let trouble = compile("input.a == ").expect_err("unfinished");
    assert!(trouble.message.starts_with("the expression can't be read: "), "{trouble:?}");
    let trouble = compile("input.a = 1").expect_err("assignment");
    assert_eq!(trouble.offset, 8, "{trouble:?}");
}

#[test]
fn limits_hold_at_both_sides() {
    let chain = |parts: usize| vec!["input.a"; parts].join("+");
    assert!(compile(&chain(21)).is_ok());
    assert!(compile(&chain(22)).is_err());
    assert!(compile(&chain(500)).is_err());
    assert!(compile(&format!("'{}'", "x".repeat(4000))).is_ok());
    assert!(compile(&format!("'{}'", "x".repeat(4100))).is_err());
    let loops = |depth: usize| (0..depth).fold("true".to_owned(), |body, n| format!("input.a.all(x{n}, {body})"));
    assert!(compile(&loops(2)).is_ok());
    assert!(compile(&loops(3)).is_err());
}

#[test]
fn too_much_work_is_refused_before_it_begins() {
    let long: Vec<u32> = (0..100_000).collect();
    let input = json!({"list": long, "text": "x".repeat(1 << 20), "few": [1, 2, 3]});
    for source in [
        "input.list.all(x, input.list.all(y, x == y))",
        "input.list.map(x, input.list)",
        "input.few.map(x, input.text + input.text + input.text)\
         .map(y, input.few.map(z, input.text + input.text + input.text + input.text + input.text + input.text))",
        "input.list.map(x, input.text + 'a')",
    ] {
        let error = evaluate(source, &input).expect_err(source);
        assert!(error.ends_with("it is too much work for lists and texts of this size"), "{error}");
    }
    assert_eq!(evaluate("input.few.all(x, input.few.exists(y, x == y))", &input), Ok(json!(true)));
    assert_eq!(evaluate("size(input.list)", &input), Ok(json!(100_000)));
}

/// Shapes that break naive parsers: long chains and deep nests of everything the grammar has.
#[test]
fn nests_and_chains_of_every_kind_end_as_an_answer() {
    let units = [
        "(",
        "[",
        "{",
        "!",
        "-",
        "a.",
        "a[",
        "a?",
        "a?a:",
        "a&&",
        "a||",
        "a+",
        "f(",
        "a.f(",
        "has(",
        "'",
        "\"\"\"",
        "{'a':",
        "[1,",
        "a.map(x,",
        "b'",
        "r\"",
        ".",
        "`",
        "?",
        "1.",
        "0x",
        "a.all(x,x)",
        "{a:{",
        "\u{0}",
        "ä",
    ];
    for unit in units {
        for count in [1, 8, 24, 25, 200, 4096 / unit.len()] {
            let prefix = unit.repeat(count);
            for suffix in ["", "a", "1", ")", "]", "}"] {
                let _ = compile(&format!("{prefix}{suffix}"));
            }
            let closed: String = unit.chars().rev().filter_map(closing).collect();
            let _ = compile(&format!("{prefix}1{}", closed.repeat(count)));
        }
    }
}

fn closing(open: char) -> Option<char> {
    match open {
        '(' => Some(')'),
        '[' => Some(']'),
        '{' => Some('}'),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a team writes, reading it gives an answer, and what was read can be evaluated.
    #[test]
    fn any_text_ends_as_an_answer(parts in proptest::collection::vec(
        prop_oneof![
            Just("input.a"), Just("steps['x'].y"), Just("("), Just(")"), Just("["), Just("]"), Just("{"), Just("}"),
            Just("+"), Just("-"), Just("!"), Just("&&"), Just("||"), Just("?"), Just(":"), Just(","), Just("."),
            Just("1"), Just("18446744073709551616"), Just("'t'"), Just("\""), Just("has("), Just(".map(x, x)"),
            Just(".all(x, true)"), Just("size("), Just("=="), Just("in"), Just("true"), Just("null"), Just("$0"), Just("?0"),
            Just("@result"), Just("matches('(a*)*b')"), Just("\\"), Just("1u"), Just("1.5"), Just(" ")
        ], 0..60)) {
        let source = parts.concat();
        let _ = evaluate(&source, &json!({"a": [1, "b", {"c": null}]}));
    }
}

/// The deepest that is accepted must evaluate on half the stack of a server's worker thread, unoptimized.
#[test]
fn what_is_accepted_evaluates_on_a_small_stack() {
    let deepest_chain = (1..60).map(|parts| vec!["input.n"; parts].join("+")).rfind(|chain| compile(chain).is_ok());
    let deepest_brackets =
        (1..60).map(|n| format!("{}input.n{}", "[".repeat(n), "]".repeat(n))).rfind(|s| compile(s).is_ok());
    let nest = (0..126).fold(json!(1), |inner, _| json!([inner]));
    let input = json!({"n": 1, "nest": nest, "few": [1, 2]});
    let sources = [
        deepest_chain.expect("chain"),
        deepest_brackets.expect("brackets"),
        "input.nest == input.nest ? input.nest : []".to_owned(),
        "input.few.map(x, input.few.map(y, [x + y, {'a': [[[[input.nest]]]]}]))".to_owned(),
    ];
    let evaluate_all = move || sources.iter().for_each(|source| drop(evaluate(source, &input).expect(source)));
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(evaluate_all).expect("thread");
    thread.join().expect("no overflow");
}
