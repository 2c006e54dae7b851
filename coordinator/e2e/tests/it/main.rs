//! Real processes, one test binary: see the modules.

mod demo;
mod fleet;
mod kill;
mod python;
