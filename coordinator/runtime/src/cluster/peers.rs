//! What nodes tell each other directly, past the store.
//!
//! The channel must not share the store's fate: it is what a node learns about a store that lost commits. So it is a
//! connection from node to node (the server makes it gRPC). Losing a word costs time or a chance to notice a loss, never
//! safety. Invariant: whatever a peer says, this node writes nothing but under its own lease.

use std::fmt;

use amends_store::NodeRecord;
use async_trait::async_trait;

use super::marks::{Lost, Mark};
use crate::participant::Told;

/// What one node tells another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    /// Who says it.
    pub node: String,
    /// How far it saw each shard get.
    pub marks: Vec<Mark>,
    /// What is frozen with it.
    pub frozen: Vec<Lost>,
    /// It has just given back shards or registered something: look now, don't wait for the next heartbeat.
    pub news: bool,
    /// Which instances of participants it heard of late.
    pub instances: Vec<Told>,
}

/// The way to other nodes.
#[async_trait]
pub trait Peers: Send + Sync + fmt::Debug {
    /// Tells a node something, and gives what it says in turn; `None` where it can't be reached. Returns within about a second.
    async fn exchange(&self, with: &NodeRecord, word: Word) -> Option<Word>;
}

/// No way to any other node: for a store that only one process can use.
#[derive(Debug)]
pub struct Alone;

#[async_trait]
impl Peers for Alone {
    async fn exchange(&self, _: &NodeRecord, _: Word) -> Option<Word> {
        None
    }
}
