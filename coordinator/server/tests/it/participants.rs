//! Registering participants.

use amends_proto::v1;
use tonic::Code;

use crate::harness::{CHECKOUT, Memory, Server, checkout, on_both_stores, refusal};
use crate::shop::{Answer, Shop, descriptor_set, descriptor_set_in};

on_both_stores! { put_and_shown limits_are_set_with_a_reason_and_kept calls_are_held_and_let_go badly_put known_after_a_restart known_to_every_tenants_sagas moved }

fn put(name: &str, endpoint: &str) -> v1::PutParticipantRequest {
    let participant = v1::Participant {
        name: name.to_owned(),
        endpoints: vec![endpoint.to_owned()],
        refusals_final: true,
        codes: [("ABORTED".to_owned(), v1::CodeMeaning::Rejected.into())].into(),
        descriptor_set: descriptor_set().into(),
        ..Default::default()
    };
    v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 }
}

async fn put_and_shown(memory: Memory) {
    let mut server = Server::start(&memory).await;
    let first = server.participants.put(put("shop", "http://127.0.0.1:1")).await.unwrap().into_inner();
    assert_eq!((first.revision, first.principal.as_str()), (1, "anonymous@127.0.0.1"));
    let moved = v1::PutParticipantRequest { expected_revision: 1, ..put("shop", "http://127.0.0.1:2") };
    let second = server.participants.put(moved.clone()).await.unwrap().into_inner();
    assert_eq!((second.revision, second.endpoints.as_slice()), (2, &["http://127.0.0.1:2".to_owned()][..]));
    let status = server.participants.put(moved).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::Aborted, "REVISION_MOVED".to_owned(), vec![]));

    let get = v1::GetParticipantRequest { name: "shop".to_owned(), ..Default::default() };
    assert_eq!(server.participants.get(get.clone()).await.unwrap().into_inner(), second);
    assert!(second.refusals_final && !second.descriptor_set.is_empty());
    assert_eq!(second.codes["ABORTED"], i32::from(v1::CodeMeaning::Rejected));
    let gone = v1::GetParticipantRequest { name: "bank".to_owned(), ..get };
    assert_eq!(refusal(&server.participants.get(gone).await.unwrap_err()).1, "PARTICIPANT_NOT_FOUND");
    server.participants.put(put("bank", "http://127.0.0.1:3")).await.unwrap();
    let list = server.participants.list(v1::ListParticipantsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.participants.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["bank", "shop"]);
    assert!(list.participants.iter().all(|it| it.descriptor_set.is_empty()));
    server.stop().await.unwrap();
}

fn set(name: &str, limits: v1::Limits, reason: &str) -> v1::SetLimitsRequest {
    v1::SetLimitsRequest {
        name: name.to_owned(),
        limits: Some(limits),
        reason: reason.to_owned(),
        ..Default::default()
    }
}

async fn limits_are_set_with_a_reason_and_kept(memory: Memory) {
    let mut server = Server::start(&memory).await;
    let before = server.participants.put(put("shop", "http://127.0.0.1:1")).await.unwrap().into_inner();
    assert_eq!(before.limits_change, None);
    assert_eq!(before.limits.map(|it| (it.concurrency, it.reserved_percent)), Some((256, 20)));
    let limits = v1::Limits { concurrency: 8, rate_per_second: 2.5, ..Default::default() };
    let status = server.participants.set_limits(set("shop", limits, "")).await.unwrap_err();
    assert_eq!(refusal(&status).2, ["reason"]);
    let status = server.participants.set_limits(set("bank", limits, "slow")).await.unwrap_err();
    assert_eq!(refusal(&status).1, "PARTICIPANT_NOT_FOUND");
    let wrong = v1::Limits { reserved_percent: 95, ..limits };
    let status = server.participants.set_limits(set("shop", wrong, "slow")).await.unwrap_err();
    assert_eq!(refusal(&status).2, ["limits.reserved_percent"]);

    let changed = server.participants.set_limits(set("shop", limits, "slow")).await.unwrap().into_inner();
    let change = changed.limits_change.clone().unwrap();
    assert_eq!((change.principal.as_str(), change.reason.as_str()), ("anonymous@127.0.0.1", "slow"));
    assert_eq!((changed.revision, changed.endpoints.len()), (2, 1), "nothing else has changed");
    let stale = v1::SetLimitsRequest { expected_revision: 1, ..set("shop", limits, "slow") };
    assert_eq!(refusal(&server.participants.set_limits(stale).await.unwrap_err()).1, "REVISION_MOVED");

    let again = server.participants.put(put("shop", "http://127.0.0.1:2")).await.unwrap().into_inner();
    assert_eq!((again.limits, again.limits_change), (changed.limits, changed.limits_change), "a deploy keeps them");
    let protection = again.protection.unwrap();
    assert_eq!(protection.breaker(), v1::BreakerState::Closed);
    assert_eq!(protection.limits.map(|it| (it.concurrency, it.rate_per_second)), Some((8, 2.5)));
    server.stop().await.unwrap();
}

