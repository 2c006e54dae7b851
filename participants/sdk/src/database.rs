//! A participant's SQLite database: one writer that groups commits, and a few connections that only read.
//!
//! SQLite has one write lock, so one connection does all the writing: nothing waits for a lock in the middle of a
//! transaction, and calls that arrive together share one fsync. Invariants: a write is answered only after the commit
//! that holds it (WAL, `synchronous=FULL`); a client that goes away doesn't interrupt one. The loop is in
//! `database/writer.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use crate::barrier::sqlite::ensure_schema;
use writer::{Reply, Work};

mod writer;

/// Writes that may wait for the writer; more callers than that wait for a place, which is safe at any time.
const QUEUE_LENGTH_MAX: usize = 1024;

/// How long to wait for another process that holds the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections for reading. They see the last commit and never wait for the writer.
const READERS_MAX: u32 = 4;

/// A participant's database. Cheap to clone; the writer ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Database {
    queue: mpsc::Sender<Work>,
    readers: SqlitePool,
}

/// Why a write has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    /// The writer has ended, after an I/O error or because the service is stopping. The write was not begun.
    #[error("the database takes no more writes")]
    Stopped,
    /// The commit failed: it is not known whether the write stands.
    #[error("the commit failed")]
    Commit(#[source] Arc<sqlx::Error>),
    /// The writer was lost, or the handler panicked: it is not known whether the write stands.
    #[error("the write was interrupted")]
    Interrupted,
}

impl From<DatabaseError> for Status {
    /// `UNAVAILABLE` for each of them: the coordinator reads that as unknown and tries again.
    fn from(error: DatabaseError) -> Self {
        Status::unavailable(error.to_string())
    }
}

/// Why a database can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("can't open the database {path}")]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// What SQLite said.
    #[source]
    pub source: sqlx::Error,
}

impl Database {
    /// Opens or creates the file, the barrier's tables and the participant's own.
    ///
    /// `schemas` are run in order at every start, so they say `CREATE … IF NOT EXISTS`.
    ///
    /// # Errors
    /// When the file can't be opened or the schema doesn't fit it.
    pub async fn open(path: &Path, schemas: &[&'static str]) -> Result<Self, OpenError> {
        let opened = async {
            let options = options(path);
            let mut writer = options.connect().await?;
            ensure_schema(&mut writer).await?;
            for schema in schemas {
                sqlx::raw_sql(*schema).execute(&mut writer).await?;
            }
            let readers = SqlitePoolOptions::new()
                .max_connections(READERS_MAX)
                .connect_lazy_with(options.clone().pragma("query_only", "on"));
            let (queue, work) = mpsc::channel(QUEUE_LENGTH_MAX);
            tokio::spawn(writer::run(options, writer, work));
            Ok(Self { queue, readers })
        };
        opened.await.map_err(|source| OpenError { path: path.to_owned(), source })
    }

    /// Connections for reading: what has been committed, at once.
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// A write of the participant's own, outside any saga: all of `work` is committed, or none of it.
    ///
    /// # Errors
    /// The outer error is the commit's; the inner one is what `work` gave, and its changes are rolled back.
    pub async fn write<T, E, F>(&self, work: F) -> Result<Result<T, E>, DatabaseError>
    where
        T: Send + 'static,
        E: From<sqlx::Error> + Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        self.submit(move |db| {
            Box::pin(async move {
                let mut savepoint = db.begin().await?;
                let value = work(&mut savepoint).await?;
                savepoint.commit().await?;
                Ok(value)
            })
        })
        .await
    }

    /// Hands `work` to the writer and waits until the transaction around it is committed.
    ///
    /// The transaction is shared with other callers' work, so `work` undoes its own changes when it fails.
    pub(crate) async fn submit<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |db| {
            Box::pin(async move {
                let value = work(db).await;
                let reply: Reply = Box::new(move |committed| {
                    // Nobody waits any more when the client has gone away; the commit stands all the same.
                    answer.send(committed.map(|()| value)).ok();
                });
                reply
            })
        });
        self.queue.send(work).await.map_err(|_| DatabaseError::Stopped)?;
        answered.await.map_err(|_| DatabaseError::Interrupted)?
    }

    /// Returns when the writer has ended, which it does on its own only after an I/O error: then stop the process.
    pub async fn stopped(&self) {
        self.queue.closed().await;
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", "4000")
        .disable_statement_logging()
}
