//! Leases: who may have a shard, and that nobody else writes it.
//!
//! Expiry is tested with leases of no length, so that nothing here waits.

use std::time::Duration;

use super::support::{LONG, Owner, key};
use crate::contract::*;
use crate::error::{CommitError, StoreError};

const SHARD: ShardId = ShardId(0);

async fn take(store: &dyn Store, node: &str, nonce: u128, lease_for: Duration) -> Lease {
    store.acquire(SHARD, node, Nonce(nonce), lease_for).await.expect("the shard is free").lease
}

/// Every tenure is higher than the one before, and at least the store's time in ms (semantics A7).
pub async fn epochs_rise_and_follow_the_time(store: &dyn Store) {
    let before = store.now().await.expect("a clock");
    let mut last = Epoch(before.0.saturating_sub(1));
    // More often than a millisecond allows, so that both halves of the rule count.
    for nonce in 0..50 {
        let lease = take(store, "node-a", nonce, LONG).await;
        assert!(lease.epoch > last, "{:?} after {last:?}", lease.epoch);
        assert_eq!((lease.shard, lease.nonce), (SHARD, Nonce(nonce)));
        last = lease.epoch;
    }
    if store.info().shards > 1 {
        let other = store.acquire(ShardId(1), "node-a", Nonce(1), LONG).await.expect("the shard is free").lease;
        assert!(other.epoch.0 >= before.0, "the first tenure of a shard follows the time too");
    }
}

/// Another node must wait; the same node needn't, because it may have been restarted.
pub async fn another_nodes_valid_lease_is_held(store: &dyn Store) {
    let first = take(store, "node-a", 1, LONG).await;
    match store.acquire(SHARD, "node-b", Nonce(2), LONG).await {
        Err(StoreError::Held { node, until }) => {
            assert_eq!(node, "node-a");
            assert!(until > store.now().await.expect("a clock"));
        }
        other => panic!("node-a's lease is valid: {other:?}"),
    }
    store.renew(first, LONG).await.expect("nobody took it");
    let again = take(store, "node-a", 3, LONG).await;
    assert!(again.epoch > first.epoch);
}

/// Time decides who tries.
pub async fn an_expired_lease_can_be_taken(store: &dyn Store) {
    let first = take(store, "node-a", 1, Duration::ZERO).await;
    let second = take(store, "node-b", 2, LONG).await;
    assert!(second.epoch > first.epoch);
    assert!(matches!(store.renew(first, LONG).await, Err(StoreError::LeaseLost)));
}

/// Safety rests on epoch and nonce, not on time.
pub async fn an_expired_lease_that_nobody_took_still_writes(store: &dyn Store) {
    let mut owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let shard = owner.lease(&key).shard;
    let short = store.acquire(shard, "node-a", Nonce(9), Duration::ZERO).await.expect("its own").lease;
    owner.leases[usize::from(shard.0)] = short;
    owner.write(owner.draft(&key, 0)).await;
    store.renew(short, LONG).await.expect("nobody took it");
    assert!(matches!(store.acquire(shard, "node-b", Nonce(2), LONG).await, Err(StoreError::Held { .. })));
}

/// A clean hand-over is immediate, and the one who gave it back has nothing to say any more.
pub async fn a_released_lease_can_be_taken_and_writes_nothing(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let lease = owner.lease(&key);
    store.release(lease).await.expect("its own");
    let answer = owner.commit(owner.draft(&key, 0)).await;
    assert!(matches!(answer, Err(CommitError::Fenced)), "{answer:?}");
    assert!(matches!(store.renew(lease, LONG).await, Err(StoreError::LeaseLost)));
    let next = store.acquire(lease.shard, "node-b", Nonce(2), LONG).await.expect("given back").lease;
    assert!(next.epoch > lease.epoch);
    store.release(lease).await.expect("not an error");
    store.renew(next, LONG).await.expect("a late release of the old lease doesn't hurt the new one");
}

/// Renewing says so; giving back doesn't care.
pub async fn a_lost_lease_cannot_be_renewed_nor_given_back(store: &dyn Store) {
    let lost = take(store, "node-a", 1, LONG).await;
    let current = take(store, "node-a", 2, LONG).await;
    assert!(matches!(store.renew(lost, LONG).await, Err(StoreError::LeaseLost)));
    store.release(lost).await.expect("not an error");
    assert!(matches!(store.acquire(SHARD, "node-b", Nonce(3), LONG).await, Err(StoreError::Held { .. })));
    let forged = Lease { nonce: Nonce(99), ..current };
    assert!(matches!(store.renew(forged, LONG).await, Err(StoreError::LeaseLost)));
    store.renew(current, LONG).await.expect("its own");
}

