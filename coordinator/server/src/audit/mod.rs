//! Accounting for what people and services call: who did, or tried to do, what, and why.
//!
//! ```text
//!   gate ─► may not ────────────────────────────────┐
//!   layer ─► is it in the table? ─► the service ─► refused, or done without a saga
//!              │ ticket                             ▼
//!              ▼                                 recorder ─► the owner of the target's log, here or at another node
//!           the saga's owner: in the very commit
//! ```
//!
//! A method is accounted for by its row in `table.rs`, without code of its own. Reading the log is `listing.rs`; what an entry is
//! and who writes it is the runtime's. Invariants: an entry holds only those fields of a request that the table names; a call
//! that was carried out is accounted for even if its caller has gone away.

mod layer;
mod listing;
mod reading;
mod recorder;
mod table;

pub(crate) use layer::account;
pub(crate) use listing::{Chained, Filter, list_all, list_shard};
pub(crate) use recorder::{Accounts, result_to_proto};