async fn calls_are_held_and_let_go(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    let held = v1::Limits { breaker: v1::BreakerMode::Held.into(), ..Default::default() };
    server.participants.set_limits(set("shop", held, "maintenance")).await.unwrap();
    server.sagas.start(checkout("order-1")).await.unwrap();
    let get = v1::GetSagaRequest { saga_id: "order-1".to_owned(), ..Default::default() };
    let saga = server.sagas.get(get).await.unwrap().into_inner();
    assert_eq!(saga.waiting.len(), 1);
    assert_eq!((saga.waiting[0].reason(), saga.waiting[0].step.as_str()), (v1::WaitingReason::BreakerOpen, "reserve"));
    let list = server.sagas.list(v1::ListSagasRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.sagas[0].waiting, saga.waiting, "lists say the same");
    assert!(shop.calls().is_empty());
    let get = v1::GetParticipantRequest { name: "shop".to_owned(), ..Default::default() };
    let protection = server.participants.get(get).await.unwrap().into_inner().protection.unwrap();
    assert_eq!((protection.breaker(), protection.waiting[0].count), (v1::BreakerState::Held, 1));
    server.stop().await.unwrap();

    // Whoever takes over holds it too, until somebody lets go.
    let mut server = Server::start_when_free(&memory).await;
    server.participants.set_limits(set("shop", v1::Limits::default(), "over")).await.unwrap();
    assert_eq!(server.run("order-1").await.status(), v1::SagaStatus::Completed);
    assert_eq!(shop.calls(), ["Reserve", "Charge"]);
    server.stop().await.unwrap();
}

async fn badly_put(memory: Memory) {
    let mut server = Server::start(&memory).await;
    for address in ["", "shop", "http://", "http://shop", "ftp://shop:1", "http://shop:1/path"] {
        let status = server.participants.put(put("shop", address)).await.unwrap_err();
        assert_eq!(refusal(&status).2, ["participant.endpoints[0]"], "{address}");
        assert!(status.message().contains("http://host:port"), "{address}: {}", status.message());
    }
    for (syntax, mend) in [("editions", "describe the service in a proto3 file"), ("proto4", "generate them again")] {
        let mut request = put("shop", "http://127.0.0.1:1");
        if let Some(participant) = &mut request.participant {
            participant.descriptor_set = descriptor_set_in(syntax).into();
        }
        let status = server.participants.put(request).await.unwrap_err();
        assert_eq!(refusal(&status).2, ["participant.descriptor_set"], "{syntax}");
        assert!(status.message().contains(mend), "{}", status.message());
    }
    let list = server.participants.list(v1::ListParticipantsRequest::default()).await.unwrap().into_inner();
    assert!(list.participants.is_empty());
    server.stop().await.unwrap();
}

async fn known_after_a_restart(memory: Memory) {
    let (server, shop) = Server::with_shop(&memory).await;
    server.stop().await.unwrap();
    let mut server = Server::start(&memory).await;
    assert_eq!(server.run("order-1").await.status(), v1::SagaStatus::Completed);
    assert_eq!(shop.calls(), ["Reserve", "Charge"]);
    server.stop().await.unwrap();
}

/// Nobody asks for anything in that namespace after the restart: the saga that is taken up finds its participant all the same.
async fn known_to_every_tenants_sagas(memory: Memory) {
    let namespace = "team-b".to_owned();
    let (mut server, shop) = (Server::start(&memory).await, Shop::open().await);
    let v1::PutParticipantRequest { participant, .. } = put("shop", &shop.address);
    let participant = participant.map(|it| v1::Participant { namespace: namespace.clone(), ..it });
    let message = v1::PutParticipantRequest { participant, expected_revision: 0 };
    server.participants.put(message).await.unwrap();
    let message = v1::RegisterDefinitionRequest {
        namespace: namespace.clone(),
        source: CHECKOUT.to_owned(),
        ..Default::default()
    };
    server.definitions.register(message).await.unwrap();
    shop.always("Reserve", Answer::Held);
    server.sagas.start(v1::StartSagaRequest { namespace, ..checkout("order-1") }).await.unwrap();
    shop.is_called("Reserve").await;
    server.stop().await.unwrap();

    shop.let_go();
    let server = Server::start_when_free(&memory).await;
    shop.is_called("Charge").await;
    server.stop().await.unwrap();
}

async fn moved(memory: Memory) {
    let (mut server, old) = Server::with_shop(&memory).await;
    let new = Shop::open().await;
    server.put_shop(&new.address).await;
    assert!(!server.register(CHECKOUT).await.created);
    assert_eq!(server.run("order-1").await.status(), v1::SagaStatus::Completed);
    assert!(old.calls().is_empty() && new.calls().len() == 2);
    server.stop().await.unwrap();
}
