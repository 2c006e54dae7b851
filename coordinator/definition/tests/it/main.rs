//! Integration tests of `amends-definition`, in one binary.
//!
//! They use the public API only, as the coordinator and the command-line tool do. `corpus.rs` holds every error text to the
//! letter, `checkout.rs` runs the example of the demo through the whole crate, `http.rs` is about HTTP operations, `pinning.rs`
//! about stored versions, `diff.rs` compares versions, `random.rs` has the properties, `scenarios.rs` plays sagas, `fuzz` makes
//! input that nobody would write.

mod checkout;
mod corpus;
mod descriptors;
mod diff;
mod fuzz;
mod http;
mod pinning;
mod random;
mod scenarios;
mod schema;
