//! What Amends remembers: the contract ([`contract`]), the reference in memory, the embedded SQLite, and the suite that
//! proves them equal.
//!
//! It never decides anything about a saga. Records are versioned protobuf ([`record`]); every released format stays readable,
//! which golden fixtures prove.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod contract;
pub mod error;
pub mod memory;
pub mod record;
pub mod sqlite;
mod stats;

pub use contract::*;
pub use error::{Class, CommitError, StoreError};
pub use memory::MemoryStore;
pub use sqlite::{OpenError, OpenOptions, SqliteStore};
pub use stats::Stats;
