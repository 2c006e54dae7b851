//! `amends cluster …`: the nodes that share a store, the shards, and taking a node out of service.
//!
//! Any node answers for all of them. It never stops a process: whoever drained a node stops it, or starts it again to have it
//! back. Invariant: what is frozen is shown with why and what to do, whatever else the screen shows.

use amends_proto::v1::{DrainNodeRequest, ListNodesRequest, ListShardsRequest, Node, NodeState, Shard, ShardState};
use clap::{Args, Subcommand};

use crate::args::Common;
use crate::confirm::ask;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::output::{Tone, cell, harmless, table};
use crate::payload::to_json;
use crate::time::{age, until};
use crate::words::or_dash;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// List the nodes that share the store
    Nodes,
    /// List the shards and who has them
    Shards,
    /// Make a node give its shards to the others and take no more, before it is stopped
    Drain(Drain),
}

impl ClusterCommand {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        match self {
            Self::Nodes => nodes(common).await,
            Self::Shards => shards(common).await,
            Self::Drain(command) => command.run(common).await,
        }
    }
}

/// The flags of `cluster drain`.
#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// The node
    node: String,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
}

async fn nodes(common: &Common) -> Result<(), Failure> {
    let mut client = Connection::open(&common.address).await?.cluster();
    let answer = client.list_nodes(request(ListNodesRequest {})).await?.into_inner();
    common.output.print(|| to_json(&answer), || node_rows(&answer.nodes))
}

async fn shards(common: &Common) -> Result<(), Failure> {
    let mut client = Connection::open(&common.address).await?.cluster();
    let answer = client.list_shards(request(ListShardsRequest {})).await?.into_inner();
    common.output.print(|| to_json(&answer), || shard_rows(&answer.shards))
}

impl Drain {
    async fn run(self, common: &Common) -> Result<(), Failure> {
        let mut client = Connection::open(&common.address).await?.cluster();
        if !self.yes {
            let nodes = client.list_nodes(request(ListNodesRequest {})).await?.into_inner().nodes;
            let question =
                format!("Drain {}: the others take its shards, and only a restart brings it back.", self.node);
            ask(&node_rows(&nodes), &question)?;
        }
        let node = client.drain_node(request(DrainNodeRequest { node: self.node })).await?.into_inner();
        common.output.print(|| to_json(&node), || node_rows(std::slice::from_ref(&node)))
    }
}

fn node_rows(nodes: &[Node]) -> String {
    let rows = nodes.iter().map(|node| {
        let (state, tone) = match node.state() {
            NodeState::Serving => ("serving", Tone::Good),
            NodeState::Draining => ("draining", Tone::Notable),
            NodeState::Silent => ("silent", Tone::Bad),
            NodeState::Unspecified => ("-", Tone::Plain),
        };
        vec![
            cell(&node.name, Tone::Plain),
            cell(state, tone),
            cell(node.shards.to_string(), Tone::Plain),
            cell(or_dash(&node.address), Tone::Plain),
            cell(&node.version, Tone::Plain),
            cell(age(node.heard_time.as_ref()), Tone::Plain),
            cell(age(node.start_time.as_ref()), Tone::Plain),
        ]
    });
    table(&["NAME", "STATE", "SHARDS", "ADDRESS", "VERSION", "HEARD", "UP"], rows)
}

fn shard_rows(shards: &[Shard]) -> String {
    let rows = shards.iter().map(|shard| {
        let (state, tone) = match shard.state() {
            ShardState::Owned => ("owned", Tone::Good),
            ShardState::Free => ("free", Tone::Notable),
            ShardState::Frozen => ("frozen", Tone::Bad),
            ShardState::Unspecified => ("-", Tone::Plain),
        };
        vec![
            cell(shard.shard.to_string(), Tone::Plain),
            cell(state, tone),
            cell(or_dash(&shard.node), Tone::Plain),
            cell(shard.open_sagas.to_string(), Tone::Plain),
            cell(shard.commits.to_string(), Tone::Plain),
            cell(shard.epoch.to_string(), Tone::Plain),
            cell(shard.lease_until.as_ref().map_or_else(|| "-".to_owned(), until), Tone::Plain),
        ]
    });
    let table = table(&["SHARD", "STATE", "NODE", "OPEN", "COMMITS", "EPOCH", "LEASE ENDS"], rows);
    let frozen = shards.iter().filter(|shard| shard.state() == ShardState::Frozen);
    let messages: String = frozen.map(|shard| format!("\n{}\n", harmless(&shard.message))).collect();
    table + &messages
}
