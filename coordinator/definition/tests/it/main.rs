//! Integration tests of `amends-definition`, in one binary.
//!
//! They use the public API only, as the coordinator and the command-line tool do. `corpus.rs` holds every error text to the
//! letter, `checkout.rs` runs the example of the demo through the whole crate, `pinning.rs` is about stored versions,
//! `random.rs` has the properties.

mod checkout;
mod corpus;
mod descriptors;
mod pinning;
mod random;
