//! The message of a node's record, format 1.
//!
//! Without when it was heard: the store sets that itself, and keeps it beside the record. Invariant: field numbers and
//! meanings never change within a format.

use amends_engine::time::Timestamp;
use prost::Message;

use crate::contract::NodeRecord;

/// A node as it said of itself.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct NodeMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    address: String,
    #[prost(string, tag = "3")]
    version: String,
    #[prost(uint64, tag = "4")]
    started_at: u64,
    #[prost(bool, tag = "5")]
    draining: bool,
}

impl From<&NodeRecord> for NodeMessage {
    fn from(node: &NodeRecord) -> Self {
        Self {
            name: node.name.clone(),
            address: node.address.clone(),
            version: node.version.clone(),
            started_at: node.started_at.0,
            draining: node.draining,
        }
    }
}

impl NodeMessage {
    /// The record, heard then.
    pub(super) fn heard(self, heard_at: Timestamp) -> NodeRecord {
        let Self { name, address, version, started_at, draining } = self;
        NodeRecord { name, address, version, started_at: Timestamp(started_at), draining, heard_at }
    }
}
