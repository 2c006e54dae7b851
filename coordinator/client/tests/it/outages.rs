//! Answers that are lost, and a coordinator that goes away and comes back.

use std::time::Duration;

use amends_client::{Class, Client, Ending, Error, v1};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::coordinator::{Coordinator, LONG, ORDER};
use crate::forgetful::Forgetful;
use crate::shop::{Answer, Shop};

fn charges(shop: &Shop) -> usize {
    shop.calls().iter().filter(|call| *call == "Charge").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_after_the_commit_starts_nothing_twice() {
    let (coordinator, shop) = Coordinator::open().await;
    let (front, client) = Forgetful::before(&coordinator).await;
    // Without an id of the caller's: the request id is what makes it one saga.
    let waited = client.saga("checkout", &ORDER).start_and_wait(LONG).await.unwrap();
    assert!(matches!(waited.ending, Ending::Completed { .. }), "{}", waited.ending);
    assert_eq!((front.calls_of("start"), charges(&shop)), (2, 1));
    let all: Vec<v1::Saga> = client.list(v1::ListSagasRequest::default()).try_collect().await.unwrap();
    assert_eq!(all.iter().map(|saga| &saga.id).collect::<Vec<_>>(), [&waited.saga.id]);
    // Another start is another saga, though its input is the same.
    let other = client.saga("checkout", &ORDER).start().await.unwrap();
    assert_ne!(other.id, waited.saga.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completion_and_a_cancel_that_are_lost_are_repeated_without_harm() {
    let (coordinator, shop) = Coordinator::open().await;
    let (front, client) = Forgetful::before(&coordinator).await;
    shop.always("Charge", Answer::Pending);
    client.saga("checkout", &ORDER).id("order-1").start().await.unwrap();
    client.saga("checkout", &ORDER).id("order-2").start().await.unwrap();
    shop.has_calls(4).await;
    let done = serde_json::json!({ "receipt": "r-7" });
    let result = client.complete_step("order-1", "charge").succeeded(&done).await.unwrap();
    assert_eq!((result, front.calls_of("complete_step")), (v1::CompletionResult::Repeated, 2));
    assert_eq!(client.cancel("order-2", "changed my mind").await.unwrap(), v1::CancelResult::Compensating);
    assert_eq!(front.calls_of("cancel"), 2);
    assert!(matches!(client.wait("order-1", LONG).await.unwrap().ending, Ending::Completed { .. }));
    assert!(matches!(client.wait("order-2", LONG).await.unwrap().ending, Ending::Compensated { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_and_who_watches_outlives_a_restart() {
    let (mut coordinator, shop) = Coordinator::open().await;
    let client = coordinator.client();
    shop.always("Charge", Answer::Held);
    let saga = client.saga("checkout", &ORDER).id("order-1");
    let waiting = tokio::spawn(async move { saga.start_and_wait(LONG).await });
    shop.is_called("Charge").await;
    let mut watch = client.watch("order-1", 0).boxed();
    let mut seen = vec![watch.next().await.unwrap().unwrap()];

    coordinator.stop().await;
    shop.always("Charge", Answer::Done);
    shop.let_go();
    // Nobody is there now.
    let hasty = client.clone().time_limit(Duration::from_millis(300)).get("order-1").await.unwrap_err();
    assert!(matches!(hasty, Error::Unavailable { .. }) && hasty.class() == Class::Transient, "{hasty:?}");
    let while_away = client.saga("checkout", &ORDER).id("order-2");
    let while_away = tokio::spawn(async move { while_away.start_and_wait(LONG).await });
    coordinator.start().await;

    let waited = waiting.await.unwrap().unwrap();
    assert!(matches!(waited.ending, Ending::Completed { .. }), "{}", waited.ending);
    assert!(matches!(while_away.await.unwrap().unwrap().ending, Ending::Completed { .. }));
    seen.extend(watch.try_collect::<Vec<_>>().await.unwrap());
    let sequences: Vec<_> = seen.iter().flat_map(|it| &it.entries).map(|entry| entry.sequence).collect();
    assert!(sequences.iter().zip(1..).all(|(found, expected)| *found == expected), "{sequences:?}");
    assert_eq!(seen.last().unwrap().saga.as_ref().unwrap().status(), v1::SagaStatus::Completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_saga_is_still_open_and_no_error_when_the_coordinator_stays_away() {
    let (mut coordinator, shop) = Coordinator::open().await;
    shop.always("Charge", Answer::Held);
    let saga = coordinator.client().saga("checkout", &ORDER).id("order-1");
    let waiting = tokio::spawn(async move { saga.start_and_wait(Duration::from_secs(4)).await });
    shop.is_called("Charge").await;
    coordinator.stop().await;
    assert_eq!(waiting.await.unwrap().unwrap().ending, Ending::StillOpen { status: v1::SagaStatus::Running });
}

#[tokio::test]
async fn nobody_there_is_unavailable_within_the_limit() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::connect(&format!("http://{address}")).unwrap().time_limit(Duration::from_millis(500));
    let error = client.saga("checkout", &ORDER).start().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}
