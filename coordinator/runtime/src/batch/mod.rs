//! Batch by plan: repairs many sagas at once, and exactly those that somebody has looked at.
//!
//! ```text
//!   plan   filter ─► sagas ─► what the verb would do to each (preview.rs: the owner's own pure code) ─► documents
//!   apply  marker ─► every node: the parts of its own shards ─► ask the owner, at the planned revision only ─► results
//! ```
//!
//! Documents (`documents.rs`, `record.rs`): a head, parts of items by shard, a count by shard, and a marker while it runs, so that an
//! idle node reads one empty list a second and no more. `planner.rs` plans, `control.rs` is what people ask for, `runner.rs` finds
//! batches that run, `worker.rs` carries one out on this node, `item.rs` one of its sagas; `pace.rs` is the rate.
//!
//! Invariants: nothing is done to a saga that the plan doesn't name, nor at another revision than the planned one; what a batch did
//! is told by the saga's own history (`mark.rs`), so that no crash between the saga's commit and the item's result makes it look as if
//! somebody else had moved the saga, and nothing is done twice.

pub(crate) mod action;
mod choice;
mod control;
mod documents;
mod error;
mod item;
pub(crate) mod mark;
mod pace;
mod planner;
pub(crate) mod preview;
mod record;
mod runner;
mod worker;

pub use action::Action;
pub use choice::Choice;
pub use control::{Applying, Items, Shown};
pub use error::BatchError;
pub use mark::is_marked;
pub use planner::Planning;
pub use record::{CallCount, Head, Item, ItemCall, ItemStatus, Status};
pub(crate) use runner::{Nudge, run};

/// Most sagas of one plan.
pub const SAGAS_MAX: usize = 100_000;
/// How many sagas of a plan are shown with it.
pub const SAMPLE: usize = 20;
/// Highest rate, in sagas per second on all nodes together.
pub const RATE_MAX: f64 = 10_000.0;
/// The rate where none is given.
pub const RATE: f64 = 50.0;
