//! Tests of JSON both ways, with the API's own messages.

use std::sync::LazyLock;

use amends_proto::v1;
use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::*;

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(amends_proto::FILE_DESCRIPTOR_SET).unwrap());

fn of(message: &str) -> MessageDescriptor {
    POOL.get_message_by_name(&format!("amends.v1.{message}")).unwrap()
}

fn start(body: &str) -> v1::StartSagaRequest {
    read(&of("StartSagaRequest"), body.as_bytes()).unwrap().transcode_to().unwrap()
}

fn refused(message: &str, body: &str) -> String {
    read(&of(message), body.as_bytes()).unwrap_err().to_string()
}

fn data(request: v1::StartSagaRequest) -> String {
    let payload = request.input.unwrap();
    assert_eq!(payload.encoding(), v1::payload::Encoding::Json);
    String::from_utf8(payload.data.to_vec()).unwrap()
}

#[test]
fn both_spellings_enums_durations_and_numbers_are_read() {
    let body = r#"{"saga_id":"a","requestId":"b","version":"3","labels":{"k":"v"},"wait":"1.5s","namespace":null}"#;
    let request = start(body);
    assert_eq!((request.saga_id.as_str(), request.request_id.as_str(), request.version), ("a", "b", 3));
    assert_eq!((request.labels["k"].as_str(), request.wait.unwrap().nanos), ("v", 500_000_000));
    for operation in [r#""OPERATION_COMPENSATE""#, &(v1::Operation::Compensate as i32).to_string()] {
        let body = format!(r#"{{"operation":{operation},"rejected":{{"code":"X"}}}}"#);
        let request = read(&of("CompleteStepRequest"), body.as_bytes()).unwrap();
        let request: v1::CompleteStepRequest = request.transcode_to().unwrap();
        assert_eq!(request.operation(), v1::Operation::Compensate);
    }
}

#[test]
fn a_payload_is_its_own_json_to_the_byte() {
    for json in [
        r#"{"amount":9223372036854775807,"rate":0.1000, "u":18446744073709551615}"#,
        r#"{ "encoding": "gzip", "data": "AAAA" }"#,
        r#"{"encoding":"ENCODING_JSON","data":"e30=","more":1}"#,
        r#"{"encoding":"ENCODING_JSON","data":1}"#,
        "[1,2]",
        "\"text\"",
        "12345678901234567890123",
    ] {
        assert_eq!(data(start(&format!("{{\"input\":\n {json} }}"))), json);
        assert_eq!(shown_and_back(json.as_bytes(), v1::payload::Encoding::Json), (json.to_owned(), true));
    }
    assert_eq!(start(r#"{"input":null}"#).input, None);
}

#[test]
fn what_isnt_its_own_json_is_the_message() {
    assert_eq!(data(start(r#"{"input":{"data":"eyJhIjoxfQ==","encoding":"ENCODING_JSON"}}"#)), r#"{"a":1}"#);
    for payload in [r#"{"encoding":"ENCODING_JSON","data":"e30="}"#, "null", "no json", ""] {
        let (text, same) = shown_and_back(payload.as_bytes(), v1::payload::Encoding::Json);
        assert!(same && text.starts_with(r#"{"encoding":"ENCODING_JSON""#), "{payload}: {text}");
    }
    let (text, same) = shown_and_back(b"{}", v1::payload::Encoding::Protobuf);
    assert_eq!((text.as_str(), same), (r#"{"encoding":"ENCODING_PROTOBUF","data":"e30="}"#, true));
}

/// A payload as it is shown within a message, and whether that reads back as the same.
fn shown_and_back(bytes: &[u8], encoding: v1::payload::Encoding) -> (String, bool) {
    let input = v1::Payload { encoding: encoding.into(), data: bytes.to_vec().into() };
    let request = v1::StartSagaRequest { input: Some(input), ..Default::default() };
    let message = DynamicMessage::decode(of("StartSagaRequest"), request.encode_to_vec().as_slice()).unwrap();
    let text = show(&message);
    let payload = text.strip_prefix(r#"{"input":"#).and_then(|text| text.strip_suffix('}')).unwrap();
    let back = read(&of("StartSagaRequest"), text.as_bytes()).map(|back| back.transcode_to().unwrap());
    (payload.to_owned(), back == Ok(request))
}

#[test]
fn a_message_is_shown_as_proto3_json() {
    let saga = v1::Saga {
        id: "o-1".to_owned(),
        status: v1::SagaStatus::Running.into(),
        revision: u64::MAX,
        labels: [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())].into(),
        create_time: Some(pbjson_types::Timestamp { seconds: 1, nanos: 0 }),
        steps: vec![v1::Step { name: "pay".to_owned(), ..Default::default() }],
        ..Default::default()
    };
    let message = DynamicMessage::decode(of("Saga"), saga.encode_to_vec().as_slice()).unwrap();
    let expected = r#"{"id":"o-1","status":"SAGA_STATUS_RUNNING","revision":"18446744073709551615","labels":{"a":"1","b":"2"},"createTime":"1970-01-01T00:00:01Z","steps":[{"name":"pay"}]}"#;
    assert_eq!(show(&message), expected);
}

#[test]
fn a_misfit_says_where_and_what() {
    for (message, body, expected) in [
        (
            "StartSagaRequest",
            "{\n \"sagaIdd\": \"a\"}",
            "line 2, column 2: sagaIdd: there is no such field; did you mean \"sagaId\"?",
        ),
        ("DidNotHappen", "{\"x\": 1}", "line 1, column 2: x: there is no such field; this object has none"),
        ("StartSagaRequest", "{\"version\":\n  -1}", "line 2, column 4: version: "),
        (
            "StartSagaRequest",
            "{\"id\": \"a\"}",
            "line 1, column 2: id: there is no such field; did you mean \"sagaId\"?",
        ),
        ("StartSagaRequest", "{'sagaId': 'a'}", "line 1, column 2: this is not JSON: key must be a string"),
        (
            "StartSagaRequest",
            "{\"labels\":{\"a\":\"b\",}}",
            "line 1, column 20: labels: this is not JSON: key must be a string",
        ),
        ("StartSagaRequest", "[]", "line 1, column 1: an object is expected"),
        ("StartSagaRequest", "{\"saga_id\":\"a\",\"sagaId\":\"b\"}", "line 1, column 25: sagaId: it is given twice"),
        ("StartSagaRequest", " ", "line 1, column 1: the body is empty; a JSON object is expected"),
        (
            "StartSagaRequest",
            "{\"labels\":\n{\"a\": }}",
            "line 2, column 7: labels.a: this is not JSON: expected value",
        ),
        ("StartSagaRequest", "{} x", "line 1, column 4: this is not JSON: trailing characters"),
        (
            "CompleteStepRequest",
            "{\"rejected\":{\"cod\":\"X\"}}",
            "line 1, column 14: rejected.cod: there is no such field; did you mean \"code\"?",
        ),
        (
            "CompleteStepRequest",
            "{\"succeeded\":{},\"rejected\":{}}",
            "line 1, column 28: rejected: only one of succeeded, rejected can be given, once",
        ),
        ("ListSagasRequest", "{\"stuckReason\":\"X\"}", "line 1, column "),
        (
            "ListSagasResponse",
            "{\"sagas\":[{}, {\"idd\":1}]}",
            "line 1, column 16: sagas[1].idd: there is no such field; did you mean \"id\"?",
        ),
        ("StartSagaRequest", "{\"input\":{\"encoding\":\"ENCODING_JSON\",\"data\":\"%\"}}", "line 1, column "),
    ] {
        let found = refused(message, body);
        assert!(found.starts_with(expected), "{body}: {found}");
    }
    for (message, body, expected) in [
        ("ListSagasRequest", "{\"stuckReason\":\"X\"}", "use one of STUCK_REASON_"),
        ("Participant", "{\"codes\":{\"ABORTED\":\"rejected\"}}", "use one of CODE_MEANING_"),
        ("StartSagaRequest", "{\"version\":\"new\"}", "; write a whole number from 0 to 4294967295"),
        ("StartSagaRequest", "{\"wait\":\"5m\"}", "; write seconds: \"1.5s\", \"300s\""),
        ("StartSagaRequest", "{\"wait\":30}", "; write seconds: \"1.5s\", \"300s\""),
        ("RetrySagaRequest", "{\"expectedRevision\":\"x\"}", "; write a whole number from 0 to 18446744073709551615"),
    ] {
        let found = refused(message, body);
        assert!(found.contains(expected) && !found.contains("_UNSPECIFIED"), "{body}: {found}");
    }
    assert_eq!(read(&of("Saga"), b"{\n\xff").unwrap_err().to_string(), "line 2, column 1: the body is not UTF-8");
}

/// JSON with and without the shape that isn't taken for itself, and what is no JSON at all.
fn payload() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<u64>().prop_map(|number| number.to_string()),
        Just("-0.10e5".to_owned()),
        prop_oneof![Just("ENCODING_JSON"), Just("ENCODING_PROTOBUF"), Just("e30="), Just("\\ud800")]
            .prop_map(|text| format!("\"{text}\"")),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    let json = leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop_oneof![Just("encoding"), Just("data"), Just("a"), Just("\\u0064ata")];
        let member = (name, inner.clone()).prop_map(|(name, value)| format!("\"{name}\" : {value}"));
        prop_oneof![
            prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(" ,"))),
            prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(","))),
        ]
    });
    prop_oneof![9 => json, 1 => any::<String>().prop_map(|text| text.trim().to_owned())]
}

proptest! {
    #[test]
    fn a_payload_reads_back_as_it_was(payload in payload()) {
        let (text, same) = shown_and_back(payload.as_bytes(), v1::payload::Encoding::Json);
        prop_assert!(same, "{payload} was shown as {text}");
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in any::<String>(), cut in any::<prop::sample::Index>()) {
        let body = r#"{"sagaId":"a","labels":{"k":"v"},"input":{"a":[1,2,{"b":null}]},"wait":"1s","version":3}"#;
        let at = cut.index(body.len());
        for body in [text.clone(), format!("{}{text}{}", &body[..at], &body[at..])] {
            if let Err(misfit) = read(&of("StartSagaRequest"), body.as_bytes()) {
                let (line, _) = misfit.place.unwrap();
                prop_assert!(line <= body.matches('\n').count() + 1, "{misfit}");
            }
        }
    }
}
