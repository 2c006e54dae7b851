//! Opening a SQLite file: one connection that writes, a few that read.
//!
//! Invariant: a commit is on the disk before it is answered (WAL, `synchronous=FULL`).

use std::path::Path;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::mpsc;

use super::added::{Added, make};
use super::writer;
use super::{Database, Writes};
use crate::barrier::{BarrierConnection, ensure_schema};

/// Writes that may wait for the writer; more callers than that wait for a place, which is safe at any time.
const QUEUE_LENGTH_MAX: usize = 1024;

/// How long to wait for another process that holds the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections for reading. They see the last commit and never wait for the writer.
const READERS_MAX: u32 = 4;

const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000";

/// How to connect to a file.
#[derive(Debug)]
pub(super) struct SqliteFile<C: BarrierConnection>(pub(super) <C as Connection>::Options);

impl<C: BarrierConnection> SqliteFile<C> {
    pub(super) async fn connect(&self) -> Result<C, sqlx::Error> {
        let mut db = self.0.connect().await?;
        db.script(PRAGMAS).await?;
        Ok(db)
    }
}

pub(super) fn typed(path: &Path) -> SqliteFile<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).busy_timeout(BUSY_TIMEOUT);
    SqliteFile(options.disable_statement_logging())
}

pub(super) async fn open<C>(
    file: SqliteFile<C>,
    schemas: &[&'static str],
    added: &[Added],
) -> Result<Database<C>, sqlx::Error>
where
    C: BarrierConnection,
{
    let mut db = file.connect().await?;
    ensure_schema(&mut db).await?;
    make(&mut db, schemas, added).await?;
    let readers = PoolOptions::new()
        .max_connections(READERS_MAX)
        .after_connect(|db: &mut C, _| db.script("PRAGMA query_only = on"))
        .connect_lazy_with(file.0.clone());
    let (queue, work) = mpsc::channel(QUEUE_LENGTH_MAX);
    tokio::spawn(writer::run(file, db, work));
    Ok(Database::new(Writes::Queue(queue), readers))
}
