//! The simulation as tests: every fault at every boundary, many at once by the seed, the same trace twice, the cost of a
//! saga, and the planted bugs that all this must find.
//!
//! `support.rs` runs and reports; the other files have one subject each. A run takes milliseconds, since its time is virtual.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "figures and failing traces are what these tests are read for")]

mod cost;
mod determinism;
mod exhaustive;
mod outage;
#[cfg(feature = "planted")]
mod planted;
mod seeds;
mod subject;
mod support;
