//! Watching a saga by long polls and by server-sent events.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use super::client::{ask, get, open};
use crate::harness::{Memory, Server, checkout, on_both_stores};
use crate::shop::Answer;

on_both_stores! { polled streamed }

const EVENTS: (&str, &str) = ("accept", "text/event-stream");

/// The sequence numbers of a message.
fn sequences(message: &Value) -> Vec<u64> {
    let entries = message["entries"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["sequence"].as_str().unwrap().parse().unwrap()).collect()
}

async fn polled(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Charge", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    shop.is_called("Charge").await;
    let seen = get(&server, "/v1/sagas/order-1:watch").await.ok();
    assert_eq!(sequences(&seen), [1, 2]);
    // Nothing new: how it stands, without entries, once the time is up.
    let same = get(&server, "/v1/sagas/order-1:watch?after_sequence=2&wait=10ms").await.ok();
    assert_eq!((sequences(&same), &same["saga"]), (vec![], &seen["saga"]));
    let waiting = get(&server, "/v1/sagas/order-1:watch?after_sequence=2&wait=60s");
    let letting_go = async {
        // So many answers later it certainly waits; an answer that comes before has no entries.
        for _ in 0..20 {
            get(&server, "/v1/sagas/order-1").await.ok();
        }
        shop.let_go();
    };
    let (news, ()) = tokio::join!(waiting, letting_go);
    assert_eq!(sequences(&news.ok()), [3, 4]);
    // It has ended: an answer at once, however long one would wait.
    let end = get(&server, "/v1/sagas/order-1:watch?after_sequence=4&wait=60s").await.ok();
    assert_eq!((sequences(&end), &end["saga"]["status"]), (vec![], &"SAGA_STATUS_COMPLETED".into()));
    assert_eq!(get(&server, "/v1/sagas/nobody:watch").await.refusal().2, "SAGA_NOT_FOUND");
    assert_eq!(get(&server, "/v1/sagas/order-1:watch?wait=2m").await.refusal().3, "wait");
    server.stop().await.unwrap();
}

/// Reads events until the text has one that is wanted, or the stream ends.
async fn read_until(body: &mut Incoming, text: &mut String, wanted: &str) {
    while !text.contains(wanted) {
        let Some(frame) = body.frame().await else { return };
        if let Ok(data) = frame.unwrap().into_data() {
            text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
}

/// Id and data of each event.
fn events(text: &str) -> Vec<(String, Value)> {
    let line = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default().to_owned()
    };
    let all = text.split("\n\n").filter(|event| event.contains("data:"));
    all.map(|event| (line(event, "id:"), serde_json::from_str(&line(event, "data:")).unwrap())).collect()
}

async fn streamed(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Charge", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    let response = open(&server, "GET", "/v1/sagas/order-1:watch", &[EVENTS], "").await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    let (mut body, mut text) = (response.into_body(), String::new());
    read_until(&mut body, &mut text, "id: 2\n").await;
    let resumed = [EVENTS, ("last-event-id", "2")];
    let mut other = open(&server, "GET", "/v1/sagas/order-1:watch", &resumed, "").await.into_body();
    let mut others = String::new();
    read_until(&mut other, &mut others, "\n\n").await;
    assert_eq!(sequences(&events(&others)[0].1), [] as [u64; 0]);
    shop.let_go();
    // The stream ends after the event in which the saga ended.
    read_until(&mut body, &mut text, "never").await;
    let seen = events(&text);
    let numbers: Vec<u64> = seen.iter().flat_map(|(_, message)| sequences(message)).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let (id, last) = seen.last().unwrap();
    assert_eq!((id.as_str(), &last["saga"]["status"]), ("4", &"SAGA_STATUS_COMPLETED".into()));
    assert!(text.contains("retry: 1000\n"), "{text}");
    read_until(&mut other, &mut others, "never").await;
    assert_eq!(events(&others).iter().flat_map(|(_, message)| sequences(message)).collect::<Vec<_>>(), [3, 4]);

    // Whoever comes back with the last id gets the rest, and with the very last a word to stop coming.
    let rest = ask(&server, "GET", "/v1/sagas/order-1:watch", &[EVENTS, ("last-event-id", "3")], "").await;
    assert_eq!(events(&rest.text).iter().flat_map(|(_, message)| sequences(message)).collect::<Vec<_>>(), [4]);
    let over = ask(&server, "GET", "/v1/sagas/order-1:watch", &[EVENTS, ("last-event-id", "4")], "").await;
    assert_eq!((over.status, over.text.as_str()), (204, ""));
    // A newcomer gets to know how it ended.
    let late = ask(&server, "GET", "/v1/sagas/order-1:watch?afterSequence=4", &[EVENTS], "").await;
    assert_eq!(events(&late.text).len(), 1);
    let wrong = ask(&server, "GET", "/v1/sagas/order-1:watch", &[EVENTS, ("last-event-id", "x")], "").await;
    assert_eq!((wrong.status, wrong.refusal().3.as_str()), (400, "Last-Event-ID"));
    let nobody = ask(&server, "GET", "/v1/sagas/nobody:watch", &[EVENTS], "").await;
    assert_eq!((nobody.status, nobody.header("content-type")), (404, "application/json"));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_ends_streams_and_takes_nothing_new() {
    let memory = Memory::in_memory();
    let mut config = memory.config();
    // Until the held call is let go; far more than the test needs.
    config.shutdown.grace = Duration::from_secs(120);
    let mut server = Server::start_with(&memory, config).await;
    let shop = crate::shop::Shop::open().await;
    server.put_shop(&shop.address).await;
    server.register(crate::harness::CHECKOUT).await;
    shop.always("Charge", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    shop.is_called("Charge").await;
    let mut body = open(&server, "GET", "/v1/sagas/order-1:watch", &[EVENTS], "").await.into_body();
    let mut text = String::new();
    read_until(&mut body, &mut text, "id: 2\n").await;
    server.begin_to_stop();
    read_until(&mut body, &mut text, "never").await;
    assert!(text.contains("event: status\n") && text.contains("watch again from the last sequence seen"), "{text}");
    let refused = get(&server, "/v1/sagas/order-1").await;
    assert_eq!(refused.refusal(), (503, 14, "UNAVAILABLE".to_owned(), String::new()));
    assert_eq!(refused.header("retry-after"), "1");
    shop.let_go();
    server.stop().await.unwrap();
}
