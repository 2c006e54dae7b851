//! The invariants of Amends, as functions over plain data: what property tests, the store suite, the simulation and the process
//! tests all ask, so that "correct" has one definition.
//!
//! ```text
//!   one state              check_state(saga)
//!   one change             check_step(before, event, change)
//!   committed states       Intents: a call that was seen had a durable intent, outputs and decisions stay
//!   effects seen outside   check_effects, check_ended, check_conserved, check_accounted
//! ```
//!
//! It reads states and never asks the machine for its own opinion where it can form one: the rules are written a second time
//! here, from the design, so that a bug in the machine isn't a bug in its judge. It calls nothing and keeps nothing.
//! Invariant: every rule can fail; the tests hold a violation of each.

mod intents;
mod ledger;
mod state;
mod step;
mod view;
mod violation;

#[cfg(test)]
mod samples;

pub use intents::Intents;
pub use ledger::{
    EffectSeen, Ended, EndedStep, Expected, check_accounted, check_conserved, check_effects, check_ended,
};
pub use state::check_state;
pub use step::check_step;
pub use violation::{Rule, Violation};
