//! The stores as their users see them: the conformance suite on each, and what only an embedded database can suffer.
//!
//! One binary for all of it. No test waits by the clock.

#![expect(clippy::unwrap_used, reason = "what a helper can't do has to fail the test that called it")]

mod backup;
mod conformance;
mod full_disk;
mod kill;
mod load;
mod logs;
mod redis;
mod reopen;
mod scale;
mod support;
mod transfer;
