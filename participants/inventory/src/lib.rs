//! `inventory.v1.Inventory`, an example participant: stock, reserved for an order and released again.
//!
//! Keeps everything in its own database, SQLite or Postgres. Knows of sagas only through the barrier. Invariants: a shelf never goes
//! below zero; `available + sold` changes only by `SetStock`. `service.rs` has the methods, `stock.rs` what they do,
//! `schema.sql` the tables and views.

use amends_participant::database::{Added, Schemas};
use amends_participant::service::{
    Barrier, EFFECTS_SCHEMA, EFFECTS_SCHEMA_POSTGRES, ServeError, Service, ServiceFlags, name_and_number, serve,
};
use clap::Args;
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

/// What [`is_id`] asks for.
const ID_WORDS: &str = "1 to 128 bytes, none of them NUL";

/// Whether this can be the id of anything. Postgres can't store a NUL, and a database error reads as unknown: the call would
/// come again and again instead of being refused.
fn is_id(text: &str) -> bool {
    (1..=ID_LENGTH_MAX).contains(&text.len()) && !text.contains('\0')
}

/// Most that a shelf can be set to, so that what is reserved always has room to come back.
const STOCK_MAX: i64 = 1_000_000_000_000;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inventory.fds.bin"));
const SCHEMAS: Schemas<'_> = Schemas {
    sqlite: &[include_str!("schema.sql"), EFFECTS_SCHEMA],
    postgres: &[include_str!("schema.postgres.sql"), EFFECTS_SCHEMA_POSTGRES],
    // Who has made what: unknown of rows from before this was written down, which whoever names them ends, as then.
    added: &[Added {
        table: "reservations",
        column: "saga_id",
        by: "ALTER TABLE reservations ADD COLUMN namespace TEXT; ALTER TABLE reservations ADD COLUMN saga_id TEXT",
    }],
};

/// The inventory service's own flags, beside those of every participant.
#[derive(Debug, Clone, Args)]
pub struct InventoryFlags {
    /// Put so many of this SKU on the shelf, where it was never stocked; may be repeated.
    #[arg(long, value_name = "SKU=QUANTITY", value_parser = name_and_number)]
    pub stock: Vec<(String, i64)>,
}

/// Opens the database and serves until the process is told to stop.
///
/// # Errors
/// When the database or the address can't be used.
pub async fn run(flags: &ServiceFlags, own: InventoryFlags) -> Result<(), ServeError> {
    let database = flags.open("inventory.db", SCHEMAS).await?;
    for (sku, quantity) in own.stock {
        let stocked = database.write(move |db| Box::pin(stock::begin(db, sku, quantity))).await;
        stocked.map_err(|error| ServeError::Begin(error.into()))?.map_err(|error| ServeError::Begin(error.into()))?;
    }
    let barrier = Barrier::new(database.clone(), SERVICE_NAME);
    let routes = Routes::new(InventoryServer::new(InventoryService::new(database.clone(), barrier)));
    serve(flags, &database, Service { name: SERVICE_NAME, descriptors: DESCRIPTORS, routes }).await
}
