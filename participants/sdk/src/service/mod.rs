//! A ready-made main for a participant: flags, log, database file, health, reflection, clean stop, evidence.
//!
//! The example participants are built on it; a team with a server of its own needs none of it. It binds what it is told
//! to bind and has no TLS. Invariant: "listening on …" is printed only when calls are answered.

mod effects;
mod flags;
mod serve;

pub use effects::{EFFECTS_SCHEMA, record_effect};
pub use flags::ServiceFlags;
pub use serve::{ServeError, Service, exit_code, log_to_stderr, serve};
