//! `payment.v1.Payment`, an example participant: charges, refunds, the question whether a charge stands, and payments by QR
//! code that wait for the payer.
//!
//! Keeps a double-entry ledger in its own database, SQLite or Postgres. Knows of sagas only through the barrier, and calls the
//! coordinator only to tell what became of a pending step. Invariants: every movement sums to zero;
//! `charged - refunded + qr_captured` is what the ledger says is receivable. `service.rs` has the methods, `charges.rs` and
//! `qr` what they do, `callback` tells the coordinator, the `.sql` files have the tables and views.

use amends_participant::database::{Added, Schemas};
use amends_participant::service::{
    Barrier, EFFECTS_SCHEMA, EFFECTS_SCHEMA_POSTGRES, ServeError, Service, ServiceFlags, serve,
};
use amends_tls::Keeper;
use tokio::task::JoinSet;
use tonic::service::Routes;

use callback::client::Client;
pub use flags::PaymentFlags;
use proto::payment_server::{PaymentServer, SERVICE_NAME};
use service::PaymentService;

mod callback;
mod charges;
mod flags;
mod ledger;
mod qr;
mod service;

/// The generated messages, client and server of `payment.v1`.
#[expect(missing_docs, reason = "generated code; documented in the proto file")]
pub mod proto {
    tonic::include_proto!("payment.v1");
}

/// Where the service listens when it is told nothing else.
pub const DEFAULT_ADDR: &str = "127.0.0.1:7503";

/// Longest id of a payment or anything else, in bytes.
const ID_LENGTH_MAX: usize = 128;

/// What [`is_id`] asks for.
const ID_WORDS: &str = "1 to 128 bytes, none of them NUL";

/// Whether this can be the id of anything. Postgres can't store a NUL, and a database error reads as unknown: the call would
/// come again and again instead of being refused.
fn is_id(text: &str) -> bool {
    (1..=ID_LENGTH_MAX).contains(&text.len()) && !text.contains('\0')
}

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/payment.fds.bin"));
/// In the order in which they refer to each other.
const SCHEMAS: Schemas<'_> = Schemas {
    sqlite: &[include_str!("schema.sql"), include_str!("qr.sql"), include_str!("evidence.sql"), EFFECTS_SCHEMA],
    postgres: &[include_str!("schema.postgres.sql"), EFFECTS_SCHEMA_POSTGRES],
    // Who has made what: unknown of rows from before this was written down, which whoever names them ends, as then.
    added: &[Added {
        table: "charges",
        column: "saga_id",
        by: "ALTER TABLE charges ADD COLUMN namespace TEXT; ALTER TABLE charges ADD COLUMN saga_id TEXT",
    }],
};

/// Opens the database and serves until the process is told to stop.
///
/// # Errors
/// When the database or the address can't be used.
pub async fn run(flags: &ServiceFlags, own: &PaymentFlags) -> Result<(), ServeError> {
    let database = flags.open("payment.db", SCHEMAS).await?;
    let barrier = Barrier::new(database.clone(), SERVICE_NAME);
    // Both end with this function; whatever they were at is taken up at the next start.
    let mut background = JoinSet::new();
    background.spawn(qr::expiry::run(database.clone(), barrier.clone()));
    match &own.coordinator {
        Some(address) => {
            let keeper = Keeper::default();
            let tls = flags.coordinator.tls([address], &keeper)?;
            background.spawn(keeper.run());
            let client = Client::new(address, tls, flags.coordinator.token());
            let client = client.map_err(|error| ServeError::Begin(error.into()))?;
            background.spawn(callback::send::run(database.clone(), client));
        }
        None => tracing::warn!("no --coordinator: it won't be told when a QR code is paid, and must ask"),
    }
    let service = PaymentService::new(database.clone(), barrier, own.refund_takes_ms);
    let routes = Routes::new(PaymentServer::new(service));
    serve(flags, &database, Service { name: SERVICE_NAME, descriptors: DESCRIPTORS, routes }).await
}
