//! Batches on three nodes: what is done to whom, whatever happens meanwhile.
//!
//! Virtual time makes rates countable; what is proven on SQLite and Redis too only counts, and asserts no time.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use amends_engine::saga::By;
use amends_runtime::Ask;
use amends_runtime::batch::{Action, BatchError, ItemStatus, Status};
use tokio::time::sleep;

use world::{FEW, SECOND, World};

pub(crate) use world::{Counter, Virtual};

fn retry() -> Action {
    Action::Retry { step: None }
}

#[tokio::test(start_paused = true)]
async fn what_moved_since_the_plan_is_left_alone() {
    some_move(World::stuck(1000, 3).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moved_is_left_alone_on_sqlite() {
    some_move(World::on_sqlite(1000).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moved_is_left_alone_on_redis() {
    some_move(World::on_redis(1000).await).await;
}

/// A third of a thousand moves between plan and apply: exactly those stay as they are.
async fn some_move(mut world: World) {
    let plan = world.plan(retry()).await;
    assert_eq!((plan.head.planned, plan.head.refusals, plan.head.sample.len()), (1000, 0, 20));
    let calls: Vec<(&str, u64)> = plan.head.calls.iter().map(|it| (it.call.method.as_str(), it.count)).collect();
    assert_eq!(calls, [("echo.v1.Echo/Say", 1000)]);
    let by = || By { principal: "somebody".to_owned(), reason: "looks at it".to_owned() };
    let mut moved = BTreeMap::new();
    for number in (0..1000).step_by(3) {
        let key = World::key(number);
        let answered = world.ask(&key, Ask::Pause, by()).await;
        // Not one of each: where a lease ran out while its call was out, it was made again.
        let attempts = world.attempts(&key);
        moved.insert(key, (attempts, answered.snapshot.saga.state.revision));
    }
    world.up();
    world.apply(&plan, 10_000.0).await;
    let done = world.until_over(&plan).await;
    assert_eq!((done.status, done.done, done.moved, done.refused), (Status::Done, 666, 334, 0));
    for number in 0..1000 {
        let key = World::key(number);
        if !moved.contains_key(&key) {
            world.ends(&key).await;
        }
        let (attempts, revision) = (world.attempts(&key), world.revision(&key).await);
        match moved.get(&key) {
            Some(before) => assert_eq!((attempts, revision), *before, "{key} had moved"),
            None => {
                assert_eq!(world.marked(&key, &plan).await, 1, "{key} was to be retried once");
                // One more where a lease ran out while the call was out, as with any call.
                assert!((2..=3).contains(&attempts), "{key}: {attempts}");
            }
        }
    }
    let items = world.items(&plan, Some(ItemStatus::Moved)).await;
    assert_eq!(items.len(), moved.len());
    assert!(items[0].message.contains("when it was planned"), "{}", items[0].message);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_nodes_part_is_done_once() {
    one_is_killed(World::stuck(600, 3).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_nodes_part_is_done_once_on_sqlite() {
    one_is_killed(World::on_sqlite(600).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_nodes_part_is_done_once_on_redis() {
    one_is_killed(World::on_redis(600).await).await;
}

/// A node is killed with work done whose results aren't written: it is known for the batch's own, and done once.
async fn one_is_killed(mut world: World) {
    let plan = world.plan(retry()).await;
    world.up();
    world.apply(&plan, 100.0).await;
    while world.calls() < 600 + 150 {
        sleep(Duration::from_millis(10)).await;
    }
    world.kill(0);
    let done = world.until_over(&plan).await;
    assert_eq!((done.status, done.done, done.moved, done.refused), (Status::Done, 600, 0, 0));
    for number in 0..600 {
        let key = World::key(number);
        world.ends(&key).await;
        assert_eq!(world.marked(&key, &plan).await, 1, "{key} was retried once");
        // An attempt that was out when its node was killed is made again, as any other.
        assert!((2..=3).contains(&world.attempts(&key)), "{key}: {}", world.attempts(&key));
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_batch_stands_still_and_goes_on() {
    let mut world = World::stuck(300, 3).await;
    let plan = world.plan(retry()).await;
    world.up();
    world.apply(&plan, 30.0).await;
    sleep(3 * SECOND).await;
    world.coordinator().stop_batch(&World::namespace(), &plan.head.id).await.expect("stopped");
    sleep(2 * SECOND).await;
    let reached = world.calls();
    sleep(60 * SECOND).await;
    let stopped = world.look(&plan).await;
    assert_eq!((stopped.status, world.calls()), (Status::Stopped, reached), "nothing more is done");
    assert!((30..300).contains(&stopped.done), "{}", stopped.done);
    assert_eq!(reached as u64, 300 + stopped.done, "all that was done is written down");
    world.apply(&plan, 1000.0).await;
    let done = world.until_over(&plan).await;
    sleep(5 * SECOND).await;
    assert_eq!((done.status, done.done, done.moved, world.calls()), (Status::Done, 300, 0, 600));
    world.stop().await;
}

/// The nodes share the rate, and a new one counts within seconds.
#[tokio::test(start_paused = true)]
async fn the_rate_is_kept_by_all_nodes_together() {
    let mut world = World::stuck(2000, 3).await;
    let plan = world.plan(retry()).await;
    world.up();
    world.apply(&plan, 30.0).await;
    sleep(10 * SECOND).await;
    let slow = world.calls() - 2000;
    assert!((200..=30 * 10 + 3 + FEW).contains(&slow), "{slow} within ten seconds, at thirty a second");
    world.coordinator().set_batch_rate(&World::namespace(), &plan.head.id, 300.0).await.expect("set");
    sleep(2 * SECOND).await;
    let before = world.calls();
    sleep(2 * SECOND).await;
    let fast = world.calls() - before;
    assert!((300..=300 * 2 + 3 * 15 + FEW).contains(&fast), "{fast} within two seconds, at three hundred a second");
    let done = world.until_over(&plan).await;
    assert_eq!((done.done, done.moved), (2000, 0));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_a_plan_in_its_time_is_applied_and_only_once() {
    let mut world = World::stuck(3, 1).await;
    let by = || By { principal: "ada".to_owned(), reason: "x".to_owned() };
    let late = world.plan(retry()).await;
    let thrown_away = world.plan(retry()).await;
    let plan = world.plan(retry()).await;
    world.up();
    let stopped = world.coordinator().stop_batch(&World::namespace(), &thrown_away.head.id).await.expect("thrown away");
    assert_eq!(stopped.status, Status::Expired);
    for plan in [&thrown_away] {
        assert!(matches!(world.try_apply(plan, by()).await, Err(BatchError::Expired(_))));
    }
    world.apply(&plan, 50.0).await;
    assert_eq!(world.until_over(&plan).await.done, 3);
    sleep(5 * SECOND).await;
    let calls = world.calls();
    assert!(matches!(world.try_apply(&plan, by()).await, Err(BatchError::Done(_))));
    let rate = world.coordinator().set_batch_rate(&World::namespace(), &plan.head.id, 1.0).await;
    assert!(matches!(rate, Err(BatchError::NotRunning { status: "done", .. })));
    sleep(3600 * SECOND).await;
    assert!(matches!(world.try_apply(&late, by()).await, Err(BatchError::Expired(_))));
    assert_eq!(world.look(&late).await.status, Status::Expired);
    for unknown in ["", "x", "00000000000000000000", "a,b"] {
        let found = world.coordinator().batch(&World::namespace(), unknown).await;
        assert!(matches!(found, Err(BatchError::NoSuchBatch(_))), "{unknown}");
    }
    assert_eq!(world.calls(), calls, "none of that did anything");
    world.stop().await;
}

/// What is planned is what happens: the calls, and the refusals in the same words.
#[tokio::test(start_paused = true)]
async fn a_plan_says_exactly_what_will_happen() {
    let mut world = World::stuck(4, 1).await;
    world.up();
    let by = || By { principal: "ada".to_owned(), reason: "x".to_owned() };
    // One completes, so that nothing is left to retry.
    world.ask(&World::key(0), Ask::Retry { step: None }, by()).await;
    world.ends(&World::key(0)).await;
    let plan = world.plan_of(retry(), world::ids(4)).await;
    assert_eq!((plan.head.planned, plan.head.refusals), (4, 1));
    let planned = world.items(&plan, None).await;
    let refused = planned.iter().find(|item| !item.message.is_empty()).expect("one").clone();
    assert_eq!(refused.saga_id, "order-0");
    assert!(refused.message.starts_with("the saga has ended"), "{}", refused.message);
    let key_of = |item: &amends_runtime::batch::Item| {
        let key = item.key(&World::namespace()).expect("an id");
        item.calls.iter().map(|call| call.idempotency_key(&key)).collect::<Vec<_>>()
    };
    let before = world.by_key();
    world.apply(&plan, 50.0).await;
    let done = world.until_over(&plan).await;
    sleep(5 * SECOND).await;
    assert_eq!((done.done, done.refused), (3, 1));
    let mut expected = before;
    for key in planned.iter().flat_map(key_of) {
        *expected.entry(key).or_default() += 1;
    }
    assert_eq!(world.by_key(), expected, "just the calls of the plan");
    let items = world.items(&plan, Some(ItemStatus::Refused)).await;
    assert_eq!(items[0].message, refused.message);
    // Undoing needs requests that aren't prepared yet: they are, without anything being changed.
    let undone = world.plan_of(Action::Cancel, world::ids(4)).await;
    assert_eq!(undone.head.refusals, 4, "all have ended");
    world.stop().await;
}