async fn is_fenced(owner: &Owner<'_>, forge: impl Fn(Lease) -> Lease) {
    for (id, expected) in [("there", 1), ("new", 0)] {
        let key = key(id);
        let commit = owner.draft(&key, expected);
        let answer = owner.commit(Commit { lease: forge(commit.lease), ..commit }).await;
        assert!(matches!(answer, Err(CommitError::Fenced)), "{id}: {answer:?}");
        assert_eq!(owner.revision(&key).await, expected, "nothing was written");
    }
}

/// Even a repeat of what it wrote itself: it must learn that it lost the shard.
pub async fn an_old_epoch_is_fenced(store: &dyn Store) {
    let old = Owner::of(store, "node-a").await;
    let there = old.draft(&key("there"), 0);
    old.write(there.clone()).await;
    let new = Owner::of(store, "node-a").await;
    is_fenced(&old, |lease| lease).await;
    assert!(matches!(old.commit(there).await, Err(CommitError::Fenced)));
    new.write(new.draft(&key("there"), 1)).await;
}

/// An epoch that was lost and given again is told apart by the nonce.
pub async fn the_right_epoch_with_another_nonce_is_fenced(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    owner.write(owner.draft(&key("there"), 0)).await;
    is_fenced(&owner, |lease| Lease { nonce: Nonce(lease.nonce.0 ^ 1), ..lease }).await;
}

/// A higher epoch than was ever given isn't a right either: the store may have lost its tail.
pub async fn an_epoch_from_the_future_is_fenced(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    owner.write(owner.draft(&key("there"), 0)).await;
    is_fenced(&owner, |lease| Lease { epoch: Epoch(lease.epoch.0 + 1), ..lease }).await;
}

/// Nobody writes before acquiring, whatever numbers are guessed.
pub async fn a_shard_that_was_never_acquired_is_fenced(store: &dyn Store) {
    let shards = store.info().shards;
    let guess = |shard| Lease { shard: ShardId(shard), epoch: Epoch(0), nonce: Nonce(0) };
    let owner = Owner { store, leases: (0..shards).map(guess).collect() };
    let answer = owner.commit(owner.draft(&key("new"), 0)).await;
    assert!(matches!(answer, Err(CommitError::Fenced)), "{answer:?}");
}

/// Shards are counted from 0 and there are as many as the store says.
pub async fn there_are_no_other_shards(store: &dyn Store) {
    let beyond = ShardId(store.info().shards);
    let lease = Lease { shard: beyond, epoch: Epoch(1), nonce: Nonce(1) };
    let acquired = store.acquire(beyond, "node-a", Nonce(1), LONG).await;
    assert!(matches!(acquired, Err(StoreError::NoSuchShard { .. })), "{acquired:?}");
    assert!(matches!(store.renew(lease, LONG).await, Err(StoreError::NoSuchShard { .. })));
    assert!(matches!(store.release(lease).await, Err(StoreError::NoSuchShard { .. })));
    assert!(matches!(store.open_sagas(beyond).await, Err(StoreError::NoSuchShard { .. })));
    let due = store.due(beyond, None, amends_engine::time::Timestamp(1), None, 1).await;
    assert!(matches!(due, Err(StoreError::NoSuchShard { .. })));
}

/// Every shard that was ever acquired, by shard, and nothing of the others.
pub async fn tenures_say_who_has_what(store: &dyn Store) {
    assert!(store.tenures().await.expect("readable").is_empty(), "nobody has had any");
    let last = ShardId(store.info().shards - 1);
    let second = store.acquire(last, "node-b", Nonce(2), LONG).await.expect("the shard is free").lease;
    let first = take(store, "node-a", 1, Duration::ZERO).await;
    let tenures = store.tenures().await.expect("readable");
    let seen: Vec<_> = tenures.iter().map(|it| (it.shard, it.epoch, it.nonce, it.node.as_str(), it.commits)).collect();
    let expected = [(first, "node-a"), (second, "node-b")];
    assert_eq!(seen, expected.map(|(lease, node)| (lease.shard, lease.epoch, lease.nonce, node, 0)));
    let now = store.now().await.expect("a clock");
    assert_eq!([tenures[0].is_held(now), tenures[1].is_held(now)], [false, true], "{tenures:?}");
    store.renew(first, LONG).await.expect("nobody took it");
    assert!(store.tenures().await.expect("readable")[0].is_held(now));
}

/// Its epoch stays: the next one must be higher.
pub async fn a_released_shard_has_no_holder(store: &dyn Store) {
    let lease = take(store, "node-a", 1, LONG).await;
    store.release(lease).await.expect("its own");
    let expected =
        Tenure { shard: SHARD, epoch: lease.epoch, nonce: Nonce(0), node: String::new(), held_until: None, commits: 0 };
    assert_eq!(store.tenures().await.expect("readable"), [expected]);
}
