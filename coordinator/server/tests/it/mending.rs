//! Acknowledge, repin and reconcile, and the words of why.

use amends_proto::v1;
use tonic::Code;

use crate::harness::{CHECKOUT, Memory, Server, checkout, on_both_stores, refusal};
use crate::shop::{Answer, Shop};

on_both_stores! { acknowledged repinned_after_an_expression_failed refused_where_it_would_forget reconciled }

const WHY: &str = "because the test says so";

/// Charges, then says so with the receipt's length as the amount, which is too much for an integer: it can't be made.
const BROKEN: &str = r#"
saga: checkout
timeout: 5m
steps:
  - step: reserve
    participant: shop
    action: { call: shop.v1.Shop/Reserve, request: { order_id: "${input.order_id}" } }
    compensate: { call: shop.v1.Shop/Release, retry: { max_attempts: 1 }, request: { order_id: "${input.order_id}" } }
  - step: charge
    participant: shop
    pivot: true
    action: { call: shop.v1.Shop/Charge, request: { order_id: "${input.order_id}", amount: "${input.amount}" } }
  - step: tell
    participant: shop
    action: { call: shop.v1.Shop/Refund, request: { order_id: "${input.order_id}", amount: "${input.amount / (input.amount - 120012001200)}" } }
"#;

async fn with(memory: &Memory, source: &str) -> (Server, Shop) {
    let (mut server, shop) = (Server::start(memory).await, Shop::open().await);
    server.put_shop(&shop.address).await;
    server.register(source).await;
    (server, shop)
}

fn repin(version: u32) -> v1::RepinSagaRequest {
    v1::RepinSagaRequest { saga_id: "order-1".to_owned(), version, reason: WHY.to_owned(), ..Default::default() }
}

async fn acknowledged(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "no"));
    shop.always("Release", Answer::Says(Code::Unavailable, "closed"));
    let stuck = server.run("order-1").await;
    assert!(stuck.why.starts_with("Stuck since 20") && stuck.why.contains("shop"), "{}", stuck.why);
    assert!(stuck.why.ends_with("; still standing: `reserve` at shop."), "{}", stuck.why);
    assert_eq!((stuck.held_up_at.as_str(), stuck.acknowledgement.is_none()), ("shop", true));
    let residue = &stuck.residue[0];
    assert_eq!(residue.idempotency_key, "default/order-1/reserve/action");
    let order = |at: &Option<pbjson_types::Timestamp>| at.as_ref().map(|at| (at.seconds, at.nanos));
    assert!(order(&residue.since) >= order(&stuck.create_time) && residue.since.is_some(), "{residue:?}");
    let message =
        v1::AcknowledgeSagaRequest { saga_id: "order-1".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    let saga = server.operations.acknowledge(message).await.unwrap().into_inner();
    let acknowledgement = saga.acknowledgement.clone().unwrap();
    assert_eq!((acknowledgement.note.as_str(), saga.revision), (WHY, stuck.revision + 1));
    let expected = v1::Saga {
        acknowledgement: saga.acknowledgement.clone(),
        revision: saga.revision,
        update_time: saga.update_time,
        ..stuck
    };
    assert_eq!(saga, expected, "it changes nothing else");
    let last = server.history("order-1").await.pop().unwrap();
    assert_eq!((last.kind(), last.reason.as_str()), (v1::HistoryKind::Acknowledged, WHY));
    // It outlives the server.
    server.stop().await.unwrap();
    let mut server = Server::start_when_free(&memory).await;
    assert_eq!(server.get("order-1").await.acknowledgement, saga.acknowledgement);
    let retry = v1::RetrySagaRequest { saga_id: "order-1".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    server.operations.retry(retry).await.unwrap();
    assert_eq!(server.get("order-1").await.acknowledgement, None, "it is stuck no more");
    server.stop().await.unwrap();
}

async fn repinned_after_an_expression_failed(memory: Memory) {
    let (mut server, shop) = with(&memory, BROKEN).await;
    let stuck = server.run("order-1").await;
    assert_eq!(stuck.stuck[0].reason(), v1::StuckReason::ExpressionFailed, "{}", stuck.why);
    assert!(stuck.why.contains("until somebody repins it to a mended version"), "{}", stuck.why);
    // A version that isn't there, and one that forgets the pivot.
    let refused = server.operations.repin(repin(9)).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "DEFINITION_NOT_FOUND");
    server.register(&BROKEN.replace("input.amount / (input.amount - 120012001200)", "input.amount")).await;
    let saga = server.operations.repin(repin(0)).await.unwrap().into_inner();
    assert_eq!(saga.version, 2);
    let ended = server.end_of("order-1").await;
    assert_eq!((ended.status(), ended.version), (v1::SagaStatus::Completed, 2));
    assert_eq!(shop.calls(), ["Reserve", "Charge", "Refund"], "nothing was called twice");
    let history = server.history("order-1").await;
    let moved = history.iter().find(|entry| entry.kind() == v1::HistoryKind::Repinned).unwrap();
    assert_eq!((moved.code.as_str(), moved.reason.as_str()), ("2", WHY));
    // Found where it is now, and after a restart too.
    let listed = v1::ListSagasRequest { definition: "checkout".to_owned(), ..Default::default() };
    assert_eq!(server.sagas.list(listed).await.unwrap().into_inner().sagas[0].version, 2);
    server.stop().await.unwrap();
    let mut server = Server::start_when_free(&memory).await;
    assert_eq!(server.get("order-1").await, ended);
    server.stop().await.unwrap();
}

