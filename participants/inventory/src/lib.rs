//! `inventory.v1.Inventory`, an example participant: stock, reserved for an order and released again.
//!
//! Keeps everything in its own SQLite database. Knows of sagas only through the barrier. Invariants: a shelf never goes
//! below zero; `available + sold` changes only by `SetStock`. `service.rs` has the methods, `stock.rs` what they do,
//! `schema.sql` the tables and views.

use amends_participant::service::{EFFECTS_SCHEMA, ServeError, Service, ServiceFlags, serve};
use amends_participant::{Barrier, Database};
use tonic::service::Routes;

use proto::inventory_server::{InventoryServer, SERVICE_NAME};
use service::InventoryService;

mod service;
mod stock;

/// The generated messages, client and server of `inventory.v1`.
#[expect(missing_docs, reason = "generated code; documented in the proto file")]
pub mod proto {
    tonic::include_proto!("inventory.v1");
}

/// Where the service listens when it is told nothing else.
pub const DEFAULT_ADDR: &str = "127.0.0.1:7502";

/// Longest SKU or order id, in bytes.
const ID_LENGTH_MAX: usize = 128;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inventory.fds.bin"));
const SCHEMA: &str = include_str!("schema.sql");

/// Opens the database and serves until the process is told to stop.
///
/// # Errors
/// When the database or the address can't be used.
pub async fn run(flags: &ServiceFlags) -> Result<(), ServeError> {
    let path = flags.database_path("inventory.db").map_err(ServeError::Folder)?;
    let database = Database::open(&path, &[SCHEMA, EFFECTS_SCHEMA]).await?;
    let barrier = Barrier::new(database.clone(), SERVICE_NAME);
    let routes = Routes::new(InventoryServer::new(InventoryService::new(database.clone(), barrier)));
    serve(flags, &database, Service { name: SERVICE_NAME, descriptors: DESCRIPTORS, routes }).await
}
