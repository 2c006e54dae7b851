//! Membership: which nodes share the store, as they last said of themselves.
//!
//! Nothing here judges a node's age; the store only keeps what it was told, and when.

use amends_engine::time::Timestamp;

use crate::contract::*;

fn node(name: &str) -> NodeRecord {
    NodeRecord {
        name: name.into(),
        address: format!("http://{name}:7500"),
        version: "1.2.3".into(),
        started_at: Timestamp(1_000),
        draining: false,
        heard_at: Timestamp(0),
    }
}

async fn names(store: &dyn Store) -> Vec<String> {
    store.nodes().await.expect("readable").into_iter().map(|node| node.name).collect()
}

/// All that were heard, by name, whatever the order in which they came.
pub async fn every_node_that_was_heard_is_listed(store: &dyn Store) {
    assert!(store.nodes().await.expect("readable").is_empty(), "nobody yet");
    for name in ["node-b", "node-c", "node-a"] {
        store.heartbeat(&node(name)).await.expect("writable");
    }
    assert_eq!(names(store).await, ["node-a", "node-b", "node-c"]);
}

/// The last word counts, field by field.
pub async fn a_node_replaces_what_it_said_before(store: &dyn Store) {
    store.heartbeat(&node("node-a")).await.expect("writable");
    let later = NodeRecord {
        address: "http://elsewhere:1".into(),
        version: "1.2.4".into(),
        started_at: Timestamp(2_000),
        draining: true,
        ..node("node-a")
    };
    store.heartbeat(&later).await.expect("writable");
    let found = store.nodes().await.expect("readable");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(NodeRecord { heard_at: Timestamp(0), ..found[0].clone() }, later);
}

/// By the store's clock, which is the only one that all nodes share; not by what the node says.
pub async fn the_store_says_when_a_node_was_heard(store: &dyn Store) {
    let before = store.now().await.expect("a clock");
    for claimed in [0, u64::MAX] {
        store.heartbeat(&NodeRecord { heard_at: Timestamp(claimed), ..node("node-a") }).await.expect("writable");
        let after = store.now().await.expect("a clock");
        let heard = store.nodes().await.expect("readable")[0].heard_at;
        assert!(before <= heard && heard <= after, "{heard:?} between {before:?} and {after:?}");
    }
}

/// Only that one, and again as often as one likes; it may come back.
pub async fn a_forgotten_node_is_gone(store: &dyn Store) {
    for name in ["node-a", "node-b"] {
        store.heartbeat(&node(name)).await.expect("writable");
    }
    store.forget_node("node-a").await.expect("writable");
    store.forget_node("node-a").await.expect("not an error");
    assert_eq!(names(store).await, ["node-b"]);
    store.heartbeat(&node("node-a")).await.expect("writable");
    assert_eq!(names(store).await, ["node-a", "node-b"]);
}

/// Membership says who is there, leases say who writes; neither changes the other.
pub async fn a_forgotten_node_keeps_its_shards(store: &dyn Store) {
    store.heartbeat(&node("node-a")).await.expect("writable");
    let lease = store.acquire(ShardId(0), "node-a", Nonce(1), super::support::LONG).await.expect("free").lease;
    store.forget_node("node-a").await.expect("writable");
    store.renew(lease, super::support::LONG).await.expect("its own");
    assert_eq!(store.tenures().await.expect("readable")[0].node, "node-a");
}
