//! `payment.v1.Payment`, an example participant: charges, refunds, and the question whether a charge stands.
//!
//! Keeps a double-entry ledger in its own SQLite database. Knows of sagas only through the barrier. Invariants: every
//! movement sums to zero; `charged - refunded` is what the ledger says is receivable. `service.rs` has the methods,
//! `charges.rs` what they do, `schema.sql` the tables and views.

use amends_participant::service::{EFFECTS_SCHEMA, ServeError, Service, ServiceFlags, serve};
use amends_participant::{Barrier, Database};
use tonic::service::Routes;

use proto::payment_server::{PaymentServer, SERVICE_NAME};
use service::PaymentService;

mod charges;
mod service;

/// The generated messages, client and server of `payment.v1`.
#[expect(missing_docs, reason = "generated code; documented in the proto file")]
pub mod proto {
    tonic::include_proto!("payment.v1");
}

/// Where the service listens when it is told nothing else.
pub const DEFAULT_ADDR: &str = "127.0.0.1:7503";

/// Longest payment id, in bytes.
const ID_LENGTH_MAX: usize = 128;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/payment.fds.bin"));
const SCHEMA: &str = include_str!("schema.sql");

/// Opens the database and serves until the process is told to stop.
///
/// # Errors
/// When the database or the address can't be used.
pub async fn run(flags: &ServiceFlags) -> Result<(), ServeError> {
    let path = flags.database_path("payment.db").map_err(ServeError::Folder)?;
    let database = Database::open(&path, &[SCHEMA, EFFECTS_SCHEMA]).await?;
    let barrier = Barrier::new(database.clone(), SERVICE_NAME);
    let routes = Routes::new(PaymentServer::new(PaymentService::new(database.clone(), barrier)));
    serve(flags, &database, Service { name: SERVICE_NAME, descriptors: DESCRIPTORS, routes }).await
}
