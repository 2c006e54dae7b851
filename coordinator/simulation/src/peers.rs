//! The way from node to node, as one life of a node sees it: a wire that delays and loses, to nodes that may stand still.
//!
//! Invariant: what arrives is what was said; nothing is made up.

use std::sync::Arc;
use std::time::Duration;

use amends_runtime::{Peers, Word};
use amends_store::NodeRecord;
use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::time::timeout;

use crate::faults::{Boundary, Channel};
use crate::process::Process;
use crate::wire::{Departure, Heard, Wire};
use crate::world::World;

/// How long a word is waited for, as over a real connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// A node's way to other nodes.
#[derive(Debug)]
pub(crate) struct SimulatedPeers {
    wire: Wire,
}

impl SimulatedPeers {
    pub(crate) fn new(world: Arc<World>, process: Arc<Process>) -> Self {
        Self { wire: Wire { world, process } }
    }

    async fn carry(&self, to: &str, word: &Word) -> Option<Word> {
        let Departure::Leaves(fault) = self.wire.depart(Boundary::Word, None).await else { return None };
        let arrive = || -> BoxFuture<'static, Option<Word>> {
            let (world, to, word) = (self.wire.world.clone(), to.to_owned(), word.clone());
            Box::pin(async move {
                let node = world.node_named(&to)?;
                // A dead one never hears it.
                timeout(PATIENCE, node.process.runs()).await.ok()?;
                Some(node.coordinator.hear(word))
            })
        };
        match self.wire.send(fault, self.wire.delays(Channel::Peer), arrive).await {
            Heard::Answer(answer) => answer,
            Heard::Misled(_) | Heard::Silence | Heard::Refused => None,
        }
    }
}

#[async_trait]
impl Peers for SimulatedPeers {
    async fn exchange(&self, with: &NodeRecord, word: Word) -> Option<Word> {
        let answer = timeout(PATIENCE, self.carry(&with.name, &word)).await.ok().flatten();
        self.wire.process.runs().await;
        answer
    }
}
