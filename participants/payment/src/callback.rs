//! Calling the coordinator back: what became of a pending operation, told until it is acknowledged.
//!
//! `outbox.rs` is what is owed, written in the effect's own transaction; `client.rs` says it and understands the answer;
//! `send.rs` goes on until everything is said. Invariant: no effect is told before it is committed, and none is forgotten by a
//! crash. A participant with pending steps can copy this folder as it is.

pub(crate) mod client;
pub(crate) mod outbox;
pub(crate) mod send;
