//! What Amends remembers: the contract ([`contract`]), the reference in memory, the embedded SQLite, Redis, the suite that
//! proves them equal, and the way from one to another ([`transfer`]).
//!
//! It never decides anything about a saga. Records are versioned protobuf ([`record`]); every released format stays readable,
//! which golden fixtures prove.

mod cell;
pub mod census;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod contract;
pub mod documents;
pub mod error;
pub mod logs;
mod members;
pub mod membership;
pub mod memory;
mod narrow;
mod planted;
pub mod record;
pub mod redis;
pub mod sqlite;
mod stats;
pub mod transfer;

pub use contract::*;
pub use error::{Class, CommitError, StoreError};
pub use memory::MemoryStore;
pub use redis::{RedisOpenError, RedisOptions, RedisStore};
pub use sqlite::{OpenError, OpenOptions, SqliteStore};
pub use stats::Stats;
