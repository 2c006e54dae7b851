//! The real binary against a coordinator that gives canned answers: what is printed, where, and with which exit code.
//!
//! Never tests the coordinator. Outputs are compared with files in `golden/`; after a wanted change run the tests with
//! `UPDATE_GOLDEN=1` and read the diff.

mod alerts;
mod audit;
mod batches;
mod canned;
mod cluster;
mod definitions;
mod docs;
mod doctor;
mod fake;
mod fake_audit;
mod fake_batches;
mod harness;
mod help;
mod participants;
mod profiles;
mod repairs;
mod sagas;
mod scenarios;
mod simulate;
mod store;
mod tls;
mod tokens;
mod usage;
