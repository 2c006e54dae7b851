//! The checkout example through the whole crate: from text to request bytes, and from reply bytes to judgements.

use std::collections::BTreeMap;

use amends_definition::{Compiled, Format, Judgement, MappedOutcome, Prepared, Scope, parse, read_json};
use amends_engine::definition::{Compensation, Policy};
use amends_engine::ids::{Namespace, Operation, SagaId, SagaKey, StepIndex, Version};
use amends_engine::payload::Payload;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};

use crate::descriptors::{participants, root};

const RESERVE: StepIndex = StepIndex(0);
const HOLD: StepIndex = StepIndex(1);
const CHARGE: StepIndex = StepIndex(2);

fn compile(path: &str) -> Compiled {
    let source = std::fs::read_to_string(root().join(path)).expect("example");
    let document = parse(&source, Format::Yaml, path).expect("document");
    Compiled::compile(&document, Version(3), &participants()).expect("compiled")
}

fn checkout() -> Compiled {
    compile("examples/checkout/checkout.saga.yaml")
}

fn everything() -> Compiled {
    compile("coordinator/definition/tests/corpus/valid/everything.yaml")
}

fn key() -> SagaKey {
    SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").expect("id") }
}

fn prepare(
    compiled: &Compiled,
    step: StepIndex,
    operation: Operation,
    input: &Value,
    outputs: &BTreeMap<StepIndex, &Value>,
) -> Result<Prepared, String> {
    let key = key();
    compiled.prepare(step, operation, &Scope { key: &key, input, outputs }).map_err(|error| error.to_string())
}

fn requests(prepared: Result<Prepared, String>) -> Vec<(Operation, Payload)> {
    match prepared.expect("prepared") {
        Prepared::Requests(requests) => requests,
        Prepared::Skipped => panic!("skipped"),
    }
}

/// A payload as the participant would read it.
fn decoded(participant: &str, message: &str, payload: &Payload) -> Value {
    let sets = participants();
    let set = &sets[&crate::descriptors::name(participant)];
    let pool = DescriptorPool::decode(set.clone()).expect("pool");
    let descriptor = pool.get_message_by_name(message).expect("message");
    let message = DynamicMessage::decode(descriptor, payload.bytes.clone()).expect("decode");
    serde_json::to_value(&message).expect("json")
}

/// A reply as the participant would send it.
fn encoded(participant: &str, message: &str, value: &Value) -> Vec<u8> {
    let sets = participants();
    let pool = DescriptorPool::decode(sets[&crate::descriptors::name(participant)].clone()).expect("pool");
    let descriptor = pool.get_message_by_name(message).expect("message");
    let message = DynamicMessage::deserialize(descriptor, value).expect("message");
    prost::Message::encode_to_vec(&message)
}

fn input() -> Value {
    json!({
        "order_id": "o-1", "sku": "book", "quantity": 2, "account_id": "alice", "amount_minor": 9_007_199_254_740_993_i64
    })
}

#[test]
fn the_engine_gets_what_the_team_wrote() {
    let compiled = checkout();
    let engine = compiled.engine();
    assert_eq!((engine.name().as_str(), engine.version(), engine.timeout().as_secs()), ("checkout", Version(3), 300));
    assert_eq!(engine.pivot(), Some(CHARGE));
    assert!(engine.step(RESERVE).after.is_empty() && engine.step(HOLD).after.is_empty());
    assert_eq!(engine.step(CHARGE).after, [RESERVE, HOLD]);
    assert_eq!(engine.step(CHARGE).within.map(|within| within.as_secs()), Some(120));
    assert_eq!(engine.step(CHARGE).compensate, Compensation::Absent);
    let charge = &engine.step(CHARGE).action;
    assert_eq!((charge.attempt_timeout.as_secs(), charge.max_attempts), (3, 6));
    assert_eq!(engine.step(CHARGE).query, Some(Policy::action()));
    assert_eq!(engine.step(HOLD).confirm, Some(Policy::finishing()));
    assert_eq!(engine.step(HOLD).compensate, Compensation::Call(Policy::finishing()));
    let participants: Vec<&str> = compiled.participants().iter().map(|name| name.as_str()).collect();
    assert_eq!(participants, ["account", "inventory", "payment"]);
    assert_eq!(compiled.method(CHARGE, Operation::Query).map(|m| m.path()), Some("/payment.v1.Payment/GetCharge"));
    assert!(compiled.method(CHARGE, Operation::Compensate).is_none());
    assert!(compiled.method(StepIndex(9), Operation::Action).is_none());
    assert_eq!((compiled.reads(RESERVE), compiled.reads(CHARGE)), ([].as_slice(), [RESERVE].as_slice()));
    assert_eq!(everything().reads(HOLD), [StepIndex(0)]);
}

