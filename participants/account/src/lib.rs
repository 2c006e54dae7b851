//! `account.v1.Account`, an example participant: customers' balances with a floor, holds on them and credits to them as TCC
//! steps, a screening before they pay, and points.
//!
//! Keeps a double-entry ledger in its own database, SQLite or Postgres. Knows of sagas only through the barrier. Invariants: every
//! movement sums to zero; an available balance never falls below its floor; `balance + held` changes only by deposits.
//! `service.rs` has the methods, the other modules what they do, the `.sql` files the tables and views.

use amends_participant::database::{Added, Schemas};
use amends_participant::service::{
    Barrier, EFFECTS_SCHEMA, EFFECTS_SCHEMA_POSTGRES, ServeError, Service, ServiceFlags, name_and_number, serve,
};
use clap::Args;
use tonic::service::Routes;

use proto::account_server::{AccountServer, SERVICE_NAME};
use service::AccountService;

mod anomaly;
mod credits;
mod holds;
mod ledger;
mod opening;
mod points;
mod screening;
mod service;
mod standing;

/// The generated messages, client and server of `account.v1`.
#[expect(missing_docs, reason = "generated code; documented in the proto file")]
pub mod proto {
    tonic::include_proto!("account.v1");
}

/// Where the service listens when it is told nothing else.
pub const DEFAULT_ADDR: &str = "127.0.0.1:7501";

/// Longest id of an account, a deposit, a hold or anything else, in bytes.
const ID_LENGTH_MAX: usize = 128;

/// What [`is_id`] asks for.
const ID_WORDS: &str = "1 to 128 bytes, none of them NUL";

/// Whether this can be the id of anything. Postgres can't store a NUL, and a database error reads as unknown: the call would
/// come again and again instead of being refused.
fn is_id(text: &str) -> bool {
    (1..=ID_LENGTH_MAX).contains(&text.len()) && !text.contains('\0')
}

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/account.fds.bin"));
/// In the order in which they refer to each other.
const SCHEMAS: Schemas<'_> = Schemas {
    sqlite: &[
        include_str!("schema.sql"),
        include_str!("credits.sql"),
        include_str!("screening.sql"),
        include_str!("points.sql"),
        include_str!("evidence.sql"),
        EFFECTS_SCHEMA,
    ],
    postgres: &[include_str!("schema.postgres.sql"), EFFECTS_SCHEMA_POSTGRES],
    // Who has made what: unknown of rows from before this was written down, which whoever names them ends, as then.
    added: &[
        Added {
            table: "holds",
            column: "saga_id",
            by: "ALTER TABLE holds ADD COLUMN namespace TEXT; ALTER TABLE holds ADD COLUMN saga_id TEXT",
        },
        Added {
            table: "credits",
            column: "saga_id",
            by: "ALTER TABLE credits ADD COLUMN namespace TEXT; ALTER TABLE credits ADD COLUMN saga_id TEXT",
        },
        Added {
            table: "awards",
            column: "saga_id",
            by: "ALTER TABLE awards ADD COLUMN namespace TEXT; ALTER TABLE awards ADD COLUMN saga_id TEXT",
        },
        Added { table: "screenings", column: "namespace", by: "ALTER TABLE screenings ADD COLUMN namespace TEXT" },
    ],
};

/// The account service's own flags, beside those of every participant.
#[derive(Debug, Clone, Args)]
pub struct AccountFlags {
    /// Open this account with so many minor units, where it doesn't exist yet; may be repeated.
    #[arg(long, value_name = "ACCOUNT=MINOR", value_parser = name_and_number)]
    pub open: Vec<(String, i64)>,
}

/// Opens the database and serves until the process is told to stop.
///
/// # Errors
/// When the database or the address can't be used.
pub async fn run(flags: &ServiceFlags, own: AccountFlags) -> Result<(), ServeError> {
    let database = flags.open("account.db", SCHEMAS).await?;
    for (account_id, amount_minor) in own.open {
        let opened = database.write(move |db| Box::pin(opening::begin(db, account_id, amount_minor))).await;
        opened.map_err(|error| ServeError::Begin(error.into()))?.map_err(|error| ServeError::Begin(error.into()))?;
    }
    let barrier = Barrier::new(database.clone(), SERVICE_NAME);
    let routes = Routes::new(AccountServer::new(AccountService::new(database.clone(), barrier)));
    serve(flags, &database, Service { name: SERVICE_NAME, descriptors: DESCRIPTORS, routes }).await
}
