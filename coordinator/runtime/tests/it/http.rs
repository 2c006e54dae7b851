//! Calls to HTTP servers on this machine that behave well or badly: what is told apart, what is sent, where a call may go.
//!
//! No clock decides a test: time-outs are awaited, and the coordinator's clock stands where the test sets it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod calls;
mod egress;
mod server;
mod signing;
mod tls;
mod webhooks;