#[test]
fn an_action_is_prepared_with_every_request_that_is_complete() {
    let compiled = checkout();
    let (input, outputs) = (input(), BTreeMap::new());
    let reserve = requests(prepare(&compiled, RESERVE, Operation::Action, &input, &outputs));
    let made: Vec<Operation> = reserve.iter().map(|(operation, _)| *operation).collect();
    assert_eq!(made, [Operation::Action, Operation::Compensate]);
    assert_eq!(
        decoded("inventory", "inventory.v1.ReserveRequest", &reserve[0].1),
        json!({"orderId": "o-1", "sku": "book", "quantity": "2"})
    );
    assert_eq!(decoded("inventory", "inventory.v1.ReleaseRequest", &reserve[1].1), json!({"orderId": "o-1"}));

    let hold = requests(prepare(&compiled, HOLD, Operation::Action, &input, &outputs));
    let made: Vec<Operation> = hold.iter().map(|(operation, _)| *operation).collect();
    assert_eq!(made, [Operation::Action, Operation::Compensate, Operation::Confirm]);
    assert_eq!(
        decoded("account", "account.v1.HoldRequest", &hold[0].1),
        json!({"accountId": "alice", "holdId": "order-1", "amountMinor": "9007199254740993"})
    );

    let output = json!({"reservation_id": "r-7"});
    let outputs = BTreeMap::from([(RESERVE, &output)]);
    let charge = requests(prepare(&compiled, CHARGE, Operation::Action, &input, &outputs));
    assert_eq!(
        decoded("payment", "payment.v1.ChargeRequest", &charge[0].1),
        json!({"paymentId": "order-1", "amountMinor": "9007199254740993", "reservation": "r-7"})
    );
    let alone = requests(prepare(&compiled, CHARGE, Operation::Query, &input, &outputs));
    assert_eq!(alone, [(Operation::Query, charge[1].1.clone())]);
}

#[test]
fn a_confirm_that_reads_its_own_output_waits_for_it() {
    let compiled = everything();
    let (input, none) = (input(), BTreeMap::new());
    let hold = StepIndex(2);
    let made = requests(prepare(&compiled, hold, Operation::Action, &input, &none));
    assert_eq!(
        made.iter().map(|(operation, _)| *operation).collect::<Vec<_>>(),
        [Operation::Action, Operation::Compensate]
    );
    let output = json!({"hold_id": "h-9"});
    let confirm = requests(prepare(&compiled, hold, Operation::Confirm, &input, &BTreeMap::from([(hold, &output)])));
    assert_eq!(decoded("account", "account.v1.ConfirmHoldRequest", &confirm[0].1), json!({"holdId": "h-9"}));
}

#[test]
fn conditions_skip_and_expressions_compute() {
    let compiled = everything();
    let none = BTreeMap::new();
    let gift = StepIndex(0);
    assert_eq!(prepare(&compiled, gift, Operation::Action, &input(), &none), Ok(Prepared::Skipped));
    let mut with_gift = input();
    with_gift["gift"] = json!(true);
    assert_eq!(requests(prepare(&compiled, gift, Operation::Action, &with_gift, &none)).len(), 1);

    let reserve = StepIndex(1);
    let made = requests(prepare(&compiled, reserve, Operation::Action, &input(), &none));
    assert_eq!(
        decoded("inventory", "inventory.v1.ReserveRequest", &made[0].1),
        json!({"orderId": "order-o-1", "sku": "book", "quantity": "3"})
    );
    let stock = json!({"available": 1});
    let made = requests(prepare(&compiled, reserve, Operation::Action, &with_gift, &BTreeMap::from([(gift, &stock)])));
    assert_eq!(decoded("inventory", "inventory.v1.ReserveRequest", &made[0].1)["sku"], json!("gift-book"));
}

#[test]
fn what_cannot_be_prepared_names_its_place_and_no_value() {
    let compiled = checkout();
    let none = BTreeMap::new();
    let failed = |step, input: &Value| prepare(&compiled, step, Operation::Action, input, &none).expect_err("fails");
    assert_eq!(
        failed(CHARGE, &input()),
        "examples/checkout/checkout.saga.yaml:77:25: step charge, action: `steps['reserve-stock']` isn't there"
    );
    let mut wrong = input();
    wrong["amount_minor"] = json!("4111x");
    let error = failed(HOLD, &wrong);
    assert_eq!(
        error,
        "examples/checkout/checkout.saga.yaml:55:90: step hold-funds, action: `amount_minor` of account.v1.HoldRequest: it must \
         be an int64 and is a text that isn't one — correct the value or the field"
    );
    wrong["amount_minor"] = json!(10.0);
    assert!(failed(HOLD, &wrong).contains("a number with a fraction or exponent"), "a float never becomes money");
    let error = prepare(&compiled, CHARGE, Operation::Compensate, &input(), &none).expect_err("no compensation");
    assert!(error.ends_with("step charge, compensate: the step has no compensate"), "{error}");
    assert!(prepare(&compiled, StepIndex(7), Operation::Action, &input(), &none).is_err());
}

