//! Who did, or tried to do, what, and why: the entries of the audit log, and how they are chained.
//!
//! ```text
//!   Call ─► Note (what became of it) ─► Entry (its shard and number) ─► record ─► chained to the one before ─► Log::Audit
//! ```
//!
//! `call.rs` says what is accounted for, `entry.rs` is an entry and its bytes, `chain.rs` holds entries together. Who writes is
//! the shard's owner (`shard/scribe.rs`). Nothing here reads a store. Invariants: an entry holds no payload and no secret; its
//! bytes never change once they are written.

mod call;
mod chain;
mod entry;

pub use call::{Call, Ticket, accounting, in_batch};
pub(crate) use call::{current, on_behalf, on_behalf_as};
pub use chain::{NONE, chained, parts};
pub use entry::{AuditResult, Entry, Note, UnreadableEntry};
