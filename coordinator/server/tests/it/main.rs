//! The server as callers see it: real gRPC and HTTP on loopback, a real participant, both stores.
//!
//! `harness.rs` starts servers, `shop.rs` is the participant; the other files have one subject each. Nothing waits for a
//! time to pass: tests wait for calls, answers and messages.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod audit;
mod audit_log;
mod audit_nodes;
mod batches;
mod canary;
mod cluster;
mod completing;
mod console;
mod damage;
mod definitions;
mod deploy;
mod discovery;
mod dns_server;
mod following;
mod front_door;
mod fuzz;
mod harness;
mod holding;
mod http;
mod http_steps;
mod lifecycle;
mod listing;
mod mending;
mod metrics;
mod nodes;
mod operating;
mod overload;
mod participants;
mod raw;
mod reflecting;
mod refusing;
mod shop;
mod stopping;
mod tls;
mod tracing;
mod verbs;
mod webhooks;
