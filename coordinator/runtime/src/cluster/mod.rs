//! How nodes share a store's shards: who is there, who should have what, who has it, and what they tell each other.
//!
//! ```text
//!   membership (shell) ── reads the store ──► decide, placement (pure) ──► one order per shard ──► its supervisor
//!        │ words                                                                                      │
//!        ▼                                                                                            ▼
//!   peers (other nodes) ──► marks (pure): has the store lost anything? ──────────────────► table: where is each shard
//! ```
//!
//! Nothing here protects a saga: epoch, nonce and revision do, in the store. Invariant: a node that believes something wrong
//! about the cluster loses time, never money.

mod decide;
pub(crate) mod marks;
mod membership;
mod peers;
mod placement;
mod table;

pub use marks::{Lost, Mark};
pub use peers::{Alone, Peers, Word};
pub use table::Place;

pub(crate) use decide::Order;
pub(crate) use membership::{Cluster, Membership};
pub(crate) use table::Table;
