//! The life of sagas, by nothing but HTTP and JSON.

use serde_json::{Value, json};
use tonic::Code;

use super::client::{JSON, ask, get, post};
use crate::harness::{CHECKOUT, Memory, Server, on_both_stores};
use crate::shop::{Answer, Shop};

on_both_stores! { completed repaired completed_later started_once }

/// A server that was set up over HTTP.
async fn set_up(memory: &Memory) -> (Server, Shop) {
    let (server, shop) = (Server::start(memory).await, Shop::open().await);
    let participant = json!({ "endpoints": [shop.address], "codes": { "ABORTED": "CODE_MEANING_REJECTED" } });
    let put = ask(&server, "PUT", "/v1/participants/shop", &[JSON], participant.to_string()).await.ok();
    assert_eq!((&put["name"], &put["revision"]), (&json!("shop"), &json!("1")));
    let registered = post(&server, "/v1/definitions", &json!({ "source": CHECKOUT }).to_string()).await.ok();
    assert_eq!((&registered["created"], &registered["definition"]["version"]), (&json!(true), &json!(1)));
    (server, shop)
}

fn start(id: &str) -> String {
    // Beyond what a double can hold.
    format!(
        r#"{{ "sagaId": "{id}", "definition": "checkout", "wait": "60s",
             "input": {{"order_id":"{id}", "amount": 9007199254740993}} }}"#
    )
}

/// The state of one operation of a step.
fn operation<'s>(saga: &'s Value, step: &str, operation: &str) -> &'s Value {
    let found =
        |list: &'s Value, name: &str, wanted: &str| list.as_array().unwrap().iter().find(|it| it[name] == wanted);
    found(&found(&saga["steps"], "name", step).unwrap()["operations"], "operation", operation).unwrap()
}

