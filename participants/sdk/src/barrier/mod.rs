//! The barrier: one row per step, which orders that step's action, confirm and compensate.
//!
//! `row` is what is remembered, [`decide`] the rules over it (pure, no database, usable on their own), [`run_in`] both
//! of them inside a database transaction, and [`Barrier`] all that behind a gRPC method. Invariant: the row and the
//! business change are committed together or not at all.

#[cfg(feature = "sqlite")]
mod columns;
#[cfg(feature = "sqlite")]
mod connection;
pub mod decide;
#[cfg(feature = "sqlite")]
mod handle;
#[cfg(feature = "testing")]
mod memory;
pub mod row;
#[cfg(feature = "sqlite")]
mod rows;
#[cfg(feature = "sqlite")]
mod run;
#[cfg(feature = "sqlite")]
mod sweep;

#[cfg(feature = "sqlite")]
pub(crate) use connection::Value;
#[cfg(feature = "sqlite")]
pub use connection::{BarrierConnection, Flavour};
#[cfg(feature = "sqlite")]
pub use handle::{Barrier, CompleteError};
#[cfg(feature = "testing")]
pub use memory::MemoryBarrier;
#[cfg(feature = "sqlite")]
pub use run::{Completed, RunError, SCHEMA_POSTGRES, SCHEMA_SQLITE, Verdict, complete_in, ensure_schema, run_in};
#[cfg(feature = "sqlite")]
pub(crate) use sweep::Floors;
#[cfg(feature = "sqlite")]
pub use sweep::sweep_in;
