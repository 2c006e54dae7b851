//! The way from node to node, as one life of a node sees it: a wire that delays and loses, to nodes that may stand still.
//!
//! Invariant: what arrives is what was said; nothing is made up.

use std::sync::Arc;
use std::time::Duration;

use amends_runtime::{Peers, Word};
use amends_store::NodeRecord;
use async_trait::async_trait;
use tokio::time::{sleep, timeout};

use crate::process::Process;
use crate::world::World;

/// How long a word is waited for, as over a real connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// A node's way to other nodes.
#[derive(Debug)]
pub(crate) struct SimulatedPeers {
    world: Arc<World>,
    process: Arc<Process>,
}

impl SimulatedPeers {
    pub(crate) fn new(world: Arc<World>, process: Arc<Process>) -> Self {
        Self { world, process }
    }

    async fn carry(&self, to: &str, word: Word) -> Option<Word> {
        sleep(self.world.peers.millis(0, 5)).await;
        let node = self.world.node_named(to).filter(|_| !self.world.faults.loses_word())?;
        node.process.runs().await;
        let answer = node.coordinator.hear(word);
        sleep(self.world.peers.millis(0, 5)).await;
        (!self.world.faults.loses_word()).then_some(answer)
    }
}

#[async_trait]
impl Peers for SimulatedPeers {
    async fn exchange(&self, with: &NodeRecord, word: Word) -> Option<Word> {
        self.process.runs().await;
        let answer = timeout(PATIENCE, self.carry(&with.name, word)).await.ok().flatten();
        self.process.runs().await;
        answer
    }
}
