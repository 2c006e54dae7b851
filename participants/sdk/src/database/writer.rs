//! The one writer: takes whatever work is waiting, runs it in one transaction, commits, then answers all of it.
//!
//! Knows nothing of sagas or barriers. Invariants: `BEGIN IMMEDIATE` comes before the first read; no answer leaves before
//! the commit; after an I/O error the writer ends for good, because a failed fsync can't be tried again (the kernel has
//! already thrown the pages away).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::DatabaseError;
use super::sqlite::SqliteFile;
use crate::barrier::BarrierConnection;

/// Work that shares a commit at most: bounds how long the first of a group waits for the last.
const GROUP_LENGTH_MAX: usize = 128;

/// Makes changes on the connection and undoes them itself when it fails.
pub(super) type Work<C> = Box<dyn for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, Reply> + Send>;

/// Tells the caller what came of its work, once it is known whether it was committed.
pub(super) type Reply = Box<dyn FnOnce(Result<(), DatabaseError>) + Send>;

/// Runs until the queue is closed or the disk fails.
pub(super) async fn run<C: BarrierConnection>(file: SqliteFile<C>, mut db: C, mut queue: mpsc::Receiver<Work<C>>) {
    while let Some(first) = queue.recv().await {
        let mut replies = Vec::new();
        let committed = commit_group(&mut db, first, &mut queue, &mut replies).await.map_err(Arc::new);
        for reply in replies {
            reply(committed.clone().map_err(DatabaseError::Commit));
        }
        let Err(error) = committed else { continue };
        tracing::error!(%error, "a commit failed; its callers were told that the result is unknown");
        if disk_failed(&error) {
            return;
        }
        // The connection's idea of its transaction may be wrong now; a new one has none.
        db = match reopen(&file, db).await {
            Ok(db) => db,
            Err(error) => {
                tracing::error!(%error, "the database can't be opened again");
                return;
            }
        };
    }
}

async fn commit_group<C: BarrierConnection>(
    db: &mut C,
    first: Work<C>,
    queue: &mut mpsc::Receiver<Work<C>>,
    replies: &mut Vec<Reply>,
) -> Result<(), sqlx::Error> {
    let mut group = db.begin_with("BEGIN IMMEDIATE").await?;
    let mut next = Some(first);
    while let Some(work) = next.take() {
        // After a panic sqlx rolls the work's own savepoint back; its caller finds the answer's channel closed.
        match AssertUnwindSafe(work(&mut *group)).catch_unwind().await {
            Ok(reply) => replies.push(reply),
            Err(_) => tracing::error!("a handler panicked; its changes were rolled back"),
        }
        if replies.len() < GROUP_LENGTH_MAX {
            next = queue.try_recv().ok();
        }
    }
    group.commit().await
}

async fn reopen<C: BarrierConnection>(file: &SqliteFile<C>, broken: C) -> Result<C, sqlx::Error> {
    // Its errors say nothing that the failed commit hasn't said.
    broken.close().await.ok();
    file.connect().await
}

/// I/O errors and corruption, by SQLite's primary result code: nothing written after these can be relied on.
fn disk_failed(error: &sqlx::Error) -> bool {
    const SQLITE_IOERR: u32 = 10;
    const SQLITE_CORRUPT: u32 = 11;
    const SQLITE_NOTADB: u32 = 26;
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|extended| matches!(extended & 0xff, SQLITE_IOERR | SQLITE_CORRUPT | SQLITE_NOTADB))
}
