//! Lists with filters and pages, and the history in pages.

use amends_proto::v1;
use tonic::Code;

use crate::harness::{Memory, Server, checkout, on_both_stores, refusal};
use crate::shop::Answer;

on_both_stores! { filtered searched counted paged history_in_pages }

async fn ids(server: &mut Server, message: v1::ListSagasRequest) -> Vec<String> {
    let listed = server.sagas.list(message).await.unwrap().into_inner();
    listed.sagas.into_iter().map(|saga| saga.id).collect()
}

async fn filtered(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    server.run("good").await;
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "no"));
    server.run("undone").await;
    shop.always("Release", Answer::Says(Code::Unavailable, "closed"));
    server.run("stuck").await;

    let all = v1::ListSagasRequest::default();
    let listed = server.sagas.list(all.clone()).await.unwrap().into_inner();
    assert_eq!(listed.sagas.iter().map(|saga| saga.id.as_str()).collect::<Vec<_>>(), ["stuck", "undone", "good"]);
    assert!(listed.sagas.iter().all(|saga| saga.input.is_none() && saga.steps.is_empty()));
    assert_eq!(listed.sagas[0].stuck[0].reason(), v1::StuckReason::RetriesExhausted);
    let statuses = vec![v1::SagaStatus::Completed.into(), v1::SagaStatus::Compensated.into()];
    assert_eq!(ids(&mut server, v1::ListSagasRequest { statuses, ..all.clone() }).await, ["undone", "good"]);
    let labels = [("order".to_owned(), "good".to_owned())].into();
    assert_eq!(ids(&mut server, v1::ListSagasRequest { labels, ..all.clone() }).await, ["good"]);
    let stuck_reason = v1::StuckReason::RetriesExhausted.into();
    assert_eq!(ids(&mut server, v1::ListSagasRequest { stuck_reason, ..all.clone() }).await, ["stuck"]);
    let definition = "refund".to_owned();
    assert!(ids(&mut server, v1::ListSagasRequest { definition, ..all.clone() }).await.is_empty());
    let namespace = "another".to_owned();
    assert!(ids(&mut server, v1::ListSagasRequest { namespace, ..all.clone() }).await.is_empty());
    let unknown = v1::ListSagasRequest { statuses: vec![99], ..all };
    assert_eq!(refusal(&server.sagas.list(unknown).await.unwrap_err()).2, ["statuses"]);
    server.stop().await.unwrap();
}

/// By where sagas are held up and by what was said to them, also on HTTP's side of the same messages.
async fn searched(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    server.run("good").await;
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "Card declined"));
    shop.always("Release", Answer::Says(Code::Unavailable, "closed for today"));
    server.run("stuck").await;

    let all = v1::ListSagasRequest::default;
    let none: Vec<String> = Vec::new();
    let stuck_at = server.sagas.list(all()).await.unwrap().into_inner().sagas[0].stuck[0].clone();
    assert_eq!(stuck_at.message, "closed for today");
    for participant in ["shop", "nobody"] {
        let expected = if participant == "shop" { vec!["stuck".to_owned()] } else { none.clone() };
        let participant = participant.to_owned();
        assert_eq!(ids(&mut server, v1::ListSagasRequest { participant, ..all() }).await, expected);
    }
    for (error, found) in [("CLOSED for", true), ("UNAVAILABLE: closed", true), ("declined by nobody", false)] {
        let expected = if found { vec!["stuck".to_owned()] } else { none.clone() };
        assert_eq!(ids(&mut server, v1::ListSagasRequest { error: error.to_owned(), ..all() }).await, expected);
    }
    for (seconds, expected) in [(0, vec!["stuck".to_owned()]), (3600, none.clone())] {
        let older_than = Some(pbjson_types::Duration { seconds, nanos: 0 });
        assert_eq!(ids(&mut server, v1::ListSagasRequest { older_than, ..all() }).await, expected);
    }
    let first = v1::ListSagasRequest { definition: "checkout".to_owned(), version: 1, ..all() };
    assert_eq!(ids(&mut server, first.clone()).await, ["stuck", "good"]);
    assert_eq!(ids(&mut server, v1::ListSagasRequest { version: 2, ..first }).await, none);
    assert_eq!(ids(&mut server, v1::ListSagasRequest { unacknowledged: true, ..all() }).await, ["stuck", "good"]);

    let negative = Some(pbjson_types::Duration { seconds: -1, nanos: 0 });
    for (field, message) in [
        ("version", v1::ListSagasRequest { version: 2, ..all() }),
        ("participant", v1::ListSagasRequest { participant: "a b".to_owned(), ..all() }),
        ("error", v1::ListSagasRequest { error: "x".repeat(257), ..all() }),
        ("older_than", v1::ListSagasRequest { older_than: negative, ..all() }),
        ("stuck_reason", v1::ListSagasRequest { stuck_reason: 99, ..all() }),
    ] {
        assert_eq!(refusal(&server.sagas.list(message).await.unwrap_err()).2, [field]);
    }
    server.stop().await.unwrap();
}

