//! HTTP operations through the whole crate: what is prepared from them, what is refused, how replies read.

use std::collections::BTreeMap;

use amends_definition::{
    Compiled, Format, HttpRequest, Judgement, MappedOutcome, Prepared, Protocol, Scope, Severity, check_protocols,
    parse, read_json, rules,
};
use amends_engine::ids::{Namespace, Operation, SagaId, SagaKey, StepIndex, Version};
use amends_engine::payload::Encoding;

use crate::descriptors::{name, participants};

const STEP: StepIndex = StepIndex(0);

fn compiled(steps: &str) -> Compiled {
    let source = format!("saga: t\nsteps:\n{steps}");
    let document = parse(&source, Format::Yaml, "t").expect("document");
    Compiled::compile(&document, Version(1), &BTreeMap::new()).expect("compiled")
}

fn one(action: &str) -> Compiled {
    compiled(&format!("  - {{ step: a, participant: m, action: {action}, compensate: {{ none: a test }} }}\n"))
}

fn prepare(compiled: &Compiled, operation: Operation, input: &str) -> Result<Vec<(Operation, HttpRequest)>, String> {
    let key = SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").expect("id") };
    let input = read_json(input.as_bytes()).expect("input");
    let scope = Scope { key: &key, input: &input, outputs: &BTreeMap::new() };
    match compiled.prepare(STEP, operation, &scope).map_err(|error| error.to_string())? {
        Prepared::Skipped => panic!("skipped"),
        Prepared::Requests(requests) => Ok(requests
            .into_iter()
            .map(|(operation, payload)| {
                assert_eq!(payload.encoding, Encoding::Protobuf);
                (operation, HttpRequest::decode(payload.bytes).expect("request"))
            })
            .collect()),
    }
}

fn action(text: &str, input: &str) -> Result<HttpRequest, String> {
    prepare(&one(text), Operation::Action, input).map(|requests| requests[0].1.clone())
}

#[test]
fn a_request_is_prepared_whole_and_every_other_operation_with_it() {
    let compiled = compiled(
        r#"
  - step: notify
    participant: merchant
    action:
      http: "POST /orders/${input.order_id}/paid?shop=${input.shop}"
      headers: { X-Shop: "${input.shop}", x-count: 3, x-test: true }
      request: { zebra: "${input.amount_minor}", apple: { id: "order ${input.order_id}" }, list: [1, "${input.shop}"] }
    compensate: { http: "DELETE /orders/${input.order_id}/paid" }
    query: { http: "GET /orders/${saga.id}" }
"#,
    );
    let input = r#"{"order_id": "7", "shop": "a b", "amount_minor": 9007199254740993}"#;
    let prepared = prepare(&compiled, Operation::Action, input).expect("prepared");
    let operations: Vec<Operation> = prepared.iter().map(|(operation, _)| *operation).collect();
    assert_eq!(operations, [Operation::Action, Operation::Compensate, Operation::Query]);
    let HttpRequest { method, path, headers, body } = &prepared[0].1;
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/orders/7/paid?shop=a%20b"));
    let text = |(name, value): &(String, String)| format!("{name}: {value}");
    assert_eq!(
        headers.iter().map(text).collect::<Vec<_>>(),
        ["x-shop: a b", "x-count: 3", "x-test: true", "content-type: application/json"]
    );
    // In the order of the template, and with every digit of an integer over 2^53.
    let json = r#"{"zebra":9007199254740993,"apple":{"id":"order 7"},"list":[1,"a b"]}"#;
    assert_eq!(body.as_deref(), Some(json.as_bytes()));
    let undo = &prepared[1].1;
    assert_eq!((undo.method.as_str(), undo.path.as_str(), &undo.body), ("DELETE", "/orders/7/paid", &None));
    assert!(undo.headers.is_empty(), "no body, no content type");
    assert_eq!(prepared[2].1.path, "/orders/order-1");
    assert_eq!(prepare(&compiled, Operation::Action, input).expect("again"), prepared);
    assert_eq!(compiled.protocol(STEP, Operation::Action), Some(Protocol::Http));
    assert_eq!(compiled.protocol(STEP, Operation::Confirm), None);
    assert!(compiled.method(STEP, Operation::Action).is_none());
    assert_eq!(compiled.participants(), [name("merchant")]);
}

