//! Tests across real processes; the crate itself is empty.
//!
//! `tests/it` starts the binaries that `cargo build --workspace --bins` has made, kills them, starts them again, and looks at what
//! is left in their databases. Nothing here is used by anything that ships.
