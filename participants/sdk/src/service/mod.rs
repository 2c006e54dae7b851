//! A ready-made main for a participant: flags, log, database file, health, reflection, clean stop, evidence.
//!
//! The example participants are built on it; a team with a server of its own needs none of it. It binds what it is told
//! to bind and has no TLS. Invariant: "listening on …" is printed only when calls are answered.

mod clock;
mod effects;
mod flags;
mod serve;

pub use clock::unix_ms;
pub use effects::{EFFECTS_SCHEMA, EFFECTS_SCHEMA_POSTGRES, record_effect, record_effect_of};
pub use flags::{ServiceFlags, name_and_number};
/// The database of a service that runs on SQLite or on Postgres.
pub type Database = crate::Database<sqlx::AnyConnection>;

/// The barrier of such a service.
pub type Barrier = crate::Barrier<sqlx::AnyConnection>;

pub use serve::{ServeError, Service, exit_code, log_to_stderr, serve};
