//! A running node: its shards, its group commit, its sweeper; started and stopped as one.
//!
//! It has no loop of its own. Invariant: after [`Node::stop`] nothing of the node runs any more, and its shards can be taken
//! at once.

use std::sync::Arc;
use std::time::Duration;

use amends_store::{ShardId, Store, StoreError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::RuntimeConfig;
use crate::coordinator::Coordinator;
use crate::definitions::Definitions;
use crate::floor::Floor;
use crate::participant::{Directory, ParticipantCaller};
use crate::seam::{Seams, sleep, spawn};
use crate::shard::{self, ShardContext, Shared};
use crate::{committer, sweeper};

/// What a node is built from.
#[derive(Debug)]
pub struct NodeParts {
    /// Its settings.
    pub config: RuntimeConfig,
    /// Its store.
    pub store: Arc<dyn Store>,
    /// How it calls participants.
    pub caller: Arc<dyn ParticipantCaller>,
    /// Where participants are found; filled from the store at start.
    pub directory: Arc<Directory>,
    /// Clock and randomness.
    pub seams: Seams,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    coordinator: Coordinator,
    /// One per shard: tokio's `watch` wakes several receivers in an order of its own chance, which no seed could replay.
    stops: Vec<watch::Sender<bool>>,
    shards: Vec<JoinHandle<()>>,
    helpers: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts all shards. They acquire their leases and load what is due by themselves.
    pub async fn start(parts: NodeParts) -> Result<Self, StoreError> {
        let NodeParts { config, store, caller, directory, seams } = parts;
        let config = Arc::new(config);
        let definitions = Definitions::new(store.clone());
        let info = store.info();
        let floor = Arc::new(Floor::new(info.id, config.retention));
        let shared = Arc::new(Shared {
            store: store.clone(),
            floor: floor.clone(),
            definitions: definitions.clone(),
            directory: directory.clone(),
            caller,
            seams: seams.clone(),
        });
        let (commits, queue) = mpsc::unbounded_channel();
        let mut helpers = vec![spawn(committer::run(store.clone(), queue, config.group_max))];
        let mut shards = Vec::new();
        let mut senders = Vec::new();
        let mut stops = Vec::new();
        for number in 0..info.shards {
            let (sender, requests) = mpsc::channel(config.requests_max);
            let context = ShardContext {
                shard: ShardId(number),
                config: config.clone(),
                shared: shared.clone(),
                seams: seams.clone(),
                commits: commits.clone(),
            };
            let (stop, stopped) = watch::channel(false);
            senders.push(sender);
            stops.push(stop);
            shards.push(spawn(shard::supervise(context, requests, stopped)));
        }
        helpers.push(spawn(sweeper::run(store.clone(), floor, seams.clone())));
        let coordinator = Coordinator::new((*config).clone(), store, definitions, directory, seams, senders);
        Ok(Self { coordinator, stops, shards, helpers })
    }

    /// The handle for requests.
    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// Stops: no new requests, answers that are under way are recorded for at most `grace`, leases are given back.
    pub async fn stop(mut self, grace: Duration) {
        for stop in &self.stops {
            // Nobody is listening where a shard has ended already.
            let _ = stop.send(true);
        }
        let all = async {
            for shard in &mut self.shards {
                // A shard that panicked has nothing left to record.
                let _ = shard.await;
            }
        };
        tokio::select! {
            biased;
            () = all => {}
            () = sleep(grace) => tracing::warn!("the grace period is over; calls under way are left to whoever comes next"),
        }
        self.kill();
    }

    /// Ends everything at once, as a crash would: for tests and the simulation.
    pub fn kill(&mut self) {
        for running in self.shards.iter().chain(&self.helpers) {
            running.abort();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
