//! The barrier: one row per step, which orders that step's action, confirm and compensate.
//!
//! `row` is what is remembered, [`decide`] the rules over it (pure, no database, usable on their own), [`sqlite`] both
//! of them inside a database transaction, and [`Barrier`] all that behind a gRPC method. Invariant: the row and the
//! business change are committed together or not at all.

pub mod decide;
#[cfg(feature = "sqlite")]
mod handle;
pub mod row;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "sqlite")]
pub use handle::{Barrier, CompleteError};
