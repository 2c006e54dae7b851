//! From start to end: completed, compensated, stuck and repaired; and that a start happens once.

use amends_proto::v1;
use tonic::{Code, Request};

use crate::harness::{AMOUNT, CHECKOUT, Memory, Server, checkout, json, on_both_stores, operation, refusal, seconds};
use crate::shop::Answer;

on_both_stores! { completed compensated stuck_and_retried started_once started_by_request_id }

async fn completed(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    let mut request = Request::new(v1::StartSagaRequest {
        wait: seconds(60),
        labels: [("channel".to_owned(), "web".to_owned()), ("order".to_owned(), "mine".to_owned())].into(),
        ..checkout("order-1")
    });
    request.metadata_mut().insert("amends-principal", "shop-frontend".parse().unwrap());
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    let saga = server.sagas.start(request).await.unwrap().into_inner();

    assert_eq!((saga.status(), saga.definition.as_str(), saga.version), (v1::SagaStatus::Completed, "checkout", 1));
    assert_eq!((saga.namespace.as_str(), saga.id.as_str()), ("default", "order-1"));
    assert_eq!(
        (saga.principal.as_str(), saga.trace_id.as_str()),
        ("shop-frontend", "4bf92f3577b34da6a3ce929d0e0e4736")
    );
    // The definition's labels win.
    assert_eq!((saga.labels["channel"].as_str(), saga.labels["order"].as_str()), ("web", "order-1"));
    assert_eq!(saga.input, json(&format!(r#"{{"order_id":"order-1","amount":{AMOUNT}}}"#)));
    assert!(saga.end_time.is_some() && saga.residue.is_empty() && saga.decision.is_none());
    let charge = operation(&saga, "charge", v1::Operation::Action);
    assert_eq!((charge.status(), charge.attempts), (v1::OperationStatus::Succeeded, 1));
    assert_eq!(charge.output, json(r#"{"receipt":"charge-receipt"}"#));
    assert_eq!(shop.calls(), ["Reserve", "Charge"]);
    assert_eq!(server.get("order-1").await, saga);

    let history = server.history("order-1").await;
    let kinds: Vec<_> = history.iter().map(v1::HistoryEntry::kind).collect();
    use v1::HistoryKind::{AttemptEnded, Completed, Started};
    assert_eq!(kinds, [Started, AttemptEnded, AttemptEnded, Completed]);
    assert_eq!(history.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // The last answer and the end are one commit.
    assert_eq!(history.iter().map(|entry| entry.revision).collect::<Vec<_>>(), [1, 2, 3, 3]);
    assert_eq!(saga.revision, 3);
    assert_eq!((history[1].step.as_str(), history[1].endpoint.as_str()), ("reserve", shop.address.as_str()));
    assert_eq!((history[1].node.as_str(), history[1].trace_id.as_str()), ("amends", saga.trace_id.as_str()));
    server.stop().await.unwrap();
}

async fn compensated(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "insufficient funds"));
    let saga = server.run("order-1").await;
    assert_eq!((saga.status(), saga.phase()), (v1::SagaStatus::Compensated, v1::SagaPhase::Compensating));
    let decision = saga.decision.clone().unwrap();
    assert_eq!((decision.cause(), decision.step.as_str()), (v1::DecisionCause::Rejected, "charge"));
    assert_eq!((decision.code.as_str(), decision.message.as_str()), ("FAILED_PRECONDITION", "insufficient funds"));
    let effects: Vec<_> = saga.steps.iter().map(v1::Step::effect).collect();
    assert_eq!(effects, [v1::Effect::Undone, v1::Effect::None]);
    assert_eq!(shop.calls(), ["Reserve", "Charge", "Release"]);
    server.stop().await.unwrap();
}

async fn stuck_and_retried(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "no"));
    shop.once("Release", Answer::Says(Code::Unavailable, "closed for lunch"));
    let saga = server.run("order-1").await;
    assert_eq!(saga.status(), v1::SagaStatus::Stuck);
    let stuck = &saga.stuck[0];
    assert_eq!((stuck.reason(), stuck.step.as_str()), (v1::StuckReason::RetriesExhausted, "reserve"));
    assert_eq!((stuck.operation(), stuck.code.as_str()), (v1::Operation::Compensate, "UNAVAILABLE"));
    assert_eq!((saga.residue[0].step.as_str(), saga.residue[0].effect()), ("reserve", v1::Effect::Stands));
    assert_eq!(saga.residue[0].output, json(r#"{"receipt":"reserve-receipt"}"#));

    let retry = v1::RetrySagaRequest {
        saga_id: "order-1".to_owned(),
        reason: "the shop is open again".to_owned(),
        expected_revision: saga.revision,
        ..Default::default()
    };
    let retried = server.operations.retry(retry.clone()).await.unwrap().into_inner();
    assert!(retried.revision > saga.revision && retried.stuck.is_empty());
    assert_eq!(server.end_of("order-1").await.status(), v1::SagaStatus::Compensated);
    let history = server.history("order-1").await;
    let entry = history.iter().find(|entry| entry.kind() == v1::HistoryKind::Retried).unwrap();
    assert_eq!((entry.reason.as_str(), entry.principal.as_str()), ("the shop is open again", "anonymous@127.0.0.1"));

    let again = v1::RetrySagaRequest { expected_revision: 0, ..retry.clone() };
    let status = server.operations.retry(again).await.unwrap_err();
    assert_eq!(refusal(&status).0, Code::FailedPrecondition);
    assert!(status.message().ends_with("the saga is compensated"), "{}", status.message());
    assert_eq!(refusal(&server.operations.retry(retry).await.unwrap_err()).1, "REVISION_MOVED");
    server.stop().await.unwrap();
}

async fn started_once(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    let first = server.run("order-1").await;
    let again = server.run("order-1").await;
    assert_eq!(first, again);
    assert_eq!(shop.calls(), ["Reserve", "Charge"]);
    let other = v1::StartSagaRequest { input: json(r#"{"order_id":"order-1","amount":1201}"#), ..checkout("order-1") };
    let status = server.sagas.start(other).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::AlreadyExists, "SAGA_EXISTS".to_owned(), vec![]));
    assert!(status.message().contains("another input"), "{}", status.message());
    // A newer version doesn't make it another saga: it stays on the one that it began with.
    server.register(&CHECKOUT.replace("timeout: 5m", "timeout: 6m")).await;
    let pinned = server.run("order-1").await;
    assert_eq!(pinned.version, 1);
    assert_eq!(server.run("order-2").await.version, 2);
    // Nor does one that asks for more than the saga was started with.
    server.register(&CHECKOUT.replace("required: [order_id", "required: [coupon, order_id")).await;
    assert_eq!(server.run("order-1").await, pinned);
    let refused = server.sagas.start(checkout("order-3")).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Code::InvalidArgument);
    server.stop().await.unwrap();
}

async fn started_by_request_id(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    let message = v1::StartSagaRequest {
        saga_id: String::new(),
        request_id: "1f0c".to_owned(),
        input: json(r#"{"order_id":"o","amount":1}"#),
        wait: seconds(60),
        ..checkout("")
    };
    let first = server.sagas.start(message.clone()).await.unwrap().into_inner();
    let again = server.sagas.start(message).await.unwrap().into_inner();
    assert_eq!((first.id.len(), &first.id), (36, &again.id));
    assert_eq!(shop.calls(), ["Reserve", "Charge"]);
    server.stop().await.unwrap();
}
