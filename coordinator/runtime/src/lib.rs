//! Makes it happen, once: shard ownership, group commit, timers, participant calls, recovery.
//!
//! It decides nothing about a saga: that is `amends-engine`. One turn is: event → apply → prepare → commit → only then calls,
//! replies and notices. Only `seam.rs` touches clock, randomness and spawning, so that the simulation runs this very code under
//! virtual time and a seed. Invariants: nothing is called before its intent is durable; a node that lost a shard forgets all it
//! believed about it; one bad saga stops nobody else.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod alerts;
pub mod audit;
pub mod batch;
pub mod cluster;
mod committer;
pub mod config;
pub mod coordinator;
pub mod definitions;
pub mod error;
mod floor;
pub mod holds;
pub mod node;
#[cfg(test)]
mod ownership_model;
pub mod participant;
mod pattern;
mod planted;
pub mod retry;
pub mod seam;
mod shard;
pub mod snapshot;
mod stored;
mod sweeper;
pub mod telemetry;

pub use cluster::{Alone, Peers, Place, Word};
pub use config::RuntimeConfig;
pub use coordinator::{Answered, Ask, Awaited, Coordinator, Listed, Progress, Reconciled, Said, Start};
pub use error::{RequestError, UnreadableSaga};
pub use node::{Node, NodeParts};
pub use pattern::Pattern;
pub use shard::Waits;
pub use snapshot::Snapshot;
pub use telemetry::Telemetry;
