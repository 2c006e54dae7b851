//! A running node: its membership, its shards, its group commit, its sweeper; started and stopped as one.
//!
//! It has no loop of its own. Invariant: after [`Node::stop`] nothing of the node runs any more, and its shards can be taken
//! at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use amends_store::{ShardId, Store};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::alerts::{self, Alerts};
use crate::cluster::{Cluster, Membership, Peers};
use crate::config::RuntimeConfig;
use crate::coordinator::{Coordinator, CoordinatorParts};
use crate::definitions::Definitions;
use crate::floor::Floor;
use crate::holds::Holds;
use crate::participant::protection::Protection;
use crate::participant::{Directory, ParticipantCaller};
use crate::seam::{Seams, sleep, spawn};
use crate::shard::{self, ShardContext, Shared};
use crate::telemetry::Telemetry;
use crate::{batch, committer, sweeper};

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
    /// The way to other nodes of the store.
    pub peers: Arc<dyn Peers>,
    /// Clock and randomness.
    pub seams: Seams,
    /// What it tells about itself.
    pub telemetry: Arc<Telemetry>,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    coordinator: Coordinator,
    name: String,
    shards: Vec<JoinHandle<()>>,
    helpers: Vec<JoinHandle<()>>,
}

impl Node {
    /// Joins whoever shares the store. The shards that this node should have acquire their leases and load what is due by
    /// themselves; a store that doesn't answer is asked until it does.
    pub async fn start(parts: NodeParts) -> Self {
        Self::start_telling(parts, None).await
    }

    /// As [`Node::start`]; what happens is told to others.
    pub async fn start_telling(parts: NodeParts, alerts: Option<Arc<Alerts>>) -> Self {
        let NodeParts { config, store, caller, directory, peers, seams, telemetry } = parts;
        let config = Arc::new(config);
        let definitions = Definitions::new(store.clone());
        let info = store.info();
        let name = config.node.clone();
        let cluster = Arc::new(Cluster::new(info.shards, name, peers, directory.clone(), seams.clone()));
        let floor = Arc::new(Floor::new(info.id, config.retention));
        let protection = Arc::new(Protection::new(directory.clone(), cluster.clone(), seams.clone()));
        let holds = Arc::new(Holds::new(store.clone()));
        let shared = Arc::new(Shared {
            store: store.clone(),
            floor: floor.clone(),
            definitions: definitions.clone(),
            directory: directory.clone(),
            caller: caller.clone(),
            protection: protection.clone(),
            holds: holds.clone(),
            seams: seams.clone(),
            telemetry: telemetry.clone(),
            alerts: alerts.clone(),
        });
        let (commits, queue) = mpsc::unbounded_channel();
        let mut helpers = vec![spawn(committer::run(store.clone(), queue, config.group_max))];
        let mut shards = Vec::new();
        let mut senders = Vec::new();
        for number in 0..info.shards {
            let (sender, requests) = mpsc::channel(config.requests_max);
            let context = ShardContext {
                shard: ShardId(number),
                config: config.clone(),
                shared: shared.clone(),
                seams: seams.clone(),
                commits: commits.clone(),
                cluster: cluster.clone(),
            };
            senders.push(sender);
            shards
                .extend(cluster.orders(context.shard).map(|orders| spawn(shard::supervise(context, requests, orders))));
        }
        helpers.push(spawn(protection.clone().run()));
        helpers.push(spawn(sweeper::run(store.clone(), floor.clone(), seams.clone())));
        if let Some(alerts) = alerts {
            helpers.push(spawn(alerts::watch_over(alerts, cluster.clone(), store.clone(), seams.clone())));
        }
        let membership = Membership {
            config: config.clone(),
            store: store.clone(),
            definitions: definitions.clone(),
            holds: holds.clone(),
            cluster: cluster.clone(),
            started_at: seams.now(),
            said: AtomicBool::new(false),
        };
        membership.begin().await;
        helpers.push(spawn(membership.run()));
        let name = config.node.clone();
        let batches = Arc::new(batch::Nudge::default());
        let coordinator = Coordinator::new(CoordinatorParts {
            config: (*config).clone(),
            store,
            definitions,
            directory,
            protection,
            holds,
            floor: floor.clone(),
            caller,
            seams,
            cluster,
            shards: senders,
            telemetry,
            batches: batches.clone(),
        });
        helpers.push(spawn(batch::run(coordinator.clone(), batches)));
        Self { coordinator, name, shards, helpers }
    }

    /// The handle for requests.
    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// Stops: no new requests; what is under way is recorded for at most `grace`, and much less where another node can take
    /// over; leases are given back.
    pub async fn stop(mut self, grace: Duration) {
        tokio::select! {
            biased;
            () = self.coordinator.drain() => {}
            () = sleep(grace) => tracing::warn!("the grace period is over; calls under way are left to whoever comes next"),
        }
        // First, so that no last heartbeat brings the record back.
        self.kill();
        if let Err(error) = self.coordinator.store().forget_node(&self.name).await {
            tracing::debug!(%error, "this node's record stays until others find it silent");
        }
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
