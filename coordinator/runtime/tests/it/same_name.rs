//! Two processes of one name: the older makes way for as long as the later one is heard of, and no longer.
//!
//! Invariant: a word that a dead process left behind never keeps the only living one from its shards.

use std::sync::Arc;
use std::time::Duration;

use amends_runtime::participant::{Answer, Call, Directory, ParticipantCaller};
use amends_runtime::seam::Seams;
use amends_runtime::{Alone, Node, NodeParts, Place, RuntimeConfig};
use amends_store::{MemoryStore, NodeRecord, ShardId, Store as _};
use async_trait::async_trait;

const NAME: &str = "node-a";
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Nobody;

#[async_trait]
impl ParticipantCaller for Nobody {
    async fn call(&self, call: Call) -> Answer {
        panic!("{call:?}: there are no sagas")
    }
}

/// Waits until the only shard is with this node, or isn't any more.
async fn until_here(node: &Node, here: bool) {
    let mut placing = node.coordinator().placing();
    let settled = async {
        while (node.coordinator().place_of(ShardId(0)) == Place::Here) != here {
            placing.changed().await.expect("the node is there");
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.unwrap_or_else(|_| panic!("never: the shard is here: {here}"));
}

#[tokio::test]
async fn the_last_word_of_a_dead_predecessor_whose_clock_was_ahead_is_waited_out() {
    let seams = Seams::system();
    let clock = seams.clone();
    let store = Arc::new(MemoryStore::new(1, Arc::new(move || clock.now())));
    let config = RuntimeConfig {
        node: NAME.to_owned(),
        lease: Duration::from_millis(300),
        heartbeat: Duration::from_millis(50),
        ..RuntimeConfig::default()
    };
    let parts = NodeParts {
        config,
        store: store.clone(),
        caller: Arc::new(Nobody),
        directory: Arc::new(Directory::new()),
        peers: Arc::new(Alone),
        seams: seams.clone(),
        telemetry: Arc::default(),
    };
    let node = Node::start(parts).await;
    until_here(&node, true).await;
    let late = NodeRecord {
        name: NAME.to_owned(),
        address: String::new(),
        version: String::new(),
        started_at: seams.now() + Duration::from_secs(90),
        draining: false,
        heard_at: seams.now(),
    };
    store.heartbeat(&late).await.expect("heard");
    until_here(&node, false).await;
    until_here(&node, true).await;
    let nodes = store.nodes().await.expect("read");
    assert!(nodes.iter().all(|it| it.started_at < late.started_at), "its name is its own again: {nodes:?}");
    node.stop(PATIENCE).await;
}
