//! Commit numbers: one more for each commit that the store accepts, none for any other, and never down.
//!
//! A number that fell is how nodes notice that a store has lost what it confirmed, so nothing here may make one fall.

use super::support::{LONG, Owner, fresh_op, key};
use crate::contract::*;
use crate::error::CommitError;

/// Keys of one shard, so that their commits share its number.
fn keys_of_one_shard(store: &dyn Store, many: usize) -> Vec<amends_engine::ids::SagaKey> {
    let shards = store.info().shards;
    let keys = (0..).map(|number| key(&format!("order-{number}")));
    keys.filter(|key| shard_of(key, shards) == ShardId(0)).take(many).collect()
}

async fn number_of(store: &dyn Store, shard: ShardId) -> u64 {
    let tenures = store.tenures().await.expect("readable");
    tenures.iter().find(|tenure| tenure.shard == shard).map_or(0, |tenure| tenure.commits)
}

/// By one, across sagas, calls and batches, and each answer says its own.
pub async fn each_accepted_commit_gets_the_next_number(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let keys = keys_of_one_shard(store, 3);
    let first = owner.commit(owner.draft(&keys[0], 0)).await.expect("accepted");
    assert_eq!(first, Committed::Now { number: 1 });
    let batch = vec![owner.draft(&keys[1], 0), owner.draft(&keys[2], 0), owner.draft(&keys[0], 1)];
    let answers: Vec<u64> =
        store.commit(batch).await.into_iter().map(|answer| answer.expect("accepted").number()).collect();
    assert_eq!(answers, [2, 3, 4]);
    assert_eq!(number_of(store, ShardId(0)).await, 4, "as all nodes see it");
}

/// A repeat counts once; it is told the number as it is now, so that whoever lost the first answer isn't behind.
pub async fn a_repeat_gets_no_number_of_its_own(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let keys = keys_of_one_shard(store, 2);
    let first = owner.draft(&keys[0], 0);
    owner.write(first.clone()).await;
    owner.write(owner.draft(&keys[1], 0)).await;
    let again = owner.commit(first).await.expect("a success");
    assert_eq!(again, Committed::Duplicate { number: 2 });
    let next = owner.commit(owner.draft(&keys[1], 1)).await.expect("accepted");
    assert_eq!(next, Committed::Now { number: 3 });
}

/// Whatever the reason was.
pub async fn a_rejected_commit_gets_no_number(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let keys = keys_of_one_shard(store, 2);
    owner.write(owner.draft(&keys[0], 0)).await;
    let forged = Commit { lease: Lease { nonce: Nonce(0), ..owner.lease(&keys[1]) }, ..owner.draft(&keys[1], 0) };
    let overwrites =
        Commit { history: vec![(0, "one".into()), (0, "two".into())], op: fresh_op(), ..owner.draft(&keys[1], 0) };
    let answers = store.commit(vec![owner.draft(&keys[0], 7), forged, overwrites]).await;
    assert!(matches!(answers[0], Err(CommitError::Stale { .. })), "{answers:?}");
    assert!(matches!(answers[1], Err(CommitError::Fenced)), "{answers:?}");
    assert!(matches!(answers[2], Err(CommitError::Overwrite { .. })), "{answers:?}");
    assert_eq!(number_of(store, ShardId(0)).await, 1);
}

/// One shard's commits say nothing about another's.
pub async fn each_shard_counts_for_itself(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let mut expected = vec![0; usize::from(store.info().shards)];
    for number in 0..20 {
        let key = key(&format!("order-{number}"));
        let shard = usize::from(owner.lease(&key).shard.0);
        expected[shard] += 1;
        let answer = owner.commit(owner.draft(&key, 0)).await.expect("accepted");
        assert_eq!(answer.number(), expected[shard], "{key}");
    }
}

/// It belongs to the shard, not to a tenure: who takes the shard goes on from there, and is told so.
pub async fn the_number_outlives_its_owner(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let keys = keys_of_one_shard(store, 2);
    owner.write(owner.draft(&keys[0], 0)).await;
    owner.write(owner.draft(&keys[0], 1)).await;
    let again = store.acquire(ShardId(0), "node-a", Nonce(fresh_op().0), LONG).await.expect("its own");
    assert_eq!(again.commits, 2);
    store.release(again.lease).await.expect("its own");
    assert_eq!(number_of(store, ShardId(0)).await, 2, "nobody has it, and it has its number");
    let next = store.acquire(ShardId(0), "node-b", Nonce(fresh_op().0), LONG).await.expect("given back");
    assert_eq!(next.commits, 2);
    let commit = Commit { lease: next.lease, ..owner.draft(&keys[1], 0) };
    assert_eq!(owner.commit(commit).await.expect("accepted"), Committed::Now { number: 3 });
}
