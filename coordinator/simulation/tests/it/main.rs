//! The simulation as tests; each file says what it shows.

mod cost;
mod determinism;
mod exhaustive;
#[cfg(feature = "planted")]
mod planted;
mod seeds;
mod support;
