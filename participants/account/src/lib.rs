//! `account.v1.Account`, an example participant: customers' balances with a floor, and holds on them as a TCC step.
//!
//! Keeps a double-entry ledger in its own SQLite database. Knows of sagas only through the barrier. Invariants: every
//! movement sums to zero; an available balance never falls below its floor; `balance + held` changes only by deposits.
//! `service.rs` has the methods, `holds.rs` and `ledger.rs` what they do, `schema.sql` the tables and views.

use amends_participant::service::{EFFECTS_SCHEMA, ServeError, Service, ServiceFlags, serve};
use amends_participant::{Barrier, Database};
use tonic::service::Routes;

use proto::account_server::{AccountServer, SERVICE_NAME};
use service::AccountService;

mod holds;
mod ledger;
mod service;

/// The generated messages, client and server of `account.v1`.
#[expect(missing_docs, reason = "generated code; documented in the proto file")]
pub mod proto {
    tonic::include_proto!("account.v1");
}

/// Where the service listens when it is told nothing else.
pub const DEFAULT_ADDR: &str = "127.0.0.1:7501";

/// Longest account, deposit or hold id, in bytes.
const ID_LENGTH_MAX: usize = 128;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/account.fds.bin"));
const SCHEMA: &str = include_str!("schema.sql");

/// Opens the database and serves until the process is told to stop.
///
/// # Errors
/// When the database or the address can't be used.
pub async fn run(flags: &ServiceFlags) -> Result<(), ServeError> {
    let path = flags.database_path("account.db").map_err(ServeError::Folder)?;
    let database = Database::open(&path, &[SCHEMA, EFFECTS_SCHEMA]).await?;
    let barrier = Barrier::new(database.clone(), SERVICE_NAME);
    let routes = Routes::new(AccountServer::new(AccountService::new(database.clone(), barrier)));
    serve(flags, &database, Service { name: SERVICE_NAME, descriptors: DESCRIPTORS, routes }).await
}