#[test]
fn inputs_are_checked_against_the_schema() {
    let compiled = checkout();
    assert_eq!(compiled.check_input(input().to_string().as_bytes()), Ok(input()));
    for (input, message) in [
        (r#"{"order_id": "o"}"#, "input: \"sku\" is missing — add it"),
        ("{", "the input is not JSON: line 1, column 1 — send a JSON value in UTF-8"),
        (
            r#"{"order_id":"o","sku":"s","quantity":0,"account_id":"a","amount_minor":1}"#,
            "input/quantity: the value is less than the minimum of 1 — send what `input:` of the definition describes",
        ),
        (
            r#"{"order_id":"o","sku":"s","quantity":1,"account_id":"a","amount_minor":18446744073709551616}"#,
            "the input has an integer of more than 64 bits at byte 71 — send it as a text",
        ),
    ] {
        assert_eq!(compiled.check_input(input.as_bytes()).expect_err(input).to_string(), message);
    }
}

#[test]
fn labels_come_from_the_input_sorted() {
    let labels = everything().labels(&input()).expect("labels");
    let labels: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("kind", "checkout"), ("order", "o-1"), ("size", "2")]);
    let error = everything().labels(&json!({"order_id": "x".repeat(300), "quantity": 1})).expect_err("too long");
    assert_eq!(error.to_string(), "label `order` is longer than 256 bytes");
    let error = everything().labels(&json!({"order_id": ["4111"], "quantity": 1})).expect_err("list");
    assert_eq!(error.to_string(), "label `order` must be a text, an integer, or true or false");
    let error = everything().labels(&json!({"quantity": 1})).expect_err("absent");
    assert_eq!(error.to_string(), "label `order`: `input.order_id` isn't there");
}

#[test]
fn replies_become_json_and_are_judged() {
    let compiled = everything();
    let charge = StepIndex(3);
    let reply = |amount: i64| {
        let bytes = encoded("payment", "payment.v1.ChargeReply", &json!({"charge_id": "c", "amount_minor": amount}));
        compiled.decode_reply(charge, Operation::Action, &bytes).expect("reply")
    };
    let big = reply(9_007_199_254_740_993);
    assert_eq!(big.bytes.as_ref(), br#"{"charge_id":"c","amount_minor":9007199254740993}"#);
    assert_eq!(read_json(&big.bytes).expect("json")["amount_minor"], json!(9_007_199_254_740_993_i64));
    assert_eq!(compiled.judge_reply(charge, Operation::Action, &big).expect("judged"), Judgement::Succeeded);
    assert_eq!(compiled.judge_reply(charge, Operation::Action, &reply(0)).expect("judged"), Judgement::Pending);
    assert_eq!(compiled.judge_reply(charge, Operation::Query, &big).expect("judged"), Judgement::Succeeded);
    assert_eq!(compiled.judge_reply(charge, Operation::Query, &reply(0)).expect("judged"), Judgement::NotYet);

    let reserve = StepIndex(1);
    let empty = compiled.decode_reply(reserve, Operation::Action, &[]).expect("reply");
    assert_eq!(empty.bytes.as_ref(), br#"{"reservation_id":""}"#);
    match compiled.judge_reply(reserve, Operation::Action, &empty).expect("judged") {
        Judgement::Rejected(why) => {
            assert_eq!(why.to_string(), "REJECTED_WHEN: the reply says so: reply.reservation_id == ''");
        }
        other => panic!("{other:?}"),
    }
    assert!(compiled.decode_reply(reserve, Operation::Action, &[0xff]).is_err());
    assert!(compiled.judge_reply(reserve, Operation::Action, &Payload::json("4111")).is_err());
    assert!(compiled.judge_reply(reserve, Operation::Action, &Payload::protobuf("x")).is_err());
    // Nothing declared: judged without reading.
    let hold = StepIndex(2);
    assert_eq!(
        compiled.judge_reply(hold, Operation::Action, &Payload::json("not json")).expect("judged"),
        Judgement::Succeeded
    );
}

#[test]
fn codes_mean_what_the_definition_says() {
    let compiled = everything();
    let reserve = StepIndex(1);
    assert_eq!(compiled.code(reserve, Operation::Action, "ABORTED"), Some(MappedOutcome::Rejected));
    assert_eq!(compiled.code(reserve, Operation::Action, "ALREADY_EXISTS"), Some(MappedOutcome::Succeeded));
    assert_eq!(compiled.code(reserve, Operation::Action, "UNAVAILABLE"), Some(MappedOutcome::Unknown));
    assert_eq!(compiled.code(reserve, Operation::Action, "INTERNAL"), None);
    assert_eq!(compiled.code(reserve, Operation::Compensate, "ABORTED"), None);
    assert_eq!(compiled.code(StepIndex(3), Operation::Action, "ABORTED"), Some(MappedOutcome::Pending));
}

#[test]
fn the_same_facts_give_the_same_bytes() {
    let (first, second) = (checkout(), checkout());
    let outputs = BTreeMap::new();
    let make = |compiled: &Compiled| requests(prepare(compiled, HOLD, Operation::Action, &input(), &outputs));
    assert_eq!(make(&first), make(&second));
}
