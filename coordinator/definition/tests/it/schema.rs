//! The published schemas against the readers: the same fields, and the same files accepted.

use std::collections::BTreeSet;

use amends_definition::{Compiled, FIRST_VERSION, Finding, Format, parse, parse_scenarios, schema, stand_in};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::descriptors::root;

fn read(schema: &str) -> Value {
    serde_json::from_str(schema).expect("JSON")
}

/// YAML 1.2, in which `y` is a text.
fn yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true })
}

fn validator(schema: &str) -> Validator {
    jsonschema::draft202012::new(&read(schema)).expect("a schema")
}

/// A field that no reader knows and that is like none that it does; the finding about it then names them all.
const STRANGER: &str = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";

/// The fields that a reader knows where the stranger stands.
fn known(findings: Vec<Finding>) -> BTreeSet<String> {
    let about =
        findings.iter().find(|finding| finding.message.contains(STRANGER)).expect("a finding about the stranger");
    about.mend.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fields that a schema knows at a place.
fn properties(schema: &str, pointer: &str) -> BTreeSet<String> {
    let schema = read(schema);
    let found = schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
    found["properties"].as_object().expect("properties").keys().cloned().collect()
}

fn compare(pointer: &str, schema: &str, findings: Vec<Finding>) {
    let known = known(findings);
    assert_eq!(properties(schema, pointer), known, "{pointer}");
}

#[test]
fn the_definition_schema_has_every_field_that_the_reader_knows_and_no_other() {
    let step = |inside: &str| format!("{{ saga: s, steps: [{{ step: a, participant: p, {inside} }}] }}");
    let places = [
        ("", format!("{{ saga: s, {STRANGER}: 1 }}")),
        ("/$defs/step", step(&format!("{STRANGER}: 1"))),
        ("/$defs/call", step(&format!("action: {{ {STRANGER}: 1 }}"))),
        ("/$defs/call", step(&format!("compensate: {{ {STRANGER}: 1 }}"))),
        ("/$defs/call", step(&format!("confirm: {{ {STRANGER}: 1 }}"))),
        ("/$defs/query", step(&format!("query: {{ {STRANGER}: 1 }}"))),
        ("/$defs/retry", step(&format!("action: {{ retry: {{ {STRANGER}: 1 }} }}"))),
        ("/$defs/step/properties/compensate/oneOf/1", step(&format!("compensate: {{ none: x, {STRANGER}: 1 }}"))),
        ("/$defs/step/properties/cancel/oneOf/1", step(&format!("cancel: {{ none: x, {STRANGER}: 1 }}"))),
    ];
    for (pointer, source) in places {
        compare(pointer, schema::DEFINITION, parse(&source, Format::Yaml, "t").expect_err("a stranger"));
    }
}

#[test]
fn the_scenario_schema_has_every_field_that_the_reader_knows_and_no_other() {
    let definition =
        "saga: s\nsteps: [{ step: a, participant: p, pivot: true, action: { call: a.B/C }, query: { call: a.B/D } }]";
    let document = parse(definition, Format::Yaml, "d").expect("document");
    let mut descriptors = Default::default();
    stand_in(&document, &mut descriptors);
    let compiled = Compiled::compile(&document, FIRST_VERSION, &descriptors).expect("compiled");
    let found = |source: &str| match parse_scenarios(source, Format::Yaml, "t") {
        Ok(file) => file.bind(&compiled).expect_err("a stranger"),
        Err(findings) => findings,
    };
    let scenario = |inside: &str| format!("{{ definition: d, scenarios: [{{ scenario: s, {inside} }}] }}");
    let places = [
        ("", format!("{{ definition: d, {STRANGER}: 1 }}")),
        ("/$defs/scenario", scenario(&format!("{STRANGER}: 1"))),
        ("/$defs/reply/oneOf/1", scenario(&format!("replies: {{ a: {{ action: {{ {STRANGER}: 1 }} }} }}"))),
        ("/$defs/later", scenario(&format!("replies: {{ a: {{ action: {{ pending: {{ {STRANGER}: 1 }} }} }} }}"))),
        ("/$defs/event", scenario(&format!("events: [{{ {STRANGER}: 1 }}]"))),
        ("/$defs/expect", scenario(&format!("expect: {{ {STRANGER}: 1 }}"))),
        ("/$defs/expected_call/oneOf/1", scenario(&format!("expect: {{ calls: [{{ {STRANGER}: 1 }}] }}"))),
    ];
    for (pointer, source) in places {
        compare(pointer, schema::SCENARIOS, found(&source));
    }
    // The words of a step's operations, of replies and of reasons.
    let words = |pointer: &str| -> BTreeSet<String> {
        let schema = read(schema::SCENARIOS);
        let all = schema.pointer(pointer).and_then(Value::as_array).expect("words").clone();
        all.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
    };
    for (pointer, inside) in [
        ("/$defs/reply/oneOf/0/enum", format!("replies: {{ a: {{ action: {STRANGER} }} }}")),
        (
            "/$defs/reply/oneOf/1/properties/code/anyOf/0/enum",
            format!("replies: {{ a: {{ action: {{ code: {STRANGER} }} }} }}"),
        ),
        ("/$defs/expect/properties/ends/oneOf/0/enum", format!("expect: {{ ends: {STRANGER} }}")),
        (
            "/$defs/expect/properties/ends/oneOf/1/properties/stuck/enum",
            format!("expect: {{ ends: {{ stuck: {STRANGER} }} }}"),
        ),
        (
            "/$defs/expect/properties/ends/oneOf/2/properties/waiting/enum",
            format!("expect: {{ ends: {{ waiting: {STRANGER} }} }}"),
        ),
        (
            "/$defs/expect/properties/residue/additionalProperties/enum",
            format!("expect: {{ residue: {{ a: {STRANGER} }} }}"),
        ),
    ] {
        assert_eq!(words(pointer), known(found(&scenario(&inside))), "{pointer}");
    }
}

#[test]
fn every_field_is_explained() {
    fn walk(value: &Value, path: &str) {
        if let Some(properties) = value.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                assert!(property.get("description").is_some() || property.get("$ref").is_some(), "{path}/{name}");
            }
        }
        match value {
            Value::Object(entries) => entries.iter().for_each(|(name, inner)| walk(inner, &format!("{path}/{name}"))),
            Value::Array(items) => items.iter().for_each(|inner| walk(inner, path)),
            _ => {}
        }
    }
    for schema in [schema::DEFINITION, schema::SCENARIOS] {
        walk(&read(schema), "");
    }
}

