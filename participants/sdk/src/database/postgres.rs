//! Connecting to Postgres: a pool that writes and a small one that reads.
//!
//! Invariant: nothing here waits without a limit. A transaction that waits too long for a row, or that its process has
//! forgotten, fails, and the coordinator reads that as unknown and calls again.

use std::time::Duration;

use sqlx::pool::{PoolConnectionMetadata, PoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::added::{Added, make};
use super::{Database, OpenError, Writes};
use crate::barrier::{BarrierConnection, ensure_schema};

/// Writes at a time. A server takes 100 connections unless it is told otherwise, and a service has several processes.
const WRITERS_MAX: u32 = 16;

/// Connections for queries, which so never wait behind writes that wait for each other.
const READERS_MAX: u32 = 4;

/// How long a call waits for a free connection, or for the server to answer at all.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is tried before it is used: the server may have been restarted.
const IDLE_TRUSTED: Duration = Duration::from_secs(1);

/// A copy of a call waits for the first one, so the lock's limit is below the time that a coordinator gives an attempt
/// (10 s by default) and above what a healthy handler takes. A statement may take longer than a wait. A process that was
/// stopped inside a transaction must not hold its rows for ever.
const SETTINGS: &str =
    "SET lock_timeout = '5s'; SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '30s'";

const SETTINGS_READERS: &str = "SET default_transaction_read_only = on; SET statement_timeout = '10s'";

/// Held while tables are made: `CREATE … IF NOT EXISTS` of two processes at once can fail. That they exist is no news.
const LOCK_SCHEMA: &str = "SET LOCAL client_min_messages = warning; \
     SELECT pg_advisory_xact_lock(hashtextextended('amends_barrier', 0))";

impl Database<PgConnection> {
    /// Connects to the Postgres at this `postgres://…` URL and makes the barrier's tables and the participant's own.
    ///
    /// `schemas` are run in order at every start, so they say `CREATE … IF NOT EXISTS`.
    ///
    /// # Errors
    /// When the server can't be reached or the schema doesn't fit.
    pub async fn connect(url: &str, schemas: &[&'static str]) -> Result<Self, OpenError> {
        let connected = async { open(url.parse()?, schemas, &[]).await };
        connected.await.map_err(|source| OpenError { place: without_password(url), source })
    }
}

pub(super) async fn open<C>(
    options: <C as Connection>::Options,
    schemas: &[&'static str],
    added: &[Added],
) -> Result<Database<C>, sqlx::Error>
where
    C: BarrierConnection,
{
    let options = options.disable_statement_logging();
    let mut db: C = options.connect().await?;
    let mut making = db.begin().await?;
    making.script(LOCK_SCHEMA).await?;
    ensure_schema(&mut *making).await?;
    make(&mut *making, schemas, added).await?;
    making.commit().await?;
    db.close().await?;
    let pool = |most: u32, settings: &'static str| {
        PoolOptions::new()
            .max_connections(most)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|db: &mut C, about: PoolConnectionMetadata| {
                Box::pin(async move {
                    if about.idle_for > IDLE_TRUSTED {
                        db.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |db: &mut C, _| db.script(settings))
            .connect_lazy_with(options.clone())
    };
    Ok(Database::new(Writes::Pool(pool(WRITERS_MAX, SETTINGS)), pool(READERS_MAX, SETTINGS_READERS)))
}

/// For messages.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(an address that can't be read)".to_owned() };
    let (address, _) = rest.split_once('?').unwrap_or((rest, ""));
    let place = address.rsplit_once('@').map_or(address, |(_, place)| place);
    format!("{scheme}://{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for url in ["postgres://app:se@cret@db:5432/orders?password=secret", "postgres://db:5432/orders"] {
            assert_eq!(without_password(url), "postgres://db:5432/orders");
        }
        assert!(!without_password("app:secret@db").contains("secret"));
    }
}
