//! Paused definitions and participants: what waits, what goes on, and that neither is forgotten.

use std::time::Duration;

use amends_proto::v1;
use tonic::Code;

use crate::harness::{CHECKOUT, Memory, Server, checkout, on_both_stores, refusal, seconds};
use crate::shop::{Answer, Shop};

on_both_stores! { a_definition_is_held_and_goes_on a_hold_outlives_the_server a_participant_is_paused_and_resumed }

const WHY: &str = "because the test says so";

fn pause() -> v1::PauseDefinitionRequest {
    v1::PauseDefinitionRequest { name: "checkout".to_owned(), reason: WHY.to_owned(), ..Default::default() }
}

fn resume() -> v1::ResumeDefinitionRequest {
    v1::ResumeDefinitionRequest { name: "checkout".to_owned(), reason: WHY.to_owned(), ..Default::default() }
}

async fn a_definition_is_held_and_goes_on(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Reserve", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    shop.is_called("Reserve").await;
    let unreasoned = v1::PauseDefinitionRequest { reason: String::new(), ..pause() };
    assert_eq!(refusal(&server.definitions.pause(unreasoned).await.unwrap_err()).2, ["reason"]);
    let unknown = v1::PauseDefinitionRequest { name: "none".to_owned(), ..pause() };
    assert_eq!(refusal(&server.definitions.pause(unknown).await.unwrap_err()).1, "DEFINITION_NOT_FOUND");
    let paused = server.definitions.pause(pause()).await.unwrap().into_inner().paused.unwrap();
    assert_eq!(paused.reason, WHY);
    let again = v1::PauseDefinitionRequest { reason: "another".to_owned(), ..pause() };
    assert_eq!(server.definitions.pause(again).await.unwrap().into_inner().paused, Some(paused.clone()));

    // The answer that is out is recorded, and nothing follows it.
    shop.let_go();
    let saga = loop {
        let saga = server.get("order-1").await;
        if saga.steps[0].effect() == v1::Effect::Stands {
            break saga;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((saga.status(), saga.waiting[0].reason()), (v1::SagaStatus::Running, v1::WaitingReason::Paused));
    assert!(saga.waiting[0].message.contains(WHY) && saga.waiting[0].step.is_empty(), "{saga:?}");
    assert!(saga.why.starts_with("Definition checkout is paused since"), "{}", saga.why);
    // A new one is taken, and waits.
    let waits = v1::StartSagaRequest { wait: seconds(0), ..checkout("order-2") };
    let taken = server.sagas.start(waits).await.unwrap().into_inner();
    assert_eq!(taken.steps[0].operations[0].attempts, 0, "it isn't begun");
    // What is asked of one all the same is carried out, and its compensations wait too.
    let cancel = v1::CancelSagaRequest { saga_id: "order-1".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    server.sagas.cancel(cancel).await.unwrap();
    let saga = server.get("order-1").await;
    assert_eq!((saga.status(), saga.waiting[0].reason()), (v1::SagaStatus::Compensating, v1::WaitingReason::Paused));
    assert_eq!(shop.calls(), ["Reserve"]);

    assert_eq!(server.definitions.resume(resume()).await.unwrap().into_inner().paused, None);
    assert_eq!(server.definitions.resume(resume()).await.unwrap().into_inner().paused, None, "a repeat is safe");
    assert_eq!(server.end_of("order-1").await.status(), v1::SagaStatus::Compensated);
    assert_eq!(server.end_of("order-2").await.status(), v1::SagaStatus::Completed);
    server.stop().await.unwrap();
}

async fn a_hold_outlives_the_server(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    server.definitions.pause(pause()).await.unwrap();
    server.sagas.start(checkout("order-1")).await.unwrap();
    server.stop().await.unwrap();
    let mut server = Server::start_when_free(&memory).await;
    // Taken after the restart: whatever was to be begun before it would have been by the time that this one is answered.
    let started = v1::StartSagaRequest { wait: seconds(1), ..checkout("order-2") };
    let saga = server.sagas.start(started).await.unwrap().into_inner();
    assert_eq!(saga.waiting[0].reason(), v1::WaitingReason::Paused, "{saga:?}");
    assert_eq!(shop.calls(), [""; 0], "the hold was forgotten");
    server.definitions.resume(resume()).await.unwrap();
    for id in ["order-1", "order-2"] {
        assert_eq!(server.end_of(id).await.status(), v1::SagaStatus::Completed);
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_holds_and_lets_go() {
    let memory = Memory::in_memory_of(8);
    let mut servers = Vec::new();
    for name in ["node-a", "node-b"] {
        let mut config = memory.config();
        (config.node, config.sagas.lease) = (name.to_owned(), Duration::from_secs(1));
        servers.push(Server::start_shared(&memory, config).await);
    }
    let shop = Shop::open().await;
    servers[0].put_shop(&shop.address).await;
    servers[0].register(CHECKOUT).await;
    servers[0].definitions.pause(pause()).await.unwrap();
    // The other node shows it as soon as it knows.
    let get = || v1::GetDefinitionRequest { name: "checkout".to_owned(), ..Default::default() };
    while servers[1].definitions.get(get()).await.unwrap().into_inner().paused.is_none() {
        tokio::task::yield_now().await;
    }
    for number in 0..16 {
        servers[number % 2].sagas.start(checkout(&format!("order-{number}"))).await.unwrap();
    }
    // One node goes away; the other takes over what waits, and holds it.
    let gone = servers.remove(0);
    gone.kill().await;
    let started = v1::StartSagaRequest { wait: seconds(3), ..checkout("order-after") };
    while servers[0].sagas.start(started.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(shop.calls(), [""; 0], "a hold was forgotten at a take-over");
    servers[0].definitions.resume(resume()).await.unwrap();
    for number in 0..16 {
        let saga = servers[0].end_of_surely(&format!("order-{number}")).await;
        assert_eq!(saga.status(), v1::SagaStatus::Completed);
    }
    servers.remove(0).stop().await.unwrap();
}

async fn a_participant_is_paused_and_resumed(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    let limits = v1::SetLimitsRequest {
        name: "shop".to_owned(),
        limits: Some(v1::Limits { concurrency: 7, rate_per_second: 50.0, ..Default::default() }),
        reason: WHY.to_owned(),
        expected_revision: 0,
        ..Default::default()
    };
    let before = server.participants.set_limits(limits).await.unwrap().into_inner();
    let pause =
        || v1::PauseParticipantRequest { name: "shop".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    let moved = v1::PauseParticipantRequest { expected_revision: before.revision + 1, ..pause() };
    assert_eq!(server.participants.pause(moved).await.unwrap_err().code(), Code::Aborted);
    let unknown = v1::PauseParticipantRequest { name: "none".to_owned(), ..pause() };
    assert_eq!(server.participants.pause(unknown).await.unwrap_err().code(), Code::NotFound);
    let paused = server.participants.pause(pause()).await.unwrap().into_inner();
    let expected = v1::Limits { breaker: v1::BreakerMode::Held.into(), ..before.limits.unwrap() };
    assert_eq!(paused.limits, Some(expected), "all else stays");
    assert_eq!(paused.limits_change.clone().unwrap().reason, WHY);
    assert_eq!(server.participants.pause(pause()).await.unwrap().into_inner().revision, paused.revision, "a repeat");

    let waits = v1::StartSagaRequest { wait: seconds(0), ..checkout("order-1") };
    server.sagas.start(waits).await.unwrap();
    let saga = loop {
        let saga = server.get("order-1").await;
        if !saga.waiting.is_empty() {
            break saga;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(saga.waiting[0].reason(), v1::WaitingReason::BreakerOpen);
    assert!(saga.why.contains("participant shop is paused since") && saga.why.contains(WHY), "{}", saga.why);
    assert_eq!(shop.calls(), [""; 0]);

    let resume = v1::ResumeParticipantRequest { name: "shop".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    let resumed = server.participants.resume(resume).await.unwrap().into_inner();
    assert_eq!(resumed.limits.unwrap().breaker(), v1::BreakerMode::Auto);
    assert_eq!(server.end_of("order-1").await.status(), v1::SagaStatus::Completed);
    server.stop().await.unwrap();
}
