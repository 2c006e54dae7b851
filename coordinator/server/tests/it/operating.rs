//! Cancel, pause, resume, force-stop, skip and resolve.

use amends_proto::v1;
use amends_proto::v1::resolve_operation_request::Finding;
use tonic::Code;

use crate::harness::{Memory, Server, checkout, json, on_both_stores, operation, refusal};
use crate::shop::{Answer, Shop};

on_both_stores! { cancelled paused_and_resumed force_stopped skipped resolved }

const WHY: &str = "because the test says so";

fn cancel() -> v1::CancelSagaRequest {
    v1::CancelSagaRequest { saga_id: "order-1".to_owned(), reason: WHY.to_owned(), ..Default::default() }
}

/// A checkout that waits for the answer to its charge.
async fn charging(memory: &Memory) -> (Server, Shop) {
    let (mut server, shop) = Server::with_shop(memory).await;
    shop.always("Charge", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    shop.is_called("Charge").await;
    (server, shop)
}

/// A checkout whose reservation can't be released.
async fn stuck(memory: &Memory) -> (Server, Shop) {
    let (mut server, shop) = Server::with_shop(memory).await;
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "no"));
    shop.always("Release", Answer::Says(Code::Unavailable, "closed"));
    assert_eq!(server.run("order-1").await.status(), v1::SagaStatus::Stuck);
    (server, shop)
}

async fn cancelled(memory: Memory) {
    let (mut server, shop) = charging(&memory).await;
    let stale = v1::CancelSagaRequest { expected_revision: 99, ..cancel() };
    assert_eq!(refusal(&server.sagas.cancel(stale).await.unwrap_err()).0, Code::Aborted);
    let answer = server.sagas.cancel(cancel()).await.unwrap().into_inner();
    assert_eq!(answer.result(), v1::CancelResult::Compensating);
    let decision = answer.saga.unwrap().decision.unwrap();
    assert_eq!((decision.cause(), decision.reason.as_str()), (v1::DecisionCause::Cancelled, WHY));
    let again = server.sagas.cancel(cancel()).await.unwrap().into_inner();
    assert_eq!(again.result(), v1::CancelResult::Compensating);
    shop.let_go();
    assert_eq!(server.end_of("order-1").await.status(), v1::SagaStatus::Compensated);
    assert_eq!(shop.calls(), ["Reserve", "Charge", "Refund", "Release"]);
    let after_the_end = server.sagas.cancel(cancel()).await.unwrap().into_inner();
    assert_eq!(after_the_end.result(), v1::CancelResult::Compensating);

    shop.always("Charge", Answer::Done);
    server.run("order-2").await;
    let status =
        server.sagas.cancel(v1::CancelSagaRequest { saga_id: "order-2".to_owned(), ..cancel() }).await.unwrap_err();
    assert_eq!(refusal(&status).0, Code::FailedPrecondition);
    assert!(status.message().ends_with("the saga is completed"), "{}", status.message());
    server.stop().await.unwrap();
}

async fn paused_and_resumed(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Reserve", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    shop.is_called("Reserve").await;
    let pause = v1::PauseSagaRequest { saga_id: "order-1".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    let paused = server.operations.pause(pause.clone()).await.unwrap().into_inner();
    assert_eq!((paused.status(), paused.phase()), (v1::SagaStatus::Paused, v1::SagaPhase::Running));
    assert_eq!((paused.waiting[0].reason(), paused.waiting[0].message.as_str()), (v1::WaitingReason::Paused, WHY));
    let again = server.operations.pause(pause).await.unwrap().into_inner();
    assert_eq!(again.revision, paused.revision);
    shop.let_go();
    let resume = v1::ResumeSagaRequest { saga_id: "order-1".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    server.operations.resume(resume).await.unwrap();
    assert_eq!(server.end_of("order-1").await.status(), v1::SagaStatus::Completed);
    server.stop().await.unwrap();
}

async fn force_stopped(memory: Memory) {
    let (mut server, _shop) = stuck(&memory).await;
    let stop = v1::ForceStopSagaRequest { saga_id: "order-1".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    let saga = server.operations.force_stop(stop.clone()).await.unwrap().into_inner();
    assert_eq!((saga.status(), saga.phase()), (v1::SagaStatus::ForceStopped, v1::SagaPhase::Compensating));
    assert_eq!((saga.residue[0].step.as_str(), saga.residue[0].effect()), ("reserve", v1::Effect::Stands));
    assert_eq!(server.operations.force_stop(stop).await.unwrap().into_inner(), saga);
    server.stop().await.unwrap();
}

async fn skipped(memory: Memory) {
    let (mut server, _shop) = stuck(&memory).await;
    let skip = v1::SkipOperationRequest {
        saga_id: "order-1".to_owned(),
        step: "reserve".to_owned(),
        reason: WHY.to_owned(),
        ..Default::default()
    };
    let no_step = v1::SkipOperationRequest { step: "none".to_owned(), ..skip.clone() };
    assert_eq!(refusal(&server.operations.skip(no_step).await.unwrap_err()).1, "STEP_NOT_FOUND");
    let no_reason = v1::SkipOperationRequest { reason: String::new(), ..skip.clone() };
    assert_eq!(refusal(&server.operations.skip(no_reason).await.unwrap_err()).2, ["reason"]);
    let saga = server.operations.skip(skip).await.unwrap().into_inner();
    assert_eq!(saga.status(), v1::SagaStatus::Compensated);
    assert_eq!(saga.residue[0].message, "an operator skipped its compensation");
    server.stop().await.unwrap();
}

async fn resolved(memory: Memory) {
    let (mut server, _shop) = stuck(&memory).await;
    let resolve = |finding| v1::ResolveOperationRequest {
        saga_id: "order-1".to_owned(),
        step: "reserve".to_owned(),
        reason: WHY.to_owned(),
        finding,
        ..Default::default()
    };
    assert_eq!(refusal(&server.operations.resolve(resolve(None)).await.unwrap_err()).2, ["finding"]);
    let happened = Finding::Happened(v1::Happened { output: json(r#"{"receipt":"by phone"}"#) });
    let saga = server.operations.resolve(resolve(Some(happened))).await.unwrap().into_inner();
    assert_eq!(saga.status(), v1::SagaStatus::Compensated);
    let release = operation(&saga, "reserve", v1::Operation::Compensate);
    assert_eq!(release.output, json(r#"{"receipt":"by phone"}"#));
    server.stop().await.unwrap();
}
