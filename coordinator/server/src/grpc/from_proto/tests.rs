//! Requests that are refused name the field and the mend; good ones come through whole.

use super::*;
use amends_runtime::Start;
use amends_runtime::participant::{Code, Meaning};

fn start_request() -> v1::StartSagaRequest {
    v1::StartSagaRequest {
        saga_id: "order-1".to_owned(),
        definition: "checkout".to_owned(),
        ..v1::StartSagaRequest::default()
    }
}

fn started(message: v1::StartSagaRequest) -> Start {
    start(message, "me".to_owned(), String::new()).unwrap().0
}

fn refused(message: v1::StartSagaRequest) -> String {
    start(message, String::new(), String::new()).unwrap_err().field
}

#[test]
fn a_start_needs_an_id_of_either_kind() {
    assert_eq!(started(start_request()).key.to_string(), "default/order-1");
    let without = v1::StartSagaRequest { saga_id: String::new(), ..start_request() };
    assert_eq!(refused(without.clone()), "saga_id");
    assert_eq!(refused(v1::StartSagaRequest { request_id: "r".to_owned(), ..start_request() }), "request_id");
    assert_eq!(refused(v1::StartSagaRequest { saga_id: "a/b".to_owned(), ..start_request() }), "saga_id");
    let long = v1::StartSagaRequest { request_id: "r".repeat(129), ..without };
    assert_eq!(refused(long), "request_id");
}

#[test]
fn a_derived_id_is_a_uuid_that_depends_on_all_of_the_request() {
    let by_request = |request_id: &str, definition: &str, namespace: &str| {
        let message = v1::StartSagaRequest {
            saga_id: String::new(),
            request_id: request_id.to_owned(),
            definition: definition.to_owned(),
            namespace: namespace.to_owned(),
            ..start_request()
        };
        started(message).key.id.to_string()
    };
    let id = by_request("r-1", "checkout", "");
    assert_eq!(id, by_request("r-1", "checkout", "default"));
    // Fixed for ever: a repeat after an upgrade must find the saga that the first try started.
    assert_eq!(id, PINNED);
    let all =
        [id, by_request("r-2", "checkout", ""), by_request("r-1", "refund", ""), by_request("r-1", "checkout", "b")];
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
}

const PINNED: &str = "6ce0b788-9327-8ceb-b0ae-b92675976231";

#[test]
fn a_start_is_checked_field_by_field() {
    let label = |key: &str, value: &str| v1::StartSagaRequest {
        labels: [(key.to_owned(), value.to_owned())].into(),
        ..start_request()
    };
    assert_eq!(refused(label("", "v")), "labels");
    assert_eq!(refused(label("k", &"v".repeat(257))), "labels[\"k\"]");
    let many = (0..17).map(|number| (number.to_string(), String::new())).collect();
    assert_eq!(refused(v1::StartSagaRequest { labels: many, ..start_request() }), "labels");
    let wait =
        |seconds| v1::StartSagaRequest { wait: Some(pbjson_types::Duration { seconds, nanos: 0 }), ..start_request() };
    assert_eq!((refused(wait(61)).as_str(), refused(wait(-1)).as_str()), ("wait", "wait"));
    let protobuf = v1::Payload { encoding: v1::payload::Encoding::Protobuf.into(), data: Bytes::new() };
    assert_eq!(refused(v1::StartSagaRequest { input: Some(protobuf), ..start_request() }), "input.encoding");
    assert_eq!(started(start_request()).input, Payload::json(Bytes::from_static(b"{}")));
}

#[test]
fn a_change_needs_a_reason() {
    let message = |reason: &str| v1::CancelSagaRequest {
        saga_id: "order-1".to_owned(),
        reason: reason.to_owned(),
        expected_revision: 3,
        ..v1::CancelSagaRequest::default()
    };
    let asked = cancel(message("wrong address"), "me".to_owned()).unwrap();
    assert_eq!((asked.by.reason.as_str(), asked.expected_revision), ("wrong address", Some(3)));
    assert_eq!(cancel(message(""), String::new()).unwrap_err().field, "reason");
    assert_eq!(cancel(message(&"x".repeat(1025)), String::new()).unwrap_err().field, "reason");
}

#[test]
fn a_completion_says_what_happened_in_json() {
    let message = |outcome| v1::CompleteStepRequest {
        saga_id: "order-1".to_owned(),
        step: "refund".to_owned(),
        outcome,
        ..v1::CompleteStepRequest::default()
    };
    use v1::complete_step_request::Outcome;
    let succeeded = |data: &'static [u8]| {
        let output = v1::Payload { encoding: 0, data: Bytes::from_static(data) };
        Some(Outcome::Succeeded(v1::StepSucceeded { output: Some(output) }))
    };
    assert_eq!(complete_step(message(None), String::new()).unwrap_err().field, "outcome");
    let error = complete_step(message(succeeded(b"{oops}")), String::new()).unwrap_err();
    assert_eq!(error.field, "succeeded.output");
    assert!(
        error.problem.starts_with("the output is not JSON") && !error.problem.contains("oops"),
        "{}",
        error.problem
    );
    assert!(complete_step(message(succeeded(b"{\"amount\": 1}")), String::new()).is_ok());
    let rejected = v1::StepRejected { code: "x".repeat(129), message: String::new() };
    let error = complete_step(message(Some(Outcome::Rejected(rejected))), String::new()).unwrap_err();
    assert_eq!(error.field, "rejected.code");
    let query = v1::CompleteStepRequest { operation: v1::Operation::Query.into(), ..message(succeeded(b"{}")) };
    assert_eq!(complete_step(query, String::new()).unwrap_err().field, "operation");
}

#[test]
fn a_participant_is_checked_field_by_field() {
    let participant = || v1::Participant {
        name: "payment".to_owned(),
        endpoints: vec!["http://127.0.0.1:7503".to_owned()],
        codes: [("ABORTED".to_owned(), v1::CodeMeaning::Rejected.into())].into(),
        ..v1::Participant::default()
    };
    let request = |participant| v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
    let field = |participant| put(request(participant)).unwrap_err().field;
    let good = put(request(participant())).unwrap();
    assert_eq!(good.registration.codes, [(Code::Aborted.into(), Meaning::Rejected)].into());
    assert_eq!(put(v1::PutParticipantRequest::default()).unwrap_err().field, "participant");
    let address = |text: &str| v1::Participant { endpoints: vec![text.to_owned()], ..participant() };
    assert_eq!(field(address("not an address")), "participant.endpoints[0]");
    assert_eq!(field(v1::Participant { endpoints: vec![], ..participant() }), "participant.endpoints");
    assert_eq!(field(v1::Participant { name: "a b".to_owned(), ..participant() }), "participant.name");
    let code =
        |name: &str, meaning: i32| v1::Participant { codes: [(name.to_owned(), meaning)].into(), ..participant() };
    assert_eq!(field(code("OK", 1)), "participant.codes");
    assert_eq!(field(code("ABORTED", 0)), "participant.codes[\"ABORTED\"]");
    assert_eq!(field(code("ABORTED", 99)), "participant.codes[\"ABORTED\"]");
    let descriptors = v1::Participant { descriptor_set: Bytes::from_static(b"\xff"), ..participant() };
    assert_eq!(field(descriptors), "participant.descriptor_set");
}
