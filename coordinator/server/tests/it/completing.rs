//! A step whose participant answers later, by CompleteStep.

use amends_proto::v1;
use amends_proto::v1::complete_step_request::Outcome;
use tonic::Code;

use crate::harness::{Memory, Server, checkout, json, on_both_stores, operation, refusal};
use crate::shop::{Answer, Shop};

on_both_stores! { completed_later rejected_later too_late }

fn complete(outcome: Outcome) -> v1::CompleteStepRequest {
    v1::CompleteStepRequest {
        saga_id: "order-1".to_owned(),
        step: "charge".to_owned(),
        outcome: Some(outcome),
        ..Default::default()
    }
}

fn succeeded(receipt: &str) -> v1::CompleteStepRequest {
    let output = json(&format!(r#"{{"receipt":"{receipt}"}}"#));
    complete(Outcome::Succeeded(v1::StepSucceeded { output }))
}

fn rejected() -> v1::CompleteStepRequest {
    complete(Outcome::Rejected(v1::StepRejected { code: "DECLINED".to_owned(), message: "no cover".to_owned() }))
}

/// A checkout whose charge is pending.
async fn pending(memory: &Memory) -> (Server, Shop) {
    let (mut server, shop) = Server::with_shop(memory).await;
    shop.always("Charge", Answer::Pending);
    server.sagas.start(checkout("order-1")).await.unwrap();
    let message = v1::WatchSagaRequest { saga_id: "order-1".to_owned(), ..Default::default() };
    let mut stream = server.sagas.watch(message).await.unwrap().into_inner();
    loop {
        let saga = stream.message().await.unwrap().unwrap().saga.unwrap();
        if operation(&saga, "charge", v1::Operation::Action).status() == v1::OperationStatus::Pending {
            assert_eq!(saga.waiting[0].reason(), v1::WaitingReason::Pending);
            return (server, shop);
        }
    }
}

async fn completed_later(memory: Memory) {
    let (mut server, _shop) = pending(&memory).await;
    let answer = server.sagas.complete_step(succeeded("c-1")).await.unwrap().into_inner();
    assert_eq!(answer.result(), v1::CompletionResult::Applied);
    let saga = answer.saga.unwrap();
    assert_eq!(saga.status(), v1::SagaStatus::Completed);
    assert_eq!(operation(&saga, "charge", v1::Operation::Action).output, json(r#"{"receipt":"c-1"}"#));
    // The saga has ended, and the same message is still welcome.
    let again = server.sagas.complete_step(succeeded("c-1")).await.unwrap().into_inner();
    assert_eq!(again.result(), v1::CompletionResult::Repeated);
    for other in [succeeded("c-2"), rejected()] {
        let status = server.sagas.complete_step(other).await.unwrap_err();
        assert_eq!(refusal(&status).0, Code::FailedPrecondition);
    }
    server.stop().await.unwrap();
}

async fn rejected_later(memory: Memory) {
    let (mut server, shop) = pending(&memory).await;
    let answer = server.sagas.complete_step(rejected()).await.unwrap().into_inner();
    assert_eq!(answer.result(), v1::CompletionResult::Applied);
    let decision = answer.saga.unwrap().decision.unwrap();
    assert_eq!((decision.cause(), decision.code.as_str()), (v1::DecisionCause::Rejected, "DECLINED"));
    assert_eq!(server.end_of("order-1").await.status(), v1::SagaStatus::Compensated);
    assert_eq!(shop.calls().last().unwrap(), "Release");
    let again = server.sagas.complete_step(rejected()).await.unwrap().into_inner();
    assert_eq!(again.result(), v1::CompletionResult::Repeated);
    server.stop().await.unwrap();
}

async fn too_late(memory: Memory) {
    let (mut server, shop) = pending(&memory).await;
    shop.always("Refund", Answer::Held);
    let cancel = v1::CancelSagaRequest {
        saga_id: "order-1".to_owned(),
        reason: "changed my mind".to_owned(),
        ..Default::default()
    };
    server.sagas.cancel(cancel).await.unwrap();
    let answer = server.sagas.complete_step(succeeded("c-1")).await.unwrap().into_inner();
    assert_eq!(answer.result(), v1::CompletionResult::Late);
    shop.let_go();
    assert_eq!(server.end_of("order-1").await.status(), v1::SagaStatus::Compensated);
    let not_begun = v1::CompleteStepRequest { operation: v1::Operation::Confirm.into(), ..succeeded("x") };
    assert_eq!(refusal(&server.sagas.complete_step(not_begun).await.unwrap_err()).0, Code::NotFound);
    server.stop().await.unwrap();
}
