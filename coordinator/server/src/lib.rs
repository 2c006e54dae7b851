//! Who may ask, and how.
mod config;
pub use config::*;
