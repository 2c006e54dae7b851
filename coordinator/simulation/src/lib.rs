//! Deterministic simulation: the real engine, definitions and runtime on the in-memory store, under virtual time and a seed.
//!
//! ```text
//!   clients ─► Node (the real runtime) ─► SimulatedNetwork ─► Participants (the SDK's barrier, books)
//!                 └────────────────────► SimulatedStore ───► MemoryStore ─► Judge (the checker)
//! ```
//!
//! A run makes sagas, kills and freezes nodes at commits and calls, loses, delays and repeats what travels, then stops all
//! that and asks: is every acknowledged saga ended or stuck with a reason, and do the books agree? It reads no clock, no
//! randomness and no order but its own. Invariants: the same run gives the same trace, byte for byte; nothing is judged
//! before everything under way has landed. Begin at `harness.rs`; `faults.rs` lists what can go wrong, `judge.rs` what must
//! hold.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod campaign;
mod client;
mod commits;
mod durable;
mod exhaustive;
mod faults;
mod harness;
pub mod history;
mod judge;
mod library;
mod load;
mod network;
mod nodes;
mod outage;
mod outcome;
mod participants;
mod peers;
mod people;
mod process;
mod reply;
mod request;
mod scenario;
mod seams;
mod shapes;
pub mod sometimes;
mod store;
mod strike;
mod totals;
mod trace;
mod wire;
mod world;

pub use campaign::Campaign;
pub use exhaustive::{Case, cases};
pub use faults::{Boundary, Fault, FaultPlan, Table};
pub use harness::{CannotRun, Report, Run};
pub use library::{BadScenario, Library, Subject};
pub use load::{SagaPlan, Wish};
pub use outage::{Called, Figures, Outage};
pub use outcome::Outcome;
pub use participants::Conduct;
pub use scenario::{Scenario, scenarios};
pub use totals::{BadTotals, Totals};
pub use trace::Violation;
