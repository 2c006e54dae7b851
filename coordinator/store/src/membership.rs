//! Who shares a store's shards, and who has which: the values of the contract that several nodes need.
//!
//! Nothing here judges whether a node is alive or a lease still counts: callers do, by age and by the store's clock.
//! Invariant: a shard's commit number goes up by one with every commit that the store accepts and never comes down; one that
//! did come down is how nodes notice that a store lost what it had confirmed (a fail-over, a restored backup).

use amends_engine::time::Timestamp;

use crate::contract::{Epoch, Lease, Nonce, ShardId};

/// What an acquisition gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquired {
    /// The right to write.
    pub lease: Lease,
    /// The shard's commit number at that moment; 0 before its first commit.
    pub commits: u64,
}

/// One process that shares the store's shards, as it last said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// Names this process: no other one alive has the same, nor had an earlier one that may still have leases.
    pub name: String,
    /// Where others reach its gRPC, as `http://host:port`.
    pub address: String,
    /// Which version of Amends it runs.
    pub version: String,
    /// When it started, by its own clock.
    pub started_at: Timestamp,
    /// Whether it takes no shards any more and gives back what it has.
    pub draining: bool,
    /// When it was last heard, by the store's clock. The store sets it; what a caller puts here is ignored.
    pub heard_at: Timestamp,
}

/// Who has a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenure {
    /// Which shard.
    pub shard: ShardId,
    /// The epoch of its present or last tenure.
    pub epoch: Epoch,
    /// That tenure's nonce; zero once it was released.
    pub nonce: Nonce,
    /// Whose it is; empty once it was released.
    pub node: String,
    /// Until when its lease is valid, by the store's clock; `None` once it was released.
    pub held_until: Option<Timestamp>,
    /// The shard's commit number.
    pub commits: u64,
}

impl Tenure {
    /// Whether a lease on it is still valid at this time of the store's clock.
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.held_until.is_some_and(|until| until > now)
    }
}
