//! Sagas of which only a note is kept while they wait: whatever happens to one then finds it, and none is forgotten.
//!
//! In virtual time, on a node that keeps no waiting saga whole.

mod world;

use std::time::Duration;

use amends_engine::ids::Operation;
use amends_engine::payload::Payload;
use amends_engine::saga::Phase;
use amends_runtime::Ask;
use amends_runtime::participant::protection::BreakerMode;
use tokio::time::sleep;

use world::{Does, World, by, definition, namespace};

const SECOND: Duration = Duration::from_secs(1);

fn second_step() -> amends_engine::ids::StepName {
    amends_engine::ids::StepName::parse("two").expect("a name")
}

#[tokio::test(start_paused = true)]
async fn when_its_participant_is_back_it_goes_on() {
    let world = World::new("5m", BreakerMode::Held).await;
    let key = world.start("order-1").await;
    world.until_asleep(1).await;
    assert_eq!((world.queued(), world.calls(&key, "two", "action")), (1, 0));
    world.breaker(BreakerMode::Auto);
    assert_eq!(world.ends(&key).await, Phase::Completed);
    assert_eq!((world.queued(), world.calls(&key, "two", "action")), (0, 1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn it_is_cancelled_while_it_sleeps_and_leaves_its_place() {
    let world = World::new("5m", BreakerMode::Held).await;
    let key = world.start("order-1").await;
    world.until_asleep(1).await;
    assert!(world.ask(&key, Ask::Cancel).await.changed);
    assert_eq!(world.ends(&key).await, Phase::Compensated);
    assert_eq!((world.calls(&key, "one", "compensate"), world.queued()), (1, 0));
    world.breaker(BreakerMode::Auto);
    sleep(60 * SECOND).await;
    assert_eq!(world.calls(&key, "two", "action"), 0, "never called once it has turned back");
    world.stop().await;
}

/// All before it is read: the first wakes it, the others find it being read, and none of them is lost.
#[tokio::test(start_paused = true)]
async fn what_comes_while_it_is_being_read_is_done_too() {
    let world = World::new("5m", BreakerMode::Held).await;
    let key = world.start("order-1").await;
    world.until_asleep(1).await;
    world.breaker(BreakerMode::Auto);
    let all = [Ask::Retry { step: None }, Ask::Pause, Ask::Cancel].map(|ask| world.ask(&key, ask));
    let answers = futures::future::join_all(all).await;
    assert!(answers.iter().all(|answer| answer.changed), "{answers:?}");
    assert_eq!(world.calls(&key, "one", "compensate"), 0, "it is paused");
    assert!(world.ask(&key, Ask::Resume).await.changed);
    assert_eq!(world.ends(&key).await, Phase::Compensated);
    assert_eq!(world.calls(&key, "one", "compensate"), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_callback_is_taken_in() {
    let world = World::new("20s", BreakerMode::Auto).await;
    world.second(Does::SaysPending);
    let key = world.start("order-1").await;
    world.until_asleep(1).await;
    let (step, operation) = (second_step(), Operation::Action);
    let output = Payload::json("{\"text\":\"a\"}");
    assert!(world.ask(&key, Ask::CompleteSucceeded { step, operation, output }).await.changed);
    assert_eq!(world.ends(&key).await, Phase::Completed);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn its_time_runs_out_while_it_sleeps() {
    let world = World::new("20s", BreakerMode::Held).await;
    let key = world.start("order-1").await;
    world.until_asleep(1).await;
    let begun = world.now();
    assert_eq!(world.ends(&key).await, Phase::Compensated, "nothing was sent, so it turns back");
    let took = world.now().since(begun);
    assert!(took >= 19 * SECOND && took < 22 * SECOND, "{took:?}");
    assert_eq!((world.calls(&key, "two", "action"), world.queued()), (0, 0));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_made_when_its_time_comes_and_when_somebody_asks_for_it() {
    let world = World::new("5m", BreakerMode::Off).await;
    world.second(Does::Fails);
    let (asked, waits) = (world.start("order-1").await, world.start("order-2").await);
    world.until_asleep(2).await;
    world.second(Does::Answers);
    let begun = world.now();
    world.ask(&asked, Ask::Retry { step: None }).await;
    assert_eq!(world.ends(&asked).await, Phase::Completed);
    assert!(world.now().since(begun) < SECOND);
    assert_eq!(world.calls(&waits, "two", "action"), 1, "its time hasn't come");
    assert_eq!(world.ends(&waits).await, Phase::Completed);
    assert!(world.now().since(begun) <= 21 * SECOND, "{:?}", world.now().since(begun));
    assert_eq!(world.calls(&waits, "two", "action"), 2);
    world.stop().await;
}

/// Its turn comes while its definition is paused: it isn't called then, and isn't forgotten afterwards.
#[tokio::test(start_paused = true)]
async fn its_definition_is_paused_while_it_sleeps() {
    let world = World::new("5m", BreakerMode::Held).await;
    let key = world.start("order-1").await;
    world.until_asleep(1).await;
    let whose = (namespace(), definition());
    let holds = world.coordinator().holds();
    holds.pause(&whose, by(), world.now()).await.expect("paused");
    world.breaker(BreakerMode::Auto);
    sleep(30 * SECOND).await;
    assert_eq!((world.calls(&key, "two", "action"), world.queued()), (0, 0), "paused, and in nobody's way");
    world.breaker(BreakerMode::Held);
    assert!(holds.resume(&whose).await.expect("resumed"));
    world.until_asleep(1).await;
    assert_eq!((world.calls(&key, "two", "action"), world.queued()), (0, 1), "it waits for its participant again");
    world.breaker(BreakerMode::Auto);
    assert_eq!(world.ends(&key).await, Phase::Completed);
    assert_eq!(world.calls(&key, "two", "action"), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_next_owner_finds_all_that_slept() {
    const SAGAS: usize = 300;
    let mut world = World::new("5m", BreakerMode::Held).await;
    let mut keys = Vec::new();
    for number in 0..SAGAS {
        keys.push(world.start(&format!("order-{number}")).await);
    }
    world.until_asleep(SAGAS as u64).await;
    world = world.taken_over().await;
    world.until_asleep(SAGAS as u64).await;
    assert_eq!(world.queued(), SAGAS as u64, "each has one place");
    world.breaker(BreakerMode::Auto);
    for key in &keys {
        assert_eq!(world.ends(key).await, Phase::Completed, "{key}");
        assert_eq!(world.calls(key, "two", "action"), 1, "{key}");
    }
    world.stop().await;
}
