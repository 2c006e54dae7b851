//! Who may ask, and how: the coordinator as a process with listeners.
//!
//! ```text
//!   config ──► App::build ──► store, directory, node ──► App::run ──► gRPC  (grpc/: the services of amends.v1)
//!                                                             └─────► HTTP  (http.rs: health, readiness, version)
//! ```
//!
//! It translates, checks and answers; it never decides anything about a saga: that is the engine's, and carrying it out the
//! runtime's. Invariants: a request that changes something is carried out to its end even if its caller goes away; what is
//! answered is durable; payloads are never logged. Where to look next: `app.rs` for the life of the process,
//! `grpc/status.rs` for what an error looks like outside.

pub mod app;
mod audit;
pub mod auth;
pub mod backup;
mod channels;
pub mod config;
mod console;
mod discovery;
pub mod doctor;
mod error;
mod forward;
mod forward_trace;
mod front_door;
mod grpc;
mod health;
mod http;
mod planted;
mod registry;
mod store;
pub mod telemetry;
pub mod tls;
pub mod transfer;

pub use amends_store::{Finding, Severity};
pub use app::{App, Listeners};
pub use config::{ConfigError, Flags, ServerConfig};
pub use error::{Error, chain};
pub use front_door::{FrontDoor, FrontDoorSnapshot};
pub use store::Backend;
