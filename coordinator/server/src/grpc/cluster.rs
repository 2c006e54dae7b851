//! Service Cluster: the nodes, the shards, and taking a node out of service.
//!
//! Any node answers: who is there and who has what is in the store, and what is frozen is what nodes tell each other. It
//! changes nothing but this very node. Invariant: a node is drained only where another one could take its shards.

use std::cmp::Reverse;
use std::time::Duration;

use amends_proto::v1;
use amends_proto::v1::cluster_client::ClusterClient;
use amends_proto::v1::cluster_server::Cluster;
use amends_runtime::Place;
use amends_store::{Finding, NodeRecord, Severity, ShardId, StoreInfo, Tenure};
use futures::future::join_all;
use tonic::{Request, Response, Status};

use super::Api;
use super::FORWARDED;
use super::caller;
use super::status::Refusal;
use super::to_proto::timestamp;

/// How long a drain is waited for before it is answered; it goes on either way.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// The method that is sent on to the node that is to drain.
const DRAIN_PATH: &str = "/amends.v1.Cluster/DrainNode";

#[tonic::async_trait]
impl Cluster for Api {
    async fn list_nodes(&self, _: Request<v1::ListNodesRequest>) -> Result<Response<v1::ListNodesResponse>, Status> {
        Ok(Response::new(v1::ListNodesResponse { nodes: self.nodes().await? }))
    }

    async fn list_shards(&self, _: Request<v1::ListShardsRequest>) -> Result<Response<v1::ListShardsResponse>, Status> {
        Ok(Response::new(v1::ListShardsResponse { shards: self.shards().await? }))
    }

    async fn drain_node(&self, request: Request<v1::DrainNodeRequest>) -> Result<Response<v1::Node>, Status> {
        let name = request.get_ref().node.clone();
        let principal = caller::principal(&request)?;
        if name == self.coordinator.node() {
            return Ok(Response::new(self.drain_this_one(principal).await?));
        }
        let nodes = self.coordinator.store().nodes().await.map_err(Refusal::from)?;
        let found = nodes.into_iter().find(|node| node.name == name);
        let node = found.ok_or_else(|| Refusal::NoSuchNode(name.clone()))?;
        if request.metadata().contains_key(FORWARDED) {
            return Err(Refusal::NodeUnreachable(name).into());
        }
        let unreachable = |_| Refusal::NodeUnreachable(name.clone());
        let channel = self.channels.to(&node.address).map_err(unreachable)?;
        let mut onward = Request::new(v1::DrainNodeRequest { node: node.name });
        *onward.metadata_mut() = self.marked(DRAIN_PATH, &principal);
        ClusterClient::new(channel).drain_node(onward).await
    }

    async fn get_store(&self, _: Request<v1::GetStoreRequest>) -> Result<Response<v1::StoreState>, Status> {
        Ok(Response::new(self.store_state().await?))
    }
}

impl Api {
    async fn nodes(&self) -> Result<Vec<v1::Node>, Refusal> {
        let store = self.coordinator.store();
        let now = store.now().await?;
        let (nodes, tenures) = (store.nodes().await?, store.tenures().await?);
        let shown = |node: NodeRecord| {
            let has = |tenure: &&Tenure| tenure.node == node.name && tenure.is_held(now);
            let silent = now.since(node.heard_at) >= self.coordinator.silence();
            let state = match node.draining {
                _ if silent => v1::NodeState::Silent,
                true => v1::NodeState::Draining,
                false => v1::NodeState::Serving,
            };
            v1::Node {
                shards: u32::try_from(tenures.iter().filter(has).count()).unwrap_or(u32::MAX),
                name: node.name,
                address: node.address,
                version: node.version,
                start_time: Some(timestamp(node.started_at)),
                heard_time: Some(timestamp(node.heard_at)),
                state: state.into(),
            }
        };
        Ok(nodes.into_iter().map(shown).collect())
    }

    async fn shards(&self) -> Result<Vec<v1::Shard>, Refusal> {
        let store = self.coordinator.store();
        let (now, tenures) = (store.now().await?, store.tenures().await?);
        let all = (0..store.info().shards).map(ShardId);
        let open = join_all(all.clone().map(|shard| store.open_sagas(shard))).await;
        let mut shards = Vec::new();
        for (shard, open) in all.zip(open) {
            let tenure = tenures.iter().find(|tenure| tenure.shard == shard);
            let held = tenure.filter(|tenure| tenure.is_held(now));
            let (state, message) = match self.coordinator.place_of(shard) {
                Place::Frozen(lost) => (v1::ShardState::Frozen, lost.to_string()),
                _ if held.is_some() => (v1::ShardState::Owned, String::new()),
                Place::Here | Place::At { .. } | Place::Nowhere => (v1::ShardState::Free, String::new()),
            };
            shards.push(v1::Shard {
                shard: shard.0.into(),
                state: state.into(),
                node: held.map(|tenure| tenure.node.clone()).unwrap_or_default(),
                epoch: tenure.map_or(0, |tenure| tenure.epoch.0),
                lease_until: held.and_then(|tenure| tenure.held_until).map(timestamp),
                commits: tenure.map_or(0, |tenure| tenure.commits),
                open_sagas: open?,
                message,
            });
        }
        Ok(shards)
    }

    async fn store_state(&self) -> Result<v1::StoreState, Refusal> {
        let store = self.coordinator.store();
        let StoreInfo { kind, id, shards, durability, strict } = store.info();
        let mut found = store.glance().await?;
        found.sort_by_key(|finding| Reverse(finding.severity));
        let shown = |Finding { severity, message }| {
            let severity = match severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Info => "info",
            };
            v1::StoreFinding { severity: severity.to_owned(), message }
        };
        Ok(v1::StoreState {
            kind: kind.to_owned(),
            id,
            shards: shards.into(),
            durability: durability.to_owned(),
            strict,
            findings: found.into_iter().map(shown).collect(),
        })
    }

    async fn drain_this_one(&self, principal: String) -> Result<v1::Node, Refusal> {
        if !self.coordinator.has_heir() {
            return Err(Refusal::NoHeir);
        }
        let node = self.coordinator.node();
        tracing::info!(node, principal, "this node gives back its shards and takes no more");
        if tokio::time::timeout(DRAIN_PATIENCE, self.coordinator.drain()).await.is_err() {
            tracing::warn!("some shards aren't given back yet");
        }
        let nodes = self.nodes().await?;
        nodes.into_iter().find(|it| it.name == node).ok_or_else(|| Refusal::NoSuchNode(node.to_owned()))
    }
}
