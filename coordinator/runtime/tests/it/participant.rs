//! Calls to real servers on this machine: what is told apart, what is sent, and that nothing is sent twice.
//!
//! No clock decides a test: time-outs are awaited, and ejections run on a clock that the test sets.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod calls;
mod egress;
mod reflection;
mod servers;
mod signing;
mod tls;