#[test]
fn a_value_fills_one_segment_whatever_is_in_it() {
    let path = |value: &str| {
        let input = serde_json::json!({ "v": value }).to_string();
        action(r#"{ http: "POST /a/${input.v}/b" }"#, &input).map(|request| request.path)
    };
    for (value, expected) in [
        ("plain-1.2_3~", "/a/plain-1.2_3~/b"),
        ("../../admin", "/a/..%2F..%2Fadmin/b"),
        ("a/b", "/a/a%2Fb/b"),
        ("a\\b", "/a/a%5Cb/b"),
        ("x?y#z", "/a/x%3Fy%23z/b"),
        ("%2e%2e", "/a/%252e%252e/b"),
        ("é\r\nhost: evil", "/a/%C3%A9%0D%0Ahost%3A%20evil/b"),
        ("...", "/a/.../b"),
    ] {
        assert_eq!(path(value).as_deref(), Ok(expected), "{value}");
    }
    for value in [".", ".."] {
        let error = path(value).expect_err("another path");
        assert!(error.contains("which leads elsewhere"), "{error}");
    }
    assert!(path("").expect_err("another path").contains("is empty"));
    assert!(path(&"x".repeat(5000)).expect_err("long").contains("too long"));
    // Together with what is written around it, too.
    let beside = |value: &str| action(r#"{ http: "POST /a/.${input.v}" }"#, &format!(r#"{{"v": "{value}"}}"#));
    assert_eq!(beside("git").expect("fine").path, "/a/.git");
    assert!(beside(".").is_err());
    let in_query = action(r#"{ http: "GET /a?q=${input.v}&n=${input.n}" }"#, r#"{"v": "", "n": 5}"#);
    assert_eq!(in_query.expect("fine").path, "/a?q=&n=5");
    let float = action(r#"{ http: "POST /a/${input.n}" }"#, r#"{"n": 1.5}"#).expect_err("no text");
    assert!(float.starts_with("t:3:") && float.contains("can't stand in a text"), "{float}");
}

proptest::proptest! {
    /// Whatever the values are, the path has the segments that the definition shows, and nothing behind them.
    #[test]
    fn a_route_keeps_its_shape(first in ".{0,12}", second in "[./%\\\\?#a-z]{0,6}") {
        let compiled = one(r#"{ http: "POST /a/${input.first}/b-${input.second}?q=${input.first}" }"#);
        let input = serde_json::json!({ "first": first, "second": second }).to_string();
        if let Ok(requests) = prepare(&compiled, Operation::Action, &input) {
            let path = &requests[0].1.path;
            let (route, query) = path.split_once('?').expect("a query");
            let segments: Vec<&str> = route.split('/').collect();
            proptest::prop_assert_eq!(segments.len(), 4);
            proptest::prop_assert!(segments[1] == "a" && segments[3].starts_with("b-"));
            proptest::prop_assert!(!matches!(segments[2], "" | "." | ".."));
            proptest::prop_assert!(!query.contains(['?', '/', '#', ' ']) && path.is_ascii());
        }
    }
}

#[test]
fn a_header_stays_one_line() {
    let with = |input: &str| action(r#"{ http: "POST /a", headers: { x-shop: "${input.v}" } }"#, input);
    for bad in [r#""a\r\nx-admin: 1""#, r#""a\nb""#, r#""\u0000""#, r#""é""#, r#"" a""#, "[1]", "1.5", "null"] {
        let error = with(&format!(r#"{{"v": {bad}}}"#)).expect_err(bad);
        assert!(error.contains("step a, action: header `x-shop`:") && !error.contains("admin"), "{error}");
    }
    for (good, sent) in [(r#""a b""#, "a b"), ("7", "7"), ("false", "false"), (r#""""#, "")] {
        assert_eq!(with(&format!(r#"{{"v": {good}}}"#)).expect(good).headers[0].1, sent);
    }
}

#[test]
fn bodies_are_what_the_template_says() {
    let body = |text: &str, input: &str| {
        action(&format!("{{ http: \"POST /a\", request: {text} }}"), input).expect("body").body
    };
    assert_eq!(
        body(r#""${input}""#, r#"{"b":1,"a":[18446744073709551615]}"#).as_deref(),
        Some(&br#"{"b":1,"a":[18446744073709551615]}"#[..])
    );
    assert_eq!(body(r#"[1, { a: "${input.x}" }]"#, r#"{"x":null}"#).as_deref(), Some(&br#"[1,{"a":null}]"#[..]));
    assert_eq!(body("{}", "{}").as_deref(), Some(&b"{}"[..]), "an empty body is one");
    let typed = action(r#"{ http: "POST /a", headers: { content-type: application/x+json }, request: {} }"#, "{}");
    let typed = typed.expect("request");
    assert_eq!(typed.headers, [("content-type".to_owned(), "application/x+json".to_owned())]);
}

#[test]
fn replies_are_json_and_judged_like_any() {
    let compiled = one(
        r#"{ http: "POST /a", codes: { 202: pending, 409: rejected }, rejected_when: "${reply.status == 'NO'}", pending_when: "${reply.status == 'WAIT'}" }"#,
    );
    let judge = |bytes: &[u8]| {
        let reply = compiled.decode_reply(STEP, Operation::Action, bytes).map_err(|error| error.to_string())?;
        assert_eq!((reply.encoding, &reply.bytes[..]), (Encoding::Json, bytes), "as it came");
        compiled.judge_reply(STEP, Operation::Action, &reply).map_err(|error| error.to_string())
    };
    assert_eq!(judge(br#"{"status": "OK", "n": 9007199254740993}"#), Ok(Judgement::Succeeded));
    assert!(matches!(judge(br#"{"status":"NO"}"#), Ok(Judgement::Rejected(_))));
    assert_eq!(judge(br#"{"status":"WAIT"}"#), Ok(Judgement::Pending));
    for bad in [&b"<html>"[..], b"{\"status\":", b"\xff", b"{}", b"", b"{\"status\":123456789012345678901234567890}"] {
        let error = judge(bad).expect_err("unknown");
        assert!(!error.contains("html"), "{error}");
    }
    assert_eq!(compiled.code(STEP, Operation::Action, "202"), Some(MappedOutcome::Pending));
    assert_eq!(compiled.code(STEP, Operation::Action, "409"), Some(MappedOutcome::Rejected));
    assert_eq!(compiled.code(STEP, Operation::Action, "404"), None);
}

#[test]
fn registered_participants_must_speak_what_the_definition_calls() {
    let source = r#"saga: t
steps:
  - { step: a, participant: inventory, action: { call: inventory.v1.Inventory/Reserve }, compensate: { none: x } }
  - { step: b, participant: merchant, action: { http: "POST /a" }, compensate: { none: x } }
"#;
    let document = parse(source, Format::Yaml, "t").expect("document");
    assert_eq!(document.protocols(), [(name("inventory"), Protocol::Grpc), (name("merchant"), Protocol::Http)].into());
    assert_eq!(document.calls().into_keys().collect::<Vec<_>>(), [name("inventory")]);
    let found = |registered: &[(&str, Protocol)]| {
        let registered = registered.iter().map(|(text, protocol)| (name(text), *protocol)).collect();
        let findings = check_protocols(&document, &registered);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
        findings.iter().map(|finding| (finding.rule, finding.line, finding.column)).collect::<Vec<_>>()
    };
    assert_eq!(found(&[("inventory", Protocol::Grpc), ("merchant", Protocol::Http)]), []);
    assert_eq!(found(&[]), [(rules::UNKNOWN_PARTICIPANT, 4, 29)], "the other is missed for its descriptors");
    assert_eq!(
        found(&[("inventory", Protocol::Http), ("merchant", Protocol::Grpc)]),
        [(rules::WRONG_PROTOCOL, 3, 29), (rules::WRONG_PROTOCOL, 4, 29)]
    );
    assert!(Compiled::compile(&document, Version(1), &participants()).is_ok(), "no descriptors for HTTP");
}
