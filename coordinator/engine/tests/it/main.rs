//! The engine's tests, through its public surface: state in, event, state and effects out.
//!
//! They are here and not beside the code so that the checker judges every step of every one of them: it depends on the engine,
//! and a unit test would see another instance of its types. With feature `planted` only the hunt for planted bugs is built,
//! since the chosen bug is one for the whole process.

mod render;
mod shape;
mod world;

#[cfg(not(feature = "planted"))]
mod definitions;
#[cfg(not(feature = "planted"))]
mod golden;
#[cfg(not(feature = "planted"))]
mod properties;
#[cfg(not(feature = "planted"))]
mod rules;
#[cfg(not(feature = "planted"))]
mod script;

#[cfg(feature = "planted")]
mod planted;