async fn refused_where_it_would_forget(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Charge", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    shop.is_called("Charge").await;
    for (change, to, names) in [
        ("step: reserve", "step: hold", "step `reserve`, which has begun, isn't there"),
        ("Shop/Charge", "Shop/Reserve", "the action of step `charge` calls something else there"),
        (
            "compensate: { call: shop.v1.Shop/Refund, request: { order_id: \"${input.order_id}\" } }",
            "pivot: true",
            "the pivot there",
        ),
    ] {
        let version = server.register(&CHECKOUT.replace(change, to)).await.definition.unwrap().version;
        let before = server.get("order-1").await;
        let refused = server.operations.repin(repin(version)).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Code::FailedPrecondition);
        assert!(refused.message().contains(names), "{}", refused.message());
        assert_eq!(server.get("order-1").await, before);
    }
    // One that only gives more time is taken while the call is out, and its answer counts.
    let version = server.register(&CHECKOUT.replace("timeout: 5m", "timeout: 6m")).await.definition.unwrap().version;
    server.operations.repin(repin(version)).await.unwrap();
    shop.let_go();
    let ended = server.end_of("order-1").await;
    assert_eq!((ended.status(), ended.version), (v1::SagaStatus::Completed, version));
    assert_eq!(shop.calls(), ["Reserve", "Charge"]);
    server.stop().await.unwrap();
}

async fn reconciled(memory: Memory) {
    let source = CHECKOUT.replace(
        "    compensate: { call: shop.v1.Shop/Release,",
        "    query: { call: shop.v1.Shop/Look, request: { order_id: \"${input.order_id}\" } }\n    compensate: { call: shop.v1.Shop/Release,",
    );
    let (mut server, shop) = with(&memory, &source).await;
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "no"));
    shop.always("Release", Answer::Says(Code::Unavailable, "closed"));
    let stuck = server.run("order-1").await;
    let ask = || v1::ReconcileSagaRequest { saga_id: "order-1".to_owned(), ..Default::default() };
    for (said, answer, agrees) in [
        (Answer::Done, v1::ReconcileAnswer::Stands, true),
        (Answer::Says(Code::NotFound, "no such order"), v1::ReconcileAnswer::NotFound, false),
        (Answer::Says(Code::Internal, "broken"), v1::ReconcileAnswer::Unknown, false),
        (Answer::Pending, v1::ReconcileAnswer::Unknown, false),
    ] {
        shop.always("Look", said);
        let findings = server.operations.reconcile(ask()).await.unwrap().into_inner().findings;
        let found: Vec<_> =
            findings.iter().map(|it| (it.step.as_str(), it.recorded(), it.answer(), it.agrees)).collect();
        assert_eq!(
            found,
            [
                ("reserve", v1::Effect::Stands, answer, agrees),
                ("charge", v1::Effect::None, v1::ReconcileAnswer::CannotAsk, false)
            ]
        );
    }
    assert_eq!(server.get("order-1").await, stuck, "asking changes nothing, and is no attempt");
    let unknown = v1::ReconcileSagaRequest { saga_id: "none".to_owned(), ..Default::default() };
    assert_eq!(server.operations.reconcile(unknown).await.unwrap_err().code(), Code::NotFound);
    // It goes through what protects the participant.
    let pause = v1::PauseParticipantRequest { name: "shop".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    server.participants.pause(pause).await.unwrap();
    let calls = shop.calls().len();
    let findings = server.operations.reconcile(ask()).await.unwrap().into_inner().findings;
    assert_eq!(findings[0].answer(), v1::ReconcileAnswer::Unknown, "{findings:?}");
    assert!(findings[0].message.contains("isn't called for now"), "{findings:?}");
    assert_eq!(shop.calls().len(), calls);
    server.stop().await.unwrap();
}
