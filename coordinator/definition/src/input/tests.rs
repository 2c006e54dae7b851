//! Tests of inputs: digits, schemas, what errors say and never show, and what a check can cost.

use serde_json::json;

use super::*;

fn schema(yaml: &str) -> Result<InputSchema, Vec<String>> {
    let mut findings = Findings::new(&Arc::from("t"));
    let node = crate::tree::read_yaml(yaml, &mut findings).expect("yaml");
    let schema = InputSchema::read(&node, &mut findings);
    schema.ok_or_else(|| findings.into_sorted().iter().map(ToString::to_string).collect())
}

#[test]
fn integers_are_exact_or_refused() {
    let value = read_json(br#"{"a": 18446744073709551615, "b": -9223372036854775808, "c": "99999999999999999999"}"#);
    assert_eq!(value, Ok(json!({"a": u64::MAX, "b": i64::MIN, "c": "99999999999999999999"})));
    assert_eq!(read_json(br#"{"\"9": 18446744073709551616}"#), Err(InputError::TooManyDigits { offset: 8 }));
    assert_eq!(read_json(b"[-9223372036854775809]"), Err(InputError::TooManyDigits { offset: 1 }));
    assert_eq!(read_json(b"1e30"), Ok(json!(1e30)));
    assert_eq!(read_json(b"{\"a\": }"), Err(InputError::NotJson { line: 1, column: 7 }));
}

#[test]
fn errors_name_the_pointer_and_the_mend_and_show_no_value() {
    let schema = schema(
        "{ type: object, required: [id, lines], additionalProperties: false, properties: { id: { type: string, pattern: '^o-' },
           currency: { enum: [EUR, USD] }, lines: { type: array, items: { type: object, properties: { n: { type: integer, minimum: 1 } } } } } }",
    )
    .expect("schema");
    for (input, message) in [
        (json!({"id": "o-1"}), "input: \"lines\" is missing — add it"),
        (
            json!({"id": "4111", "lines": []}),
            "input/id: the value does not match \"^o-\" — send what `input:` of the definition describes",
        ),
        (
            json!({"id": "o-1", "lines": [{"n": 1}, {"n": "4111"}]}),
            "input/lines/1/n: the value is not of type \"integer\" — send what `input:` of the definition describes",
        ),
        (
            json!({"id": "o-1", "lines": [], "currency": "4111"}),
            "input/currency: the value is not one of \"EUR\" or \"USD\" — use `EUR`, `USD`",
        ),
        (
            json!({"id": "o-1", "lines": [], "idd": 1}),
            "input: there is no field \"idd\" — leave it out, or check its spelling",
        ),
    ] {
        assert_eq!(schema.check(&input).expect_err("invalid").to_string(), message);
    }
    assert_eq!(schema.check(&json!({"id": "o-1", "lines": [{"n": 1}]})), Ok(()));
}

#[test]
fn a_check_stays_within_the_stack_and_the_time() {
    let tree = schema(
        "{ $defs: { n: { type: object, properties: { next: { anyOf: [ { type: 'null' }, { $ref: '#/$defs/n' } ] } } } }, $ref: '#/$defs/n' }",
    )
    .expect("schema");
    let deep = (0..126).fold(json!(null), |inner, _| json!({ "next": inner }));
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    let checked = thread.spawn(move || tree.check(&deep)).expect("thread").join().expect("no overflow");
    assert_eq!(checked, Ok(()));

    let costly =
        schema(&format!("{{ items: {{ enum: [{}] }} }}", (0..9000).map(|n| format!("{n},")).collect::<String>()));
    let many = Value::Array(vec![json!(8999); 20_000]);
    let error = costly.expect("schema").check(&many).expect_err("too much");
    assert_eq!(
        error.to_string(),
        "input: it is too large for a schema like this — send less, or simplify `input:` of the definition"
    );
}

#[test]
fn a_schema_that_is_none_or_reaches_out_is_refused() {
    for yaml in [
        "[1]",
        "{ type: strin }",
        "{ $ref: 'https://example.com/s.json' }",
        "{ $ref: 'file:///etc/passwd' }",
        "{ pattern: '(' }",
    ] {
        let findings = schema(yaml).expect_err(yaml);
        assert!(findings.len() == 1 && findings[0].contains(": error[AM-L010]: `input"), "{findings:?}");
    }
}
