//! Watching a saga, and waiting for it.

use amends_proto::v1;

use crate::harness::{Memory, Server, checkout, on_both_stores, refusal, seconds};
use crate::shop::Answer;

on_both_stores! { watched watched_from_the_middle waited_for }

fn watch(id: &str, after_sequence: u64) -> v1::WatchSagaRequest {
    v1::WatchSagaRequest { saga_id: id.to_owned(), after_sequence, ..Default::default() }
}

async fn watched(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Reserve", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    let mut stream = server.sagas.watch(watch("order-1", 0)).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.saga.unwrap().status(), v1::SagaStatus::Running);
    shop.let_go();
    let mut entries = first.entries;
    let mut last = None;
    while let Some(seen) = stream.message().await.unwrap() {
        entries.extend(seen.entries);
        last = seen.saga;
    }
    assert_eq!(last.unwrap().status(), v1::SagaStatus::Completed);
    assert_eq!(entries, server.history("order-1").await);
    let status = server.sagas.watch(watch("nobody", 0)).await.unwrap_err();
    assert_eq!(refusal(&status).1, "SAGA_NOT_FOUND");
    server.stop().await.unwrap();
}

async fn watched_from_the_middle(memory: Memory) {
    let (mut server, _shop) = Server::with_shop(&memory).await;
    server.run("order-1").await;
    for (after, expected) in [(0, vec![1, 2, 3, 4]), (2, vec![3, 4]), (4, vec![]), (99, vec![])] {
        let mut stream = server.sagas.watch(watch("order-1", after)).await.unwrap().into_inner();
        let only = stream.message().await.unwrap().unwrap();
        assert_eq!(only.entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), expected);
        assert_eq!(stream.message().await.unwrap(), None);
    }
    server.stop().await.unwrap();
}

async fn waited_for(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Reserve", Answer::Held);
    let moment = Some(pbjson_types::Duration { seconds: 0, nanos: 1_000_000 });
    let short = v1::StartSagaRequest { wait: moment, ..checkout("order-1") };
    let saga = server.sagas.start(short).await.unwrap().into_inner();
    assert_eq!(saga.status(), v1::SagaStatus::Running);
    let mut sagas = server.sagas.clone();
    let waiting =
        tokio::spawn(
            async move { sagas.start(v1::StartSagaRequest { wait: seconds(60), ..checkout("order-1") }).await },
        );
    shop.is_called("Reserve").await;
    shop.let_go();
    assert_eq!(waiting.await.unwrap().unwrap().into_inner().status(), v1::SagaStatus::Completed);
    server.stop().await.unwrap();
}