async fn completed(memory: Memory) {
    let (server, shop) = set_up(&memory).await;
    let headers = [JSON, ("amends-principal", "shop-frontend")];
    let answer = ask(&server, "POST", "/v1/sagas", &headers, start("order-1")).await;
    // The input as it was sent, to the byte.
    assert!(answer.text.contains(r#""input":{"order_id":"order-1", "amount": 9007199254740993}"#), "{}", answer.text);
    assert!(answer.header("content-type") == "application/json" && answer.header("cache-control") == "no-store");
    let saga = answer.ok();
    assert_eq!((&saga["status"], &saga["principal"]), (&json!("SAGA_STATUS_COMPLETED"), &json!("shop-frontend")));
    let charge = operation(&saga, "charge", "OPERATION_ACTION");
    assert_eq!(charge["output"], json!({ "receipt": "charge-receipt" }));
    assert_eq!(shop.calls(), ["Reserve", "Charge"]);
    for path in ["/v1/sagas/order-1", "/v1/sagas/order-1?namespace=default", "/v1/namespaces/default/sagas/order-1"] {
        assert_eq!(get(&server, path).await.ok(), saga, "{path}");
    }
    assert_eq!(get(&server, "/v1/namespaces/eu/sagas/order-1").await.refusal().2, "SAGA_NOT_FOUND");

    let page = get(&server, "/v1/sagas/order-1/history?page_size=3").await.ok();
    let rest = format!("/v1/sagas/order-1/history?pageToken={}", page["nextPageToken"].as_str().unwrap());
    assert_eq!(page["entries"].as_array().unwrap().len(), 3);
    assert_eq!(get(&server, &rest).await.ok()["entries"][0]["kind"], "HISTORY_KIND_COMPLETED");

    post(&server, "/v1/sagas", &start("order-2")).await.ok();
    for (query, expected) in [
        ("", 2),
        ("?labels[order]=order-2", 1),
        ("?labels.order=order-1&definition=checkout", 1),
        ("?labels%5Border%5D=nobody", 0),
        ("?statuses=SAGA_STATUS_COMPLETED&statuses=SAGA_STATUS_STUCK", 2),
        ("?statuses=SAGA_STATUS_STUCK", 0),
        ("?pageSize=1", 1),
    ] {
        let listed = get(&server, &format!("/v1/sagas{query}")).await.ok();
        assert_eq!(listed["sagas"].as_array().map_or(0, Vec::len), expected, "{query}: {listed}");
    }
    let definition = get(&server, "/v1/definitions/checkout/versions/1").await.ok();
    assert_eq!(definition["source"], CHECKOUT);
    assert_eq!(
        get(&server, "/v1/participants").await.ok()["participants"][0]["codes"]["ABORTED"],
        "CODE_MEANING_REJECTED"
    );
    server.stop().await.unwrap();
}

async fn repaired(memory: Memory) {
    let (server, shop) = set_up(&memory).await;
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "no cover"));
    shop.once("Release", Answer::Says(Code::Unavailable, "closed"));
    let saga = post(&server, "/v1/sagas", &start("order-1")).await.ok();
    assert_eq!((&saga["status"], &saga["stuck"][0]["step"]), (&json!("SAGA_STATUS_STUCK"), &json!("reserve")));
    let stale = json!({ "reason": "opened again", "expectedRevision": 1 }).to_string();
    let moved = post(&server, "/v1/sagas/order-1:retry", &stale).await;
    assert_eq!(moved.refusal(), (409, 10, "REVISION_MOVED".to_owned(), String::new()));
    let now = json!({ "reason": "opened again", "expectedRevision": saga["revision"] }).to_string();
    post(&server, "/v1/sagas/order-1/steps/reserve:retry", &now).await.ok();
    let last = get(&server, "/v1/sagas/order-1:watch?afterSequence=1000000&wait=60s").await.ok();
    assert_eq!(last["saga"]["status"], "SAGA_STATUS_COMPENSATED");

    shop.always("Charge", Answer::Held);
    let held = start("order-2").replace("60s", "0s");
    post(&server, "/v1/sagas", &held).await.ok();
    // Reserve, charge and two releases of the first one, and now the second charge is under way.
    shop.has_calls(6).await;
    let paused = post(&server, "/v1/sagas/order-2:pause", r#"{"reason":"to look"}"#).await.ok();
    assert_eq!(paused["status"], "SAGA_STATUS_PAUSED");
    post(&server, "/v1/sagas/order-2:resume", r#"{"reason":"looked"}"#).await.ok();
    let cancelled =
        post(&server, "/v1/namespaces/default/sagas/order-2:cancel", r#"{"reason":"changed mind"}"#).await.ok();
    assert_eq!(cancelled["result"], "CANCEL_RESULT_COMPENSATING");
    let stopped = post(&server, "/v1/sagas/order-2:forceStop", r#"{"reason":"by hand"}"#).await.ok();
    assert_eq!(stopped["status"], "SAGA_STATUS_FORCE_STOPPED");
    shop.let_go();
    server.stop().await.unwrap();
}

async fn completed_later(memory: Memory) {
    let (server, shop) = set_up(&memory).await;
    shop.always("Charge", Answer::Pending);
    post(&server, "/v1/sagas", &start("order-1").replace("60s", "0s")).await.ok();
    shop.is_called("Charge").await;
    let path = "/v1/sagas/order-1/steps/charge:complete";
    let neither = post(&server, path, "{}").await;
    assert_eq!((neither.status, neither.refusal().3.as_str()), (400, "outcome"));
    let done = r#"{"succeeded": {"output": {"receipt": "late"}}}"#;
    // Accepted also where it beats the participant's own answer.
    assert_eq!(post(&server, path, done).await.ok()["result"], "COMPLETION_RESULT_APPLIED");
    assert_eq!(post(&server, path, done).await.ok()["result"], "COMPLETION_RESULT_REPEATED");
    let last = get(&server, "/v1/sagas/order-1:watch?afterSequence=1000000&wait=60s").await.ok();
    assert_eq!(last["saga"]["status"], "SAGA_STATUS_COMPLETED");
    assert_eq!(operation(&last["saga"], "charge", "OPERATION_ACTION")["output"], json!({ "receipt": "late" }));
    let otherwise = post(&server, path, r#"{"rejected": {"code": "DECLINED"}}"#).await;
    assert_eq!((otherwise.status, otherwise.refusal().2.as_str()), (400, "NOT_IN_THIS_STATE"));
    server.stop().await.unwrap();
}

async fn started_once(memory: Memory) {
    let (server, shop) = set_up(&memory).await;
    let nameless = start("order-1").replace(r#""sagaId": "order-1", "#, "");
    let mut ids = Vec::new();
    // A quoted key, as the draft of the header wants it, is the same key.
    for key in ["k-1", "\"k-1\"", "k-1", "k-2"] {
        let answer = ask(&server, "POST", "/v1/sagas", &[JSON, ("idempotency-key", key)], nameless.clone()).await.ok();
        ids.push(answer["id"].as_str().unwrap().to_owned());
    }
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    assert_eq!(shop.calls(), ["Reserve", "Charge", "Reserve", "Charge"]);
    let in_body = nameless.replacen('{', r#"{ "requestId": "k-1","#, 1);
    assert_eq!(post(&server, "/v1/sagas", &in_body).await.ok()["id"], ids[0]);

    for (body, key, status) in
        [(&in_body, "k-1", 200), (&in_body, "k-2", 400), (&start("o"), "k-1", 400), (&start("o"), "o", 200)]
    {
        let answer = ask(&server, "POST", "/v1/sagas", &[JSON, ("idempotency-key", key)], body.clone()).await;
        assert_eq!(answer.status, status, "{key}: {answer:?}");
        assert!(status == 200 || answer.refusal().3 == "Idempotency-Key", "{answer:?}");
    }
    let other = in_body.replace("9007199254740993", "1");
    assert_eq!(post(&server, "/v1/sagas", &other).await.refusal(), (409, 6, "SAGA_EXISTS".to_owned(), String::new()));
    server.stop().await.unwrap();
}