async fn counted(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    for id in ["one", "two"] {
        server.run(id).await;
    }
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "no"));
    shop.always("Release", Answer::Says(Code::Unavailable, "closed"));
    server.run("stuck").await;
    let all = v1::CountSagasRequest::default;
    let counted = server.sagas.count(all()).await.unwrap().into_inner();
    let kind = |status: v1::SagaStatus, reason: v1::StuckReason, participant: &str, count| v1::SagaCount {
        definition: "checkout".to_owned(),
        version: 1,
        status: status.into(),
        stuck_reason: reason.into(),
        participant: participant.to_owned(),
        count,
    };
    let completed = kind(v1::SagaStatus::Completed, v1::StuckReason::Unspecified, "", 2);
    let stuck = kind(v1::SagaStatus::Stuck, v1::StuckReason::RetriesExhausted, "shop", 1);
    assert_eq!(counted, v1::CountSagasResponse { total: 3, counts: vec![completed.clone(), stuck.clone()] });
    for (message, expected) in [
        (v1::CountSagasRequest { participant: "shop".to_owned(), ..all() }, vec![stuck.clone()]),
        (v1::CountSagasRequest { error: "closed".to_owned(), ..all() }, vec![stuck]),
        (v1::CountSagasRequest { statuses: vec![v1::SagaStatus::Completed.into()], ..all() }, vec![completed]),
        (v1::CountSagasRequest { namespace: "another".to_owned(), ..all() }, vec![]),
    ] {
        assert_eq!(server.sagas.count(message).await.unwrap().into_inner().counts, expected);
    }
    let versions = v1::CountSagasRequest { version: 2, ..all() };
    assert_eq!(refusal(&server.sagas.count(versions).await.unwrap_err()).2, ["version"]);
    server.stop().await.unwrap();
}

async fn paged(memory: Memory) {
    let (mut server, _shop) = Server::with_shop(&memory).await;
    for number in 0..5 {
        server.run(&format!("order-{number}")).await;
    }
    let mut message = v1::ListSagasRequest { page_size: 2, ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let page = server.sagas.list(message.clone()).await.unwrap().into_inner();
        seen.extend(page.sagas.into_iter().map(|saga| saga.id));
        message.page_token = page.next_page_token;
        if message.page_token.is_empty() {
            break;
        }
        let other = v1::ListSagasRequest { definition: "checkout".to_owned(), ..message.clone() };
        assert_eq!(refusal(&server.sagas.list(other).await.unwrap_err()).2, ["page_token"]);
    }
    assert_eq!(seen, ["order-4", "order-3", "order-2", "order-1", "order-0"]);
    let negative = v1::ListSagasRequest { page_size: -1, ..Default::default() };
    assert_eq!(refusal(&server.sagas.list(negative).await.unwrap_err()).2, ["page_size"]);
    server.stop().await.unwrap();
}

async fn history_in_pages(memory: Memory) {
    let (mut server, _shop) = Server::with_shop(&memory).await;
    server
        .sagas
        .start(v1::StartSagaRequest { wait: crate::harness::seconds(60), ..checkout("order-1") })
        .await
        .unwrap();
    for (newest_first, expected) in [(false, [1, 2, 3, 4]), (true, [4, 3, 2, 1])] {
        let mut message =
            v1::ListHistoryRequest { saga_id: "order-1".to_owned(), page_size: 3, newest_first, ..Default::default() };
        let first = server.sagas.list_history(message.clone()).await.unwrap().into_inner();
        assert_eq!(first.entries.len(), 3);
        message.page_token = first.next_page_token;
        let last = server.sagas.list_history(message.clone()).await.unwrap().into_inner();
        assert_eq!(last.next_page_token, "");
        let sequences: Vec<_> = first.entries.iter().chain(&last.entries).map(|entry| entry.sequence).collect();
        assert_eq!(sequences, expected);
        message.newest_first = !newest_first;
        assert_eq!(refusal(&server.sagas.list_history(message).await.unwrap_err()).2, ["page_token"]);
    }
    let gone = v1::ListHistoryRequest { saga_id: "nobody".to_owned(), ..Default::default() };
    assert_eq!(refusal(&server.sagas.list_history(gone).await.unwrap_err()).1, "SAGA_NOT_FOUND");
    server.stop().await.unwrap();
}
