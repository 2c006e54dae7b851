//! Bad input gets a clear error and changes nothing.

use amends_proto::v1;
use tonic::Code;

use crate::harness::{CHECKOUT, Memory, Server, checkout, json, on_both_stores, refusal, seconds};
use crate::shop::{Answer, Shop};

on_both_stores! { bad_starts unknown_things oversized_payloads too_many_requests }

async fn bad_starts(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    let deep = format!(r#"{{"order_id":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    for (input, expected) in [
        (deep.as_str(), "input: the input is nested too deeply at line 1, column "),
        ("{oops", "input: the input is not JSON: line 1, column 2"),
        (r#"{"order_id":"o"}"#, "\"amount\" is missing"),
        (r#"{"order_id":"o","amount":"12"}"#, "input/amount"),
        (r#"{"order_id":"o","amount":1,"color":"red"}"#, "there is no field \"color\""),
        (r#"{"order_id":"o","amount":99999999999999999999}"#, "more than 64 bits"),
    ] {
        let status =
            server.sagas.start(v1::StartSagaRequest { input: json(input), ..checkout("o") }).await.unwrap_err();
        assert_eq!(
            refusal(&status),
            (Code::InvalidArgument, "INVALID".to_owned(), vec!["input".to_owned()]),
            "{input}"
        );
        assert!(status.message().contains(expected), "{input}: {}", status.message());
    }
    let without_id = v1::StartSagaRequest { saga_id: String::new(), ..checkout("o") };
    assert_eq!(refusal(&server.sagas.start(without_id).await.unwrap_err()).2, ["saga_id"]);
    let get = v1::GetSagaRequest { saga_id: "o".to_owned(), ..Default::default() };
    assert_eq!(refusal(&server.sagas.get(get).await.unwrap_err()).1, "SAGA_NOT_FOUND");
    assert!(shop.calls().is_empty());
    server.stop().await.unwrap();
}

async fn unknown_things(memory: Memory) {
    let (mut server, _shop) = Server::with_shop(&memory).await;
    let definition = v1::StartSagaRequest { definition: "refund".to_owned(), ..checkout("o") };
    assert_eq!(refusal(&server.sagas.start(definition).await.unwrap_err()).1, "DEFINITION_NOT_FOUND");
    let version = v1::StartSagaRequest { version: 7, ..checkout("o") };
    let status = server.sagas.start(version).await.unwrap_err();
    assert_eq!(refusal(&status).1, "DEFINITION_NOT_FOUND");
    assert!(status.message().contains("checkout version 7"), "{}", status.message());
    let elsewhere = v1::StartSagaRequest { namespace: "another".to_owned(), ..checkout("o") };
    assert_eq!(refusal(&server.sagas.start(elsewhere).await.unwrap_err()).1, "DEFINITION_NOT_FOUND");
    let cancel = v1::CancelSagaRequest { saga_id: "o".to_owned(), reason: "why".to_owned(), ..Default::default() };
    assert_eq!(refusal(&server.sagas.cancel(cancel).await.unwrap_err()).1, "SAGA_NOT_FOUND");
    server.stop().await.unwrap();
}

async fn oversized_payloads(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    let sized = |bytes: usize| {
        let order = "x".repeat(bytes);
        v1::StartSagaRequest { input: json(&format!(r#"{{"order_id":"{order}","amount":1}}"#)), ..checkout("o") }
    };
    let status = server.sagas.start(sized(256 * 1024)).await.unwrap_err();
    assert_eq!(refusal(&status).2, ["input"]);
    assert!(status.message().contains("at most 262144"), "{}", status.message());
    let status = server.sagas.start(sized(2 * 1024 * 1024)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(shop.calls().is_empty());
    server.stop().await.unwrap();
}

async fn too_many_requests(memory: Memory) {
    let mut config = memory.config();
    config.limits.requests = 1;
    let (mut server, shop) = (Server::start_with(&memory, config).await, Shop::open().await);
    server.put_shop(&shop.address).await;
    server.register(CHECKOUT).await;
    shop.always("Reserve", Answer::Held);
    let mut sagas = server.sagas.clone();
    let message = v1::StartSagaRequest { wait: seconds(60), ..checkout("order-1") };
    let waiting = tokio::spawn(async move { sagas.start(message).await });
    shop.is_called("Reserve").await;
    let get = v1::GetSagaRequest { saga_id: "order-1".to_owned(), ..Default::default() };
    let status = server.sagas.get(get).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    shop.let_go();
    assert_eq!(waiting.await.unwrap().unwrap().into_inner().status(), v1::SagaStatus::Completed);
    server.stop().await.unwrap();
}
