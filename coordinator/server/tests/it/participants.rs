//! Registering participants.

use amends_proto::v1;
use tonic::Code;

use crate::harness::{CHECKOUT, Memory, Server, checkout, on_both_stores, refusal};
use crate::shop::{Answer, Shop, descriptor_set, descriptor_set_in};

on_both_stores! { put_and_shown badly_put known_after_a_restart known_to_every_tenants_sagas moved }

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
