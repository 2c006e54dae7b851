//! Replicas that don't confirm, and a fail-over.

use amends_redis_lab::{SentinelSet, Settings, wait_until};
use amends_store::conformance::support::{LONG, Owner, key};
use amends_store::{CommitError, Committed, Nonce, RedisStore, Severity, ShardId, Store, StoreError};

use super::conformance::options;

async fn under(set: &SentinelSet) -> RedisStore {
    RedisStore::open(options(&set.url())).await.unwrap()
}

/// Has the sentinels make the replica the master, though nothing is wrong with the old one.
fn fail_over(set: &SentinelSet) {
    let url = set.url();
    let (_, name) = url.rsplit_once('/').unwrap();
    set.sentinels[0].ask::<()>(&["SENTINEL", "FAILOVER", name]);
}

/// Written on the master, and nobody may act on it: it is unknown until the replica has it, and then it was a success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_its_replica_has_not_got_is_not_acknowledged() {
    let set = SentinelSet::start(&Settings::strict());
    let store = under(&set).await;
    assert!(store.info().durability.contains("confirmed by every replica"), "{}", store.info().durability);
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    set.servers[1].pause();
    let commit = owner.draft(&key("order-1"), 1);
    let answer = owner.commit(commit.clone()).await;
    let Err(CommitError::Ambiguous(why)) = answer else { panic!("{answer:?}") };
    assert!(why.to_string().contains("confirmed by 0 of 1 replicas"), "{why}");
    // A repeat proves nothing about the first copy either, as long as the replica is away.
    let answer = owner.commit(commit.clone()).await;
    assert!(matches!(answer, Err(CommitError::Ambiguous(_))), "{answer:?}");
    // And no other owner begins with what isn't confirmed.
    let answer = store.acquire(ShardId(0), "node-a", Nonce(5), LONG).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    set.servers[1].resume();
    let owner = confirmed_owner(&store).await;
    let commit = amends_store::Commit { lease: owner.lease(&key("order-1")), ..commit };
    let answer = owner.commit(commit).await;
    assert!(matches!(answer, Ok(Committed::Duplicate { .. })), "{answer:?}");
}

/// The owner of all shards as soon as the store lets anybody be it.
async fn confirmed_owner(store: &RedisStore) -> Owner<'_> {
    let begun = std::time::Instant::now();
    let mut leases = Vec::new();
    for shard in (0..store.info().shards).map(ShardId) {
        loop {
            let nonce = Nonce(amends_store::conformance::support::fresh_op().0);
            match store.acquire(shard, "node-a", nonce, LONG).await {
                Ok(acquired) => break leases.push(acquired.lease),
                Err(error) => assert!(begun.elapsed().as_secs() < 60, "not within a minute: {error:?}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    Owner { store, leases }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fail_over_keeps_what_was_acknowledged_and_the_store_finds_the_new_master() {
    let mut set = SentinelSet::start(&Settings::strict());
    let store = under(&set).await;
    let owner = Owner::of(&store, "node-a").await;
    let keys: Vec<_> = (0..20).map(|number| key(&format!("order-{number}"))).collect();
    for key in &keys {
        owner.write(owner.draft(key, 0)).await;
    }
    let primary = set.primary();
    set.servers[primary].kill();
    let answer = owner.commit(owner.draft(&keys[0], 1)).await;
    assert!(matches!(answer, Err(CommitError::Ambiguous(_))), "{answer:?}");
    set.wait_for_fail_over(primary);
    // Alone it takes nothing: its own min-replicas-to-write holds, until the old master is back as its replica.
    set.servers[primary].restart();
    let owner = confirmed_owner(&store).await;
    for key in &keys {
        assert_eq!(owner.revision(key).await, 1, "{key} was acknowledged");
    }
    let answer = owner.commit(owner.draft(&keys[0], 1)).await;
    assert!(matches!(answer, Ok(Committed::Now { .. })), "{answer:?}");
}

/// The old master stays reachable, with its connections open, and stops at what it had: nobody reads it any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acquired_on_the_new_master_is_not_read_from_the_old_one() {
    let set = SentinelSet::start(&Settings::strict());
    let store = under(&set).await;
    let owner = Owner::of(&store, "node-a").await;
    let key = key("order-1");
    owner.write(owner.draft(&key, 0)).await;
    assert_eq!(owner.revision(&key).await, 1, "the read's connection is open");
    let primary = set.primary();
    fail_over(&set);
    set.wait_for_fail_over(primary);
    wait_until("the old master to follow", || (!set.servers[primary].is_primary()).then_some(()));
    let owner = confirmed_owner(&store).await;
    let commit = owner.draft(&key, 1);
    // The old one follows nobody for a while, and the new one takes writes all the same.
    set.servers[set.primary()].configure("min-replicas-to-write", "0");
    set.servers[primary].ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let answer = owner.commit(commit).await;
    let Err(CommitError::Ambiguous(why)) = answer else { panic!("{answer:?}") };
    assert!(why.to_string().contains("confirmed by 0 of 1 replicas"), "{why}");
    assert_eq!(owner.revision(&key).await, 2, "read where it was written");
}

/// Demoted under our feet, with its connections open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_master_is_left() {
    let set = SentinelSet::start(&Settings::strict());
    let store = under(&set).await;
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    let primary = set.primary();
    fail_over(&set);
    set.wait_for_fail_over(primary);
    wait_until("the old master to follow", || (!set.servers[primary].is_primary()).then_some(()));
    let owner = confirmed_owner(&store).await;
    let commit = owner.draft(&key("order-1"), 1);
    // The first one meets the broken connection.
    if owner.commit(commit.clone()).await.is_err() {
        owner.commit(commit).await.unwrap();
    }
    assert_eq!(owner.revision(&key("order-1")).await, 2);
}

/// Redis 7.0 confirms by `WAIT`, which says nothing about the replica's disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_without_a_log_is_refused_and_the_sentinels_are_asked() {
    let set = SentinelSet::start(&Settings::strict());
    let options = options(&set.url());
    let said = async |words: &str| {
        let findings = RedisStore::examine(options.clone()).await.unwrap();
        let found = findings.iter().find(|finding| finding.message.contains(words));
        found.unwrap_or_else(|| panic!("nobody says {words:?}: {findings:#?}")).severity
    };
    assert_eq!(said("keeps an append-only file").await, Severity::Info);
    assert_eq!(said("a fail-over is possible").await, Severity::Info);
    let store = RedisStore::open(options.clone()).await.unwrap();
    let replica = &set.servers[1 - set.primary()];
    replica.configure("appendonly", "no");
    assert_eq!(said("Write `appendonly yes` in the replica's redis.conf").await, Severity::Error);
    let error = RedisStore::open(options.clone()).await.expect_err("refused").to_string();
    assert!(error.contains("the replica's redis.conf"), "{error}");
    store.look().await;
    let answer = store.acquire(ShardId(0), "node-a", Nonce(1), LONG).await;
    assert!(matches!(answer, Err(StoreError::Frozen(_))), "{answer:?}");
    replica.configure("appendonly", "yes");
    store.look().await;
    store.acquire(ShardId(0), "node-a", Nonce(2), LONG).await.expect("mended");
}
