//! The conformance suite on every kind of deployment, a store by another name for each check.

use std::sync::atomic::{AtomicU64, Ordering};

use amends_redis_lab::{Cluster, Program, SentinelSet, Server, Settings};
use amends_store::RedisStore;
use amends_store::conformance::CHECKS;
use amends_store::conformance::random::differential;
use amends_store::redis::{Address, RedisOptions};

use crate::support::SHARDS;

/// Options for a new store, which no other test has.
pub(super) fn options(address: &str) -> RedisOptions {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    RedisOptions { name, shards: Some(SHARDS), ..RedisOptions::new(Address::parse(address).expect("an address")) }
}

/// A new store on the server at this address.
pub(super) async fn store(address: &str) -> RedisStore {
    RedisStore::open(options(address)).await.expect("a server that is good enough")
}

async fn all_checks(address: &str) {
    for check in CHECKS {
        // Printed only when a check fails: which one it was.
        eprintln!("{check:?}");
        (check.run)(&store(address).await).await;
    }
}

#[tokio::test]
async fn a_standalone_server_keeps_every_promise() {
    let server = Server::start(&Settings::strict());
    all_checks(&server.url()).await;
}

#[tokio::test]
async fn it_agrees_with_memory_under_many_seeds() {
    let server = Server::start(&Settings::strict());
    for seed in 100..110 {
        differential(&store(&server.url()).await, seed, 300).await;
    }
}

/// It has `WAITAOF`, and another name.
#[tokio::test]
async fn valkey_keeps_every_promise() {
    let server = Server::start(&Settings::strict().on(Program::Valkey));
    all_checks(&server.url()).await;
}

#[tokio::test]
async fn a_master_under_sentinels_keeps_every_promise() {
    let set = SentinelSet::start(&Settings::strict());
    all_checks(&set.url()).await;
}

#[tokio::test]
async fn a_cluster_keeps_every_promise() {
    let cluster = Cluster::start(&Settings::strict());
    all_checks(&cluster.url()).await;
}
