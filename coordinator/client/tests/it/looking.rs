//! Lists and watches.

use amends_client::v1;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::coordinator::{Coordinator, LONG, ORDER};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_goes_over_all_pages() {
    let (coordinator, _shop) = Coordinator::open().await;
    let client = coordinator.client();
    for number in 0..5 {
        client.saga("checkout", &ORDER).id(&format!("order-{number}")).start_and_wait(LONG).await.unwrap();
    }
    let filter = v1::ListSagasRequest { page_size: 2, definition: "checkout".to_owned(), ..Default::default() };
    let sagas: Vec<v1::Saga> = client.list(filter.clone()).try_collect().await.unwrap();
    let ids: Vec<_> = sagas.iter().map(|saga| saga.id.as_str()).collect();
    assert_eq!(ids, ["order-4", "order-3", "order-2", "order-1", "order-0"]);
    let wrong = v1::ListSagasRequest { page_size: -1, ..filter };
    let found: Vec<_> = client.list(wrong).collect().await;
    assert!(matches!(found[..], [Err(amends_client::Error::Invalid { .. })]), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_tells_everything_once_and_ends_with_the_saga() {
    let (coordinator, _shop) = Coordinator::open().await;
    let client = coordinator.client();
    client.saga("checkout", &ORDER).id("order-1").start().await.unwrap();
    let seen: Vec<v1::WatchSagaResponse> = client.watch("order-1", 0).try_collect().await.unwrap();
    let sequences: Vec<_> = seen.iter().flat_map(|it| &it.entries).map(|entry| entry.sequence).collect();
    assert!(
        sequences.len() > 3 && sequences.iter().zip(1..).all(|(found, expected)| *found == expected),
        "{sequences:?}"
    );
    assert_eq!(seen.last().unwrap().saga.as_ref().unwrap().status(), v1::SagaStatus::Completed);
    let rest: Vec<_> = client.watch("order-1", sequences.len() as u64 - 1).try_collect().await.unwrap();
    assert_eq!(rest.iter().map(|it| it.entries.len()).sum::<usize>(), 1);
    let none: Vec<_> = client.watch("order-2", 0).collect().await;
    assert!(matches!(none[..], [Err(amends_client::Error::NotFound { .. })]), "{none:?}");
}
