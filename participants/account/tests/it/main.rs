//! The account service as a real process, called over real connections as a coordinator would call it.
//!
//! The databases are read from outside, as an auditor would. Each test has its own process and its own file.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up fails where that shows")]

mod barrier;
mod faults;
mod fixture;
mod guarded;
mod makers;
mod money;
mod overlap;
mod points;
mod screening;
mod surroundings;
mod transfers;
