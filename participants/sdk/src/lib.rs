//! What a participant adds so that each step of a saga takes effect at most once: the barrier, and the gRPC glue.
//!
//! The barrier is one row per step in the participant's own database, written together with the business change. It
//! never calls the coordinator (only feature `registration` does, to say where it answers), never retries and never decides what a saga does next. Invariant: whatever is repeated,
//! late or out of order, a step's action takes effect at most once, never after its compensation, and a refusal stays a
//! refusal.
//!
//! Read [`barrier::decide`] for the rules, [`barrier::Barrier`] for their use, `participants/README.md` for the ten
//! lines to copy.

#![cfg_attr(
    not(all(feature = "sqlite", feature = "signing")),
    allow(dead_code, reason = "the rules and what they need are built whole; what uses them depends on the features")
)]

pub mod answer;
pub mod barrier;
#[cfg(feature = "sqlite")]
pub mod database;
#[cfg(feature = "faults")]
pub mod faults;
pub mod key;
mod planted;
#[cfg(feature = "registration")]
pub mod registration;
#[cfg(feature = "service")]
pub mod service;
#[cfg(feature = "signing")]
pub mod signing;
pub mod status;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "registration")]
pub mod token;

pub use answer::{Answer, Failure, Refusal, pending, rejected};
#[cfg(feature = "sqlite")]
pub use barrier::Barrier;
#[cfg(feature = "sqlite")]
pub use database::Database;
pub use key::{CallContext, Operation};