/// Rules about what one field may be; the others need the definition as a whole.
const SHAPE: &[&str] = &["AM-L002", "AM-L003", "AM-L004", "AM-L011", "AM-L012", "AM-L013", "AM-L014"];
/// Rules that the schema doesn't try to know, or only in part.
const PARTLY: &[&str] =
    &["AM-L001", "AM-L005", "AM-L006", "AM-L007", "AM-L008", "AM-L009", "AM-L010", "AM-L060", "AM-L061", "AM-L062"];

#[test]
fn valid_definitions_pass_and_broken_shapes_do_not() {
    let schema = validator(schema::DEFINITION);
    let corpus = root().join("coordinator/definition/tests/corpus");
    let files = |folder: &str| {
        let entries = std::fs::read_dir(corpus.join(folder)).expect("folder");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
        files.sort();
        files
    };
    let mut valid = files("valid");
    valid.push(root().join("examples/checkout/checkout.saga.yaml"));
    for path in valid {
        let value: Value = yaml(&std::fs::read_to_string(&path).expect("text")).expect("YAML");
        let errors: Vec<String> =
            schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
    }
    let mut refused = 0;
    for path in files("broken") {
        let text = std::fs::read_to_string(&path).expect("text");
        let comments = text.lines().skip(1).map_while(|line| line.strip_prefix("# "));
        let rules: BTreeSet<&str> =
            comments.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0)).collect();
        let Ok(value) = yaml(&text) else { continue };
        if rules.iter().all(|rule| SHAPE.contains(rule)) {
            assert!(!schema.is_valid(&value), "{} has a shape that the schema should refuse", path.display());
            refused += 1;
        } else if !rules.iter().any(|rule| SHAPE.contains(rule) || PARTLY.contains(rule)) {
            let errors: Vec<String> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new(), "{} is only wrong as a whole", path.display());
        }
    }
    assert!(refused >= 8, "{refused}");
}

#[test]
fn the_examples_scenarios_pass_and_mistakes_do_not() {
    let schema = validator(schema::SCENARIOS);
    let text = std::fs::read_to_string(root().join("examples/checkout/checkout.scenarios.yaml")).expect("text");
    let value: Value = yaml(&text).expect("YAML");
    let errors: Vec<String> =
        schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, Vec::<String>::new());
    for (pointer, wrong) in [
        ("/scenarios/0/expect/ends", json!("complete")),
        ("/scenarios/0/expect/calls/0", json!("charge")),
        ("/scenarios/1/replies/reserve-stock/action", json!({ "rejects": "X", "code": "ABORTED" })),
        ("/scenarios/4/replies/charge/action/0", json!("brakes")),
        ("/refusals_final", json!("inventory")),
    ] {
        let mut spoiled = value.clone();
        *spoiled.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = wrong;
        assert!(!schema.is_valid(&spoiled), "{pointer}");
    }
}
