//! What others are told of sagas, when receivers and nodes do well and badly. Time is virtual.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use amends_runtime::alerts::EventType::{self, SagaChanged, SagaEnded, SagaStuck, SagaUnstuck};
use amends_store::Store as _;

use world::{Received, Receiver, World, key, retry, run, start, webhook};

/// Jitter halves each delay.
const LONGEST_GAP: Duration = Duration::from_secs(151);

fn ids(received: &[Received]) -> BTreeSet<&str> {
    received.iter().map(|it| it.id.as_str()).collect()
}

fn kinds(received: &[Received]) -> Vec<(String, String)> {
    received.iter().map(|it| (it.kind(), it.saga())).collect()
}

fn told(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(kind, saga)| ((*kind).to_owned(), (*saga).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn stuck_and_free_again_are_told_in_order_with_all_that_is_known() {
    let world = World::new(4, vec![webhook("pager", &[SagaStuck, SagaUnstuck, SagaEnded])]).await;
    let node = world.node("a").await;
    run(&node, "stuck-1").await;
    world.until_taken("pager", 1).await;
    world.mend();
    retry(&node, "stuck-1").await;
    let taken = world.until_taken("pager", 3).await;
    let expected = [("saga.stuck", "stuck-1"), ("saga.unstuck", "stuck-1"), ("saga.ended", "stuck-1")];
    assert_eq!(kinds(&taken), told(&expected));
    let message = taken[0].json();
    assert_eq!(message["version"], 1);
    assert_eq!(message["id"].as_str(), Some(taken[0].id.as_str()));
    assert_eq!(message["node"], "a");
    let data = &message["data"];
    assert_eq!(
        (&data["namespace"], &data["definition"], &data["definition_version"]),
        (&"default".into(), &"pair".into(), &1.into())
    );
    assert_eq!((&data["status"], &data["previous_status"]), (&"stuck".into(), &"compensating".into()));
    assert_eq!(data["link"], "https://amends.example/console/sagas/stuck-1");
    let stuck = &data["stuck"][0];
    assert_eq!(
        (&stuck["reason"], &stuck["step"], &stuck["participant"]),
        (&"retries_exhausted".into(), &"one".into(), &"echo".into())
    );
    assert_eq!(stuck["message"], "<script>alert(1)</script> \u{202e}\"closed\"", "as text, in one line");
    let why = data["why"].as_str().unwrap();
    assert!(why.starts_with("Stuck since 2026-01-01 00:00:0") && why.contains("echo"), "{why}");
    let residue = &data["residue"][0];
    assert_eq!((&residue["step"], &residue["effect"]), (&"one".into(), &"stands".into()));
    assert_eq!(taken[1].json()["data"]["was_stuck"][0]["reason"], "retries_exhausted");
    for message in &taken {
        assert!(!String::from_utf8_lossy(&message.body).contains("SECRET"), "no payload in any message");
    }
    world.until_trimmed().await;
}

#[tokio::test(start_paused = true)]
async fn every_change_is_told_to_who_asks_for_every_change() {
    let world = World::new(1, vec![webhook("all", &[SagaChanged])]).await;
    let node = world.node("a").await;
    run(&node, "ok-1").await;
    run(&node, "stuck-1").await;
    let taken = world.until_taken("all", 5).await;
    let statuses: Vec<_> = taken.iter().map(|it| it.json()["data"]["status"].as_str().unwrap().to_owned()).collect();
    assert_eq!(statuses, ["running", "completed", "running", "compensating", "stuck"]);
}

/// What it costs: no entry, no document, and as many commits as without it.
#[tokio::test(start_paused = true)]
async fn where_nobody_asked_nothing_is_written() {
    let mut commits = Vec::new();
    let other = amends_runtime::Pattern::new("other-*");
    for webhooks in [
        Vec::new(),
        vec![webhook("pager", &[SagaStuck, SagaUnstuck])],
        vec![amends_runtime::alerts::Webhook { definitions: vec![other], ..webhook("all", &EventType::ALL) }],
    ] {
        let world = World::new(2, webhooks).await;
        let node = world.node("a").await;
        for number in 0..20 {
            run(&node, &format!("ok-{number}")).await;
        }
        assert_eq!(world.written().await, 0);
        assert!(world.store.list_documents("webhook", None, 10).await.unwrap().is_empty());
        commits.push(world.commits().await);
    }
    assert_eq!(commits, [60, 60, 60], "two steps are three commits, told or not");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_was_down_gets_everything_once_and_in_order() {
    let world = World::new(1, vec![webhook("pager", &[SagaStuck, SagaEnded])]).await;
    world.set("pager", Receiver::Down);
    let node = world.node("a").await;
    for id in ["stuck-1", "ok-2", "stuck-3"] {
        run(&node, id).await;
    }
    let attempts = world.until("pager", |all| all.len() >= 20).await;
    assert_eq!(ids(&attempts).len(), 1, "one at a time, the first one first");
    let gaps: Vec<Duration> = attempts.windows(2).map(|pair| pair[1].at.since(pair[0].at)).collect();
    assert!(gaps[0] < gaps[1] && gaps.iter().all(|gap| *gap < LONGEST_GAP), "{gaps:?}");
    world.set("pager", Receiver::Takes);
    let taken = world.until_taken("pager", 3).await;
    assert_eq!(kinds(&taken), told(&[("saga.stuck", "stuck-1"), ("saga.ended", "ok-2"), ("saga.stuck", "stuck-3")]));
    assert_eq!(taken[0].id, attempts[0].id, "a repeat has its first attempt's id");
    assert_eq!(taken[0].body, attempts[0].body, "and is the same message");
    world.until_trimmed().await;
    assert_eq!(world.taken("pager").len(), 3, "once each");
}

#[tokio::test(start_paused = true)]
async fn a_dead_webhook_holds_up_no_other_and_no_saga() {
    let world = World::new(2, vec![webhook("dead", &[SagaEnded]), webhook("well", &[SagaEnded])]).await;
    world.set("dead", Receiver::Down);
    let node = world.node("a").await;
    for number in 0..50 {
        run(&node, &format!("ok-{number}")).await;
    }
    let taken = world.until_taken("well", 50).await;
    assert_eq!(ids(&taken).len(), 50);
    assert!(world.taken("dead").is_empty());
    world.set("dead", Receiver::Takes);
    assert_eq!(ids(&world.until_taken("dead", 50).await), ids(&taken), "the same messages");
    world.until_trimmed().await;
    assert_eq!(world.taken("well").len(), 50, "nobody is told twice because another was dead");
}

#[tokio::test(start_paused = true)]
async fn a_slow_receiver_is_sent_one_message_of_a_shard_at_a_time() {
    let world = World::new(1, vec![webhook("slow", &[SagaEnded])]).await;
    world.set("slow", Receiver::Slow(10_000));
    let node = world.node("a").await;
    for number in 0..10 {
        run(&node, &format!("ok-{number}")).await;
    }
    let taken = world.until_taken("slow", 10).await;
    let sagas: Vec<String> = taken.iter().map(Received::saga).collect();
    assert_eq!(sagas, Vec::from_iter((0..10).map(|number| format!("ok-{number}"))));
}

/// A pager that rings for each is switched off.
#[tokio::test(start_paused = true)]
async fn thousands_that_get_stuck_alike_ring_a_few_times_and_are_all_counted() {
    const SAGAS: usize = 2_000;
    let world = World::new(8, vec![webhook("pager", &[SagaStuck, SagaUnstuck])]).await;
    let node = world.node("a").await;
    let runs = (0..SAGAS).map(|number| {
        let node = &node;
        async move { run(node, &format!("stuck-{number}")).await }
    });
    futures::future::join_all(runs).await;
    let sum = |kind: &str, received: &[Received]| -> u64 {
        let of_kind = received.iter().filter(|it| it.taken && it.kind().starts_with(kind));
        of_kind.map(|it| it.json()["data"]["count"].as_u64().unwrap_or(1)).sum()
    };
    world.until("pager", |all| sum("saga.stuck", all) >= SAGAS as u64).await;
    let taken = world.taken("pager");
    assert_eq!(sum("saga.stuck", &taken), SAGAS as u64, "each is told of once, alone or counted");
    assert!(taken.len() <= 20, "{}", taken.len());
    let many = taken.iter().find(|it| it.kind() == "saga.stuck.many").unwrap().json();
    let data = &many["data"];
    assert_eq!((&data["participant"], &data["reason"]), (&"echo".into(), &"retries_exhausted".into()));
    assert_eq!(data["sample"].as_array().unwrap().len(), 10);
    world.mend();
    for number in 0..100 {
        retry(&node, &format!("stuck-{number}")).await;
    }
    world.until("pager", |all| sum("saga.unstuck", all) >= 100).await;
    world.until_trimmed().await;
    assert_eq!(sum("saga.unstuck", &world.taken("pager")), 100);
    assert!(world.taken("pager").len() <= 40);
}

/// What is said of one saga is never said before what is counted of it.
#[tokio::test(start_paused = true)]
async fn a_saga_that_is_counted_is_told_of_before_its_end() {
    let world = World::new(1, vec![webhook("pager", &[SagaStuck, SagaUnstuck, SagaEnded])]).await;
    let node = world.node("a").await;
    for number in 0..15 {
        run(&node, &format!("stuck-{number}")).await;
    }
    world.mend();
    retry(&node, "stuck-14").await;
    let taken = world.until("pager", |all| all.iter().any(|it| it.kind() == "saga.ended")).await;
    let order: Vec<String> = taken.iter().skip(10).map(Received::kind).collect();
    assert_eq!(order, ["saga.stuck.many", "saga.unstuck", "saga.ended"]);
    assert!(taken[10].json()["data"]["sample"].as_array().unwrap().contains(&"default/stuck-14".into()));
}

#[tokio::test(start_paused = true)]
async fn what_cant_be_delivered_for_too_long_is_dropped_and_counted() {
    let mut world = World::new(1, vec![webhook("dead", &[SagaEnded])]).await;
    let keep = Duration::from_secs(3600);
    world.settings.keep = keep;
    world.set("dead", Receiver::Down);
    let node = world.node("a").await;
    run(&node, "ok-1").await;
    let first = world.until("dead", |all| !all.is_empty()).await[0].at;
    run(&node, "ok-2").await;
    world.until_trimmed().await;
    let attempts = world.attempts("dead");
    let last = attempts.last().unwrap().at;
    assert!(last.since(first) > keep - LONGEST_GAP * 2 && last.since(first) < keep + LONGEST_GAP * 2);
    assert_eq!(metric(&world, "amends_webhook_dropped_total{webhook=\"dead\",reason=\"too_old\"}"), 2);
    assert!(metric(&world, "amends_webhook_failed_attempts_total{webhook=\"dead\"}") > 20);
    world.set("dead", Receiver::Takes);
    run(&node, "ok-3").await;
    let taken = world.until_taken("dead", 1).await;
    assert_eq!(kinds(&taken), told(&[("saga.ended", "ok-3")]));
    assert_eq!(metric(&world, "amends_webhook_delivered_total{webhook=\"dead\"}"), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_the_bound() {
    let mut world = World::new(1, vec![webhook("dead", &[SagaEnded])]).await;
    world.settings.keep_entries = 5;
    world.set("dead", Receiver::Down);
    let node = world.node("a").await;
    for number in 0..20 {
        run(&node, &format!("ok-{number}")).await;
    }
    let dropped = "amends_webhook_dropped_total{webhook=\"dead\",reason=\"too_many\"}";
    world.until("dead", |_| metric(&world, dropped) >= 14).await;
    world.set("dead", Receiver::Takes);
    let taken = world.until_taken("dead", 6).await;
    assert_eq!(taken[0].saga(), "ok-14", "the oldest went");
    assert_eq!(metric(&world, dropped), 14);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_is_given_up_and_the_next_one_sent() {
    let world = World::new(1, vec![webhook("picky", &[SagaEnded])]).await;
    world.set("picky", Receiver::Refuses);
    let node = world.node("a").await;
    run(&node, "ok-1").await;
    run(&node, "ok-2").await;
    world.until("picky", |all| ids(all).len() == 2).await;
    world.set("picky", Receiver::Takes);
    let taken = world.until_taken("picky", 1).await;
    assert_eq!(kinds(&taken), told(&[("saga.ended", "ok-2")]));
    assert_eq!(metric(&world, "amends_webhook_dropped_total{webhook=\"picky\",reason=\"refused\"}"), 1);
}

/// Killed after the receiver has read it and before anything was saved.
#[tokio::test(start_paused = true)]
async fn a_message_whose_answer_was_lost_is_repeated_under_its_id() {
    let world = World::new(1, vec![webhook("pager", &[SagaStuck])]).await;
    world.set("pager", Receiver::Hangs);
    let mut node = world.node("a").await;
    run(&node, "stuck-1").await;
    let first = world.until("pager", |all| !all.is_empty()).await;
    node.kill();
    world.set("pager", Receiver::Takes);
    let _next = world.node("b").await;
    let taken = world.until_taken("pager", 1).await;
    assert_eq!((&taken[0].id, &taken[0].body), (&first[0].id, &first[0].body));
    world.until_trimmed().await;
}

/// Nothing that was settled comes again, nothing else is lost: whichever node has the shard.
#[tokio::test(start_paused = true)]
async fn who_takes_over_goes_on_where_the_other_was() {
    let world = World::new(4, vec![webhook("pager", &[SagaStuck]), webhook("well", &[SagaStuck])]).await;
    let mut node = world.node("a").await;
    run(&node, "stuck-1").await;
    world.until_taken("pager", 1).await;
    world.until_trimmed().await;
    world.set("pager", Receiver::Down);
    for number in 2..6 {
        run(&node, &format!("stuck-{number}")).await;
    }
    world.until_taken("well", 5).await;
    world.until("pager", |all| all.len() > 10).await;
    node.kill();
    world.set("pager", Receiver::Takes);
    let _next = world.node("b").await;
    let taken = world.until_taken("pager", 5).await;
    world.until_trimmed().await;
    assert_eq!(ids(&taken).len(), 5);
    assert_eq!(world.taken("pager").len(), 5);
    assert_eq!(world.taken("well").len(), 5, "its position was its own");
}

/// A commit that is refused leaves no gap: the numbers that it had are given again.
#[tokio::test(start_paused = true)]
async fn a_refused_commit_leaves_no_gap() {
    let world = World::new(1, vec![webhook("all", &[SagaChanged])]).await;
    let node = world.node("a").await;
    run(&node, "ok-1").await;
    world.until_taken("all", 2).await;
    let removed = world.store.sweep(amends_engine::time::Timestamp(u64::MAX), 10).await.unwrap();
    assert_eq!(removed, 1);
    let coordinator = node.coordinator();
    let others = (2..30).map(|number| coordinator.start(start(&format!("ok-{number}"))));
    let again = coordinator.start(start("ok-1"));
    let (refused, started) = futures::future::join(again, futures::future::join_all(others)).await;
    assert!(refused.is_err(), "its id is reserved");
    assert!(started.iter().all(Result::is_ok), "{started:?}");
    for number in 2..30 {
        coordinator.wait(&key(&format!("ok-{number}")), Duration::from_secs(60)).await.unwrap();
    }
    let taken = world.until_taken("all", 58).await;
    assert_eq!(ids(&taken).len(), 58);
    assert_eq!(world.written().await, 58);
    world.until_trimmed().await;
}

/// The value of a series.
fn metric(world: &World, series: &str) -> u64 {
    crate::metric::value(series, |registry| world.telemetry.alerts.register(registry))
}
