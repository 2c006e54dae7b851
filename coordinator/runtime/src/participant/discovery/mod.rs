//! Finding a participant's addresses where they aren't registered: asking sources, and listening to instances.
//!
//! ```text
//!   follow     the shell: asks when it is time, hands answers on          instances  who registered itself, and is heard
//!     └ watch  pure: what an answer, a failure, an empty answer means       (pure)     └ told from node to node, never stored
//!                        └──────────► Directory: the addresses that calls use ◄──────────┘
//! ```
//!
//! Each node finds for itself and stores nothing. Invariants: while a source can't be asked its last answer counts; an empty answer
//! isn't taken as "all gone" at once; no address that egress refuses is handed on.

mod follow;
mod instances;
mod watch;

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::source::Source;
pub use follow::{FollowSettings, Follower, SourceState};
pub(super) use instances::Instances;
pub use instances::{HEARTBEAT_PERIOD, Heartbeat, INSTANCES_MAX, LIFETIME, Told, TooManyInstances};

/// Asks sources.
#[async_trait]
pub trait Find: Send + Sync + std::fmt::Debug {
    /// What a source says now. `since`: the [`Answer::index`] of the answer before, for sources that answer when something changes.
    /// A name without addresses is an answer; an error is that nobody could tell.
    async fn find(&self, source: &Source, since: u64) -> Result<Answer, FindError>;
}

/// What a source says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The addresses.
    pub found: Vec<Found>,
    /// How long the answer is good for.
    pub good_for: Duration,
    /// Of a source that numbers its answers; else 0.
    pub index: u64,
}

/// An address that a source named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Those of a lower one are called first: SRV's priority.
    pub priority: u16,
    /// Where it is.
    pub address: SocketAddr,
    /// Its weight beside others; 0 counts as 1.
    pub weight: u32,
}

/// Why a source can't tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FindError(pub String);
