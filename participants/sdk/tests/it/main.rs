//! The barrier on a real SQLite file and a real Postgres server, called as a gRPC handler would call it.
//!
//! No server here: the example participants test the same promises over real connections. Each test names the promise
//! that it holds the barrier to.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up fails where that shows")]

mod added;
mod commits;
mod completion;
mod fixture;
mod lost;
mod memory;
mod overlap;
mod registration;
mod rules;
mod sweeping;
mod table;
