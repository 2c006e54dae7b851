//! A ready-made main for a participant: flags, log, database file, health, reflection, clean stop, evidence.
//!
//! The example participants are built on it; a team with a server of its own needs none of it. It binds what it is told
//! to bind, over TLS and for signed calls only where the flags say so. Invariant: "listening on …" is printed only when calls are answered.

mod clock;
mod coordinator;
mod effects;
mod flags;
mod guard;
mod serve;

pub use clock::unix_ms;
pub use coordinator::CoordinatorFlags;
pub use effects::{EFFECTS_SCHEMA, EFFECTS_SCHEMA_POSTGRES, record_effect, record_effect_of};
pub use flags::{ServiceFlags, name_and_number};
pub use guard::GuardFlags;
/// The database of a service that runs on SQLite or on Postgres.
pub type Database = crate::Database<sqlx::AnyConnection>;

/// The barrier of such a service.
pub type Barrier = crate::Barrier<sqlx::AnyConnection>;

/// First thing in `main`: see [`amends_tls::install`].
pub use amends_tls::install as install_tls;
pub use serve::{ServeError, Service, exit_code, log_to_stderr, serve};
