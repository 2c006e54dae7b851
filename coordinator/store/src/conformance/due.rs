//! The due index: what must be looked at, in order, all of it, and nothing else.
//!
//! Keys are looked for until enough of them fall into one shard, because a store orders within shards only.

use amends_engine::ids::SagaKey;
use amends_engine::time::Timestamp;

use super::support::{Owner, key};
use crate::contract::*;

const END: Timestamp = Timestamp(u64::MAX);

/// Keys of shard 0, sorted.
fn keys(store: &dyn Store, count: usize) -> Vec<SagaKey> {
    let shards = store.info().shards;
    let mine = (0..).map(|number| key(&format!("order-{number}"))).filter(|key| shard_of(key, shards) == ShardId(0));
    let mut keys: Vec<SagaKey> = mine.take(count).collect();
    keys.sort();
    keys
}

async fn start(owner: &Owner<'_>, key: &SagaKey, due: Option<u64>) {
    owner.write(Commit { due: due.map(Timestamp), ..owner.draft(key, 0) }).await;
}

async fn due(store: &dyn Store, after: Option<u64>, until: u64, limit: usize) -> Vec<SagaKey> {
    let found = store.due(ShardId(0), after.map(Timestamp), Timestamp(until), None, limit).await.expect("readable");
    found.into_iter().map(|saga| saga.key).collect()
}

/// By due time, wherever they were inserted, with all their content.
pub async fn the_earliest_come_first(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let keys = keys(store, 4);
    for (key, at) in keys.iter().zip([30, 10, 40, 20]) {
        start(&owner, key, Some(at)).await;
    }
    let expected: Vec<SagaKey> = [1, 3, 0, 2].map(|index: usize| keys[index].clone()).to_vec();
    assert_eq!(due(store, None, 100, 10).await, expected);
    assert_eq!(due(store, None, 100, 2).await, expected[..2]);
    assert_eq!(due(store, None, 100, 0).await, []);
    let first = store.due(ShardId(0), None, END, None, 1).await.expect("readable");
    assert_eq!(first, [owner.get(&expected[0]).await], "as `get` gives it");
    owner.write(Commit { due: Some(Timestamp(50)), ..owner.draft(&expected[0], 1) }).await;
    assert_eq!(due(store, None, 100, 1).await, expected[1..2], "a later due time moves it");
}

/// `after` is not included, `until` is.
pub async fn bounds_are_kept(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let keys = keys(store, 4);
    for (key, at) in keys.iter().zip([0, 10, 20, 30]) {
        start(&owner, key, Some(at)).await;
    }
    assert_eq!(due(store, None, 20, 10).await, keys[..3]);
    assert_eq!(due(store, Some(10), 20, 10).await, keys[2..3]);
    assert_eq!(due(store, Some(0), 9, 10).await, []);
    assert_eq!(due(store, None, 0, 10).await, keys[..1], "even a due time of 0");
    assert_eq!(due(store, Some(20), u64::MAX, 10).await, keys[3..]);
}

/// Sagas with one due time may be cut by a page and are all found by asking on.
pub async fn equal_due_times_come_in_pages(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let keys = keys(store, 9);
    for (index, key) in keys.iter().enumerate() {
        start(&owner, key, Some(if index < 7 { 10 } else { 20 })).await;
    }
    for limit in [1, 2, 3, 20] {
        let (mut found, mut resume) = (Vec::new(), None);
        loop {
            let page = store.due(ShardId(0), None, Timestamp(20), resume, limit).await.expect("readable");
            let Some(last) = page.last() else { break };
            resume = last.due.map(|due| (due, last.key.clone()));
            found.extend(page.into_iter().map(|saga| saga.key));
        }
        assert_eq!(found, keys, "in pages of {limit}");
    }
}

/// A parked saga has no due time, and a finished one is never due.
pub async fn only_open_sagas_with_a_due_time_are_given(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let keys = keys(store, 4);
    start(&owner, &keys[0], Some(10)).await;
    start(&owner, &keys[1], None).await;
    owner.write(Commit { due: Some(Timestamp(10)), ..owner.finish(&keys[2], 0, 99) }).await;
    start(&owner, &keys[3], Some(10)).await;
    assert_eq!(due(store, None, u64::MAX, 10).await, [keys[0].clone(), keys[3].clone()]);
    owner.write(owner.finish(&keys[3], 1, 99)).await;
    owner.write(Commit { due: Some(Timestamp(5)), ..owner.draft(&keys[1], 1) }).await;
    assert_eq!(due(store, None, u64::MAX, 10).await, [keys[1].clone(), keys[0].clone()]);
}

/// Every saga is due in its own shard and in no other.
pub async fn each_shard_has_its_own(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let mut expected: Vec<SagaKey> = (0..40).map(|number| key(&format!("order-{number}"))).collect();
    for key in &expected {
        start(&owner, key, Some(10)).await;
    }
    let shards = store.info().shards;
    let mut found = Vec::new();
    for shard in (0..shards).map(ShardId) {
        let mine = store.due(shard, None, END, None, 100).await.expect("readable");
        assert!(mine.iter().all(|saga| shard_of(&saga.key, shards) == shard));
        found.extend(mine.into_iter().map(|saga| saga.key));
    }
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// Parked ones count, finished ones don't.
pub async fn open_sagas_are_counted(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let keys = keys(store, 3);
    let count = async || store.open_sagas(ShardId(0)).await.expect("readable");
    assert_eq!(count().await, 0);
    start(&owner, &keys[0], Some(10)).await;
    start(&owner, &keys[1], None).await;
    owner.write(owner.finish(&keys[2], 0, 99)).await;
    assert_eq!(count().await, 2);
    owner.write(owner.finish(&keys[0], 1, 99)).await;
    assert_eq!(count().await, 1);
    if store.info().shards > 1 {
        assert_eq!(store.open_sagas(ShardId(1)).await.expect("readable"), 0);
    }
}
