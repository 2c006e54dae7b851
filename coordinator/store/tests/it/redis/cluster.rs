//! A Cluster that moves slots and loses nodes.

use amends_redis_lab::{Cluster, Settings};
use amends_store::conformance::support::{LONG, Owner, key};
use amends_store::{Committed, RedisStore, ShardId, Store};

use super::conformance::options;

/// The slot of a shard's keys, as the Cluster counts.
fn slot(cluster: &Cluster, lease: &str) -> u16 {
    cluster.nodes[0].ask(&["CLUSTER", "KEYSLOT", lease])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moving_slot_stops_nobody_but_new_sagas() {
    let cluster = Cluster::start(&Settings::strict());
    let options = options(&cluster.url());
    let store = RedisStore::open(options.clone()).await.unwrap();
    let owner = Owner::of(&store, "node-a").await;
    let mine = (0..).map(|number| key(&format!("order-{number}")));
    let mine: Vec<_> =
        mine.filter(|key| amends_store::shard_of(key, store.info().shards) == ShardId(0)).take(3).collect();
    for key in &mine {
        owner.write(owner.draft(key, 0)).await;
    }
    let lease = format!("{{amends:{}:0}}:lease", options.name);
    let slot = slot(&cluster, &lease);
    let from = cluster.primary_of(&lease);
    let to = *cluster.primaries().iter().find(|place| **place != from).unwrap();
    cluster.begin_move(slot, from, to).unwrap();
    // Nothing has moved yet: all keys of an old saga are here.
    owner.write(owner.draft(&mine[0], 1)).await;
    while cluster.move_keys(slot, from, to, 100).unwrap() > 0 {}
    // All has moved, and the Cluster still calls the slot the old node's: it says ASK.
    owner.write(owner.draft(&mine[1], 1)).await;
    store.renew(owner.lease(&mine[1]), LONG).await.unwrap();
    cluster.end_move(slot, from, to).unwrap();
    owner.write(owner.draft(&mine[2], 1)).await;
    let new = (100..).map(|number| key(&format!("order-{number}")));
    let new = new.into_iter().find(|key| amends_store::shard_of(key, store.info().shards) == ShardId(0)).unwrap();
    owner.write(owner.draft(&new, 0)).await;
    for key in &mine {
        assert_eq!(owner.revision(key).await, 2, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_replica_has_what_was_acknowledged() {
    let mut cluster = Cluster::start(&Settings::strict());
    let options = options(&cluster.url());
    let store = RedisStore::open(options.clone()).await.unwrap();
    let owner = Owner::of(&store, "node-a").await;
    let keys: Vec<_> = (0..30).map(|number| key(&format!("order-{number}"))).collect();
    for key in &keys {
        owner.write(owner.draft(key, 0)).await;
    }
    let primary = cluster.primary_of(&format!("{{amends:{}:0}}:lease", options.name));
    let replica = cluster.replica_of(primary);
    cluster.nodes[primary].kill();
    cluster.wait_for_promotion(replica);
    cluster.nodes[primary].restart();
    cluster.wait_until_ready();
    for key in &keys {
        let begun = std::time::Instant::now();
        let commit = owner.draft(key, 1);
        loop {
            match owner.commit(commit.clone()).await {
                Ok(Committed::Now { .. } | Committed::Duplicate { .. }) => break,
                other => assert!(begun.elapsed().as_secs() < 60, "{key}: {other:?}"),
            }
        }
        assert_eq!(owner.revision(key).await, 2, "{key}");
    }
}
