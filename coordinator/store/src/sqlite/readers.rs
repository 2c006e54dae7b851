//! Reading: a few connections that can only read, used from tokio's threads for blocking work.
//!
//! In WAL mode they never wait for the writer nor it for them. Invariant: one read sees one state of the database, from its
//! first row to its last, because it runs in one database transaction.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};
use tokio::sync::Semaphore;

use crate::error::StoreError;

/// How many reads run at once.
const CONNECTIONS: usize = 4;

/// How long to wait for somebody else's lock: only recovery and outside programs hold one that a reader meets.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements that each connection keeps compiled.
pub(super) const STATEMENTS: usize = 64;

/// The connections.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Opens them on a database that is there.
    pub(super) fn open(database: &Path) -> rusqlite::Result<Self> {
        let idle = (0..CONNECTIONS).map(|_| connect(database)).collect::<rusqlite::Result<Vec<_>>>()?;
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        Ok(Self { pool: Arc::new(Pool { permits, idle: Mutex::new(idle) }) })
    }

    /// Runs a read on one of them, once one is free.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.pool.permits)
            .acquire_owned()
            .await
            .map_err(|closed| StoreError::Unavailable(Box::new(closed)))?;
        let mut borrowed = Borrowed { conn: self.pool.take(), pool: Arc::clone(&self.pool) };
        let read = tokio::task::spawn_blocking(move || {
            // Held until the connection is back.
            let _permit = permit;
            let answer = borrowed.run(run);
            drop(borrowed);
            answer
        });
        match read.await {
            Ok(answer) => answer,
            Err(panicked) => Err(StoreError::Unavailable(Box::new(panicked))),
        }
    }
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Connection> {
        self.idle().pop()
    }
}

/// A connection that goes back to the pool, also when the read panics.
struct Borrowed {
    conn: Option<Connection>,
    pool: Arc<Pool>,
}

impl Borrowed {
    fn run<T>(&mut self, run: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let Some(conn) = &mut self.conn else {
            return Err(StoreError::Unavailable("no connection is left to read with".into()));
        };
        let answer = conn.transaction().and_then(|tx| run(&tx));
        answer.map_err(store_error)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool.idle().push(conn);
        }
    }
}

fn connect(database: &Path) -> rusqlite::Result<Connection> {
    let conn =
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

/// What SQLite says, as a store's error.
pub(super) fn store_error(error: rusqlite::Error) -> StoreError {
    let corrupt = match &error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => true,
        other => matches!(other.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)),
    };
    if corrupt {
        let what = "the database is damaged: run `amends doctor`, and restore a backup where it says so".into();
        StoreError::Corrupt { what, source: Some(Box::new(error)) }
    } else {
        StoreError::Unavailable(Box::new(error))
    }
}
