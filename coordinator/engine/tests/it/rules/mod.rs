//! The rules of design §4, one file for each subject; the interleavings that lose money are in `semantics`.

mod acknowledge;
mod callbacks;
mod compensate;
mod confirm;
mod deadlines;
mod doubt;
mod force_stop;
mod forward;
mod held;
mod held_up;
mod operator;
mod parked;
mod pending;
mod pivot;
mod query;
mod repin;
mod semantics;
mod standing;
mod why;
