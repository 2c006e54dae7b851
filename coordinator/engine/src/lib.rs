//! The state machine of Amends: what should happen next to a saga.
//!
//! ```text
//!   event ──► apply(saga, event, now) ──► saga' + history + payloads to write
//!                                            │
//!                       outstanding(saga') ──┴──► effects: prepare a request, call a participant
//!                       next_due(saga')    ─────► when to come back with Event::Due
//! ```
//!
//! It never waits, calls, reads a clock, rolls a die or keeps anything: no async, no I/O, no hash-ordered maps. Whoever
//! drives it applies events, prepares what is asked for, commits once, and only then starts the calls.
//!
//! Invariants (design §4, semantics A1–A18): no call before its intent; no compensation before its decision; a step goes
//! uncompensated only if every attempt that may have been sent was refused; after the pivot or in confirm nothing turns back;
//! what gives up is stuck with a reason. `amends-checker` checks them on any state.

#![warn(clippy::wildcard_enum_match_arm)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod apply;
pub mod definition;
pub mod effect;
pub mod event;
pub mod facts;
pub mod history;
pub mod ids;
pub mod outcome;
pub mod outstanding;
pub mod payload;
pub mod planted;
pub mod repin;
pub mod saga;
pub mod standing;
pub mod step;
mod steps;
pub mod time;
pub mod why;

pub use apply::{Applied, Attempt, Changed, Ignored, IllegalEvent, apply, apply_admitting, begin};
pub use outstanding::{is_calling, next_due, next_due_beside, outstanding, unprepared};
