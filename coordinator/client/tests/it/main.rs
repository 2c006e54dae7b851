//! The client against a real coordinator in this process, with a participant that does what a test tells it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod coordinator;
mod endings;
mod forgetful;
mod looking;
mod outages;
#[allow(dead_code, reason = "the server's tests use more of it")]
#[path = "../../../server/tests/it/shop.rs"]
mod shop;
