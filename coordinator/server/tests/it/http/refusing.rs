//! What is refused over HTTP, and how that is said.

use super::client::{JSON, ask, get, post};
use crate::harness::{Memory, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_and_methods() {
    let server = Server::start(&Memory::in_memory()).await;
    for (path, nearest) in [
        ("/v1/saga", "the nearest is GET /v1/sagas;"),
        ("/v1/sagas/o-1/histroy", "the nearest is GET /v1/sagas/{sagaId}/history;"),
        ("/v1/sagas/o-1:wach", "the nearest is GET /v1/sagas/{sagaId}:watch;"),
        ("/v1/sagas/o-1/watch", "the nearest is GET /v1/sagas/{sagaId}:watch;"),
        ("/v1", "the nearest is GET /v1/webhooks;"),
    ] {
        let answer = get(&server, path).await;
        assert_eq!(answer.refusal(), (404, 5, "NO_SUCH_PATH".to_owned(), String::new()), "{path}");
        assert!(answer.text.contains(nearest), "{}", answer.text);
    }
    for (verb, path, allow) in [("DELETE", "/v1/sagas", "POST, GET"), ("GET", "/v1/sagas/o-1:cancel", "POST")] {
        let answer = ask(&server, verb, path, &[], "").await;
        assert_eq!((answer.refusal().0, answer.header("allow")), (405, allow), "{path}");
    }
    let wrong_verb = ask(&server, "GET", "/v1/sagas/o-1:cancel", &[], "").await;
    assert!(wrong_verb.text.contains("/v1/sagas/o-1:cancel is for POST, not for GET\""), "{}", wrong_verb.text);
    let escaped = post(&server, "/v1/sagas/o-1%3Acancel", "{}").await;
    assert!(escaped.refusal().0 == 405 && escaped.text.contains("not as %3A"), "{}", escaped.text);
    assert_eq!(ask(&server, "HEAD", "/v1/sagas", &[], "").await.status, 200);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_and_parameters() {
    let server = Server::start(&Memory::in_memory()).await;
    for (path, body, field, message) in [
        (
            "/v1/sagas",
            "{\"definition\": \"d\",\n \"inputs\": {}}",
            "inputs",
            "line 2, column 2: inputs: there is no such field; did you mean",
        ),
        ("/v1/sagas", "{\"labels\":\n {\"a\": }}", "labels.a", "line 2, column 8: labels.a: this is not JSON"),
        ("/v1/sagas", "", "", "the body is empty; a JSON object is expected"),
        ("/v1/sagas", "{\"definition\":\"d\"}", "saga_id", "saga_id: "),
        ("/v1/sagas?definition=d", "{}", "definition", "not in the query"),
        ("/v1/sagas/o-1:cancel", "{\"sagaId\":\"o-2\",\"reason\":\"r\"}", "sagaId", "the path says otherwise"),
        ("/v1/sagas/o-1:cancel", "{}", "reason", "reason: it is empty; say why"),
        ("/v1/sagas/o%FF:cancel", "{\"reason\":\"r\"}", "saga_id", "saga_id: "),
        (
            "/v1/sagas/o-1/steps/s:skip",
            "{\"reason\":\"r\",\"operation\":\"UNDO\"}",
            "operation",
            "use one of OPERATION_ACTION, ",
        ),
    ] {
        let answer = post(&server, path, body).await;
        assert_eq!(answer.refusal(), (400, 3, "INVALID".to_owned(), field.to_owned()), "{path} {body}: {answer:?}");
        assert!(answer.json()["message"].as_str().unwrap().contains(message), "{path} {body}: {answer:?}");
    }
    for (path, field) in [
        ("/v1/sagas?pagesize=3", "pagesize"),
        ("/v1/sagas?pageSize=many", "pageSize"),
        ("/v1/sagas?pageSize=1&page_size=2", "page_size"),
        ("/v1/sagas?statuses=STUCK", "statuses"),
        ("/v1/sagas?labels=x", "labels"),
        ("/v1/sagas?labels.a=x&labels[a]=y", "labels[a]"),
        ("/v1/sagas?definition.name=x", "definition.name"),
        ("/v1/sagas?wait=1s", "wait"),
        ("/v1/sagas/o-1:watch?wait=1s&wait=2s", "wait"),
        ("/v1/definitions/d/versions/new", "version"),
    ] {
        assert_eq!(get(&server, path).await.refusal(), (400, 3, "INVALID".to_owned(), field.to_owned()), "{path}");
    }
    let near = get(&server, "/v1/sagas?status=x").await;
    assert!(near.text.contains(r#"did you mean \"statuses\"?"#), "{}", near.text);
    let body_on_get = ask(&server, "GET", "/v1/sagas", &[], "{}").await;
    assert!(body_on_get.text.contains("takes no body"), "{body_on_get:?}");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_web_page_could_send() {
    let server = Server::start(&Memory::in_memory()).await;
    let own = format!("http://{}", server.http);
    let cancel = r#"{"reason":"r"}"#;
    for (headers, status, reason) in [
        (vec![], 415, "UNSUPPORTED_MEDIA_TYPE"),
        (vec![("content-type", "text/plain")], 415, "UNSUPPORTED_MEDIA_TYPE"),
        (vec![("content-type", "application/x-www-form-urlencoded")], 415, "UNSUPPORTED_MEDIA_TYPE"),
        (vec![JSON, ("origin", "http://shop.example")], 403, "CROSS_SITE"),
        (vec![JSON, ("origin", "http://localhost:3000")], 403, "CROSS_SITE"),
        (vec![JSON, ("origin", "null")], 403, "CROSS_SITE"),
        (vec![JSON, ("sec-fetch-site", "cross-site")], 403, "CROSS_SITE"),
        (vec![("content-type", "application/json; charset=utf-8"), ("origin", own.as_str())], 404, "SAGA_NOT_FOUND"),
    ] {
        let answer = ask(&server, "POST", "/v1/sagas/o-1:cancel", &headers, cancel).await;
        assert_eq!((answer.refusal().0, answer.refusal().2.as_str()), (status, reason), "{headers:?}");
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let preflight = [("origin", "http://shop.example"), ("access-control-request-method", "POST")];
    assert_eq!(ask(&server, "OPTIONS", "/v1/sagas", &preflight, "").await.status, 403);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large() {
    let memory = Memory::in_memory();
    let mut config = memory.config();
    (config.limits.message_bytes, config.limits.input_bytes) = (4096, 2048);
    let server = Server::start_with(&memory, config).await;
    let start = |length: usize| format!(r#"{{"sagaId":"o","definition":"d","input":"{}"}}"#, "x".repeat(length));
    for (length, status) in [(1000, 404), (5000, 413), (20_000, 413)] {
        assert_eq!(post(&server, "/v1/sagas", &start(length)).await.status, status, "{length}");
    }
    let long = format!("/v1/sagas?definition={}", "x".repeat(17 * 1024));
    assert_eq!(get(&server, &long).await.refusal().0, 414);
    let long = "x".repeat(17 * 1024);
    assert_eq!(ask(&server, "GET", "/v1/sagas", &[("x-long", &long)], "").await.refusal().0, 431);
    // A registration has another limit, over HTTP as over gRPC.
    let definition = format!(r#"{{"source":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(post(&server, "/v1/definitions", &definition).await.refusal().0, 400);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much() {
    let memory = Memory::in_memory();
    let mut config = memory.config();
    config.limits.requests = 1;
    let (server, shop) = (Server::start_with(&memory, config).await, crate::shop::Shop::open().await);
    shop.always("Reserve", crate::shop::Answer::Held);
    let participant = format!(r#"{{"endpoints":["{}"]}}"#, shop.address);
    ask(&server, "PUT", "/v1/participants/shop", &[JSON], participant).await.ok();
    let source = serde_json::json!({ "source": crate::harness::CHECKOUT }).to_string();
    post(&server, "/v1/definitions", &source).await.ok();
    let start = r#"{"sagaId":"o","definition":"checkout","wait":"60s","input":{"order_id":"o","amount":1}}"#;
    // It takes the one place over gRPC that there is, and HTTP finds it taken.
    let mut sagas = server.sagas.clone();
    let message =
        amends_proto::v1::StartSagaRequest { wait: crate::harness::seconds(60), ..crate::harness::checkout("o") };
    let waiting = tokio::spawn(async move { sagas.start(message).await });
    shop.is_called("Reserve").await;
    let crowded = post(&server, "/v1/sagas", start).await;
    assert_eq!(crowded.refusal(), (429, 8, "OVERLOADED".to_owned(), String::new()));
    assert_eq!(crowded.header("retry-after"), "1");
    shop.let_go();
    waiting.await.unwrap().unwrap();
    server.stop().await.unwrap();
}
