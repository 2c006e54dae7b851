//! Lists with filters and pages, and the history in pages.

use amends_proto::v1;
use tonic::Code;

use crate::harness::{Memory, Server, checkout, on_both_stores, refusal};
use crate::shop::Answer;

on_both_stores! { filtered paged history_in_pages }

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
