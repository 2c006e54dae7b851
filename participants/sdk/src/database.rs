//! A participant's database: where its writes are committed, and connections that only read.
//!
//! SQLite has one write lock, so one connection does all the writing: nothing waits for a lock in the middle of a
//! transaction, and calls that arrive together share one fsync (`database/writer.rs`). Postgres locks rows and groups
//! commits by itself, so there each write has a connection of its own (`database/postgres.rs`). Invariants: a write is
//! answered only after the commit that holds it; a client that goes away doesn't interrupt one.

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use sqlx::{Pool, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use crate::barrier::{BarrierConnection, Floors};
use writer::{Reply, Work};

mod added;
#[cfg(feature = "postgres")]
mod either;
mod locking;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
mod sweeper;
mod writer;

#[cfg(feature = "postgres")]
pub use added::Added;
#[cfg(feature = "postgres")]
pub use either::{Place, Schemas};

/// A participant's database. Cheap to clone; the writer ends when the last clone is dropped.
///
/// By its connection: SQLite ([`Database::open`]), Postgres ([`Database::connect`]), or whichever of them the place says
/// ([`Database::at`], with sqlx's `AnyConnection`).
#[derive(Debug)]
pub struct Database<C: BarrierConnection = SqliteConnection>(Arc<Inner<C>>);

#[derive(Debug)]
struct Inner<C: BarrierConnection> {
    writes: Writes<C>,
    readers: Pool<C::Sql>,
    floors: Floors,
}

/// Who writes.
#[derive(Debug)]
enum Writes<C: BarrierConnection> {
    /// One writer, in its own task.
    Queue(mpsc::Sender<Work<C>>),
    /// As many at a time as the pool has connections.
    Pool(Pool<C::Sql>),
}

impl<C: BarrierConnection> Clone for Database<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Why a write has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    /// The writer has ended, after an I/O error or because the service is stopping. The write was not begun.
    #[error("the database takes no more writes")]
    Stopped,
    /// No connection could be had, or no transaction begun. The write was not begun.
    #[error("the database can't be reached")]
    Begin(#[source] Arc<sqlx::Error>),
    /// The database refused the write; nothing of it was kept.
    #[error("the database refused the write")]
    Refused(#[source] Arc<sqlx::Error>),
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
#[error("can't open the database {place}")]
pub struct OpenError {
    /// The file, or the address without its password.
    pub place: String,
    /// What the database said.
    #[source]
    pub source: sqlx::Error,
}

impl Database<SqliteConnection> {
    /// Opens or creates the SQLite file, the barrier's tables and the participant's own.
    ///
    /// `schemas` are run in order at every start, so they say `CREATE … IF NOT EXISTS`.
    ///
    /// # Errors
    /// When the file can't be opened or the schema doesn't fit it.
    pub async fn open(path: &Path, schemas: &[&'static str]) -> Result<Self, OpenError> {
        let opened = sqlite::open(sqlite::typed(path), schemas, &[]).await;
        opened.map_err(|source| OpenError { place: path.display().to_string(), source })
    }
}

impl<C: BarrierConnection> Database<C> {
    fn new(writes: Writes<C>, readers: Pool<C::Sql>) -> Self {
        let inner = Arc::new(Inner { writes, readers, floors: Floors::default() });
        tokio::spawn(sweeper::run(Arc::downgrade(&inner)));
        Self(inner)
    }

    /// What calls have said of their coordinators' floors.
    pub(crate) fn floors(&self) -> &Floors {
        &self.0.floors
    }

    /// Connections for reading: what has been committed, at once.
    pub fn readers(&self) -> &Pool<C::Sql> {
        &self.0.readers
    }

    /// A write of the participant's own, outside any saga: all of `work` is committed, or none of it.
    ///
    /// # Errors
    /// The outer error is the commit's; the inner one is what `work` gave, and its changes are rolled back.
    pub async fn write<T, E, F>(&self, work: F) -> Result<Result<T, E>, DatabaseError>
    where
        T: Send + 'static,
        E: From<sqlx::Error> + Send + 'static,
        F: for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        self.submit(move |db| {
            Box::pin(async move {
                let mut savepoint = db.begin().await?;
                let value = work(&mut *savepoint).await?;
                savepoint.commit().await?;
                Ok(value)
            })
        })
        .await
    }

    /// Runs `work` in a transaction and waits until that is committed.
    ///
    /// The transaction may be shared with other callers' work, so `work` undoes its own changes when it fails.
    pub(crate) async fn submit<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, T> + Send + 'static,
    {
        match &self.0.writes {
            Writes::Queue(queue) => enqueue(queue, work).await,
            // In a task of its own, which goes on when the client has gone away.
            Writes::Pool(pool) => {
                let write = tokio::spawn(transact(pool.clone(), work));
                write.await.map_err(|_| DatabaseError::Interrupted)?
            }
        }
    }

    /// Returns when no more writes are taken, which on SQLite happens after an I/O error: then stop the process.
    pub async fn stopped(&self) {
        match &self.0.writes {
            Writes::Queue(queue) => queue.closed().await,
            Writes::Pool(pool) => pool.close_event().await,
        }
    }
}

async fn enqueue<C, T, F>(queue: &mpsc::Sender<Work<C>>, work: F) -> Result<T, DatabaseError>
where
    C: BarrierConnection,
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, T> + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let work: Work<C> = Box::new(move |db| {
        Box::pin(async move {
            let value = work(db).await;
            let reply: Reply = Box::new(move |committed| {
                // Nobody waits any more when the client has gone away; the commit stands all the same.
                answer.send(committed.map(|()| value)).ok();
            });
            reply
        })
    });
    queue.send(work).await.map_err(|_| DatabaseError::Stopped)?;
    answered.await.map_err(|_| DatabaseError::Interrupted)?
}

/// One transaction of its own. What goes wrong before the commit is in `T`; then there is nothing to keep but the epoch.
async fn transact<C, T, F>(pool: Pool<C::Sql>, work: F) -> Result<T, DatabaseError>
where
    C: BarrierConnection,
    F: for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, T>,
{
    let begun = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await;
    let mut transaction = begun.map_err(|error| DatabaseError::Begin(Arc::new(error)))?;
    let value = work(&mut *transaction).await;
    transaction.commit().await.map_err(|error| DatabaseError::Commit(Arc::new(error)))?;
    Ok(value)
}
