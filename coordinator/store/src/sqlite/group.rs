//! A group: everything that one database transaction makes durable together.
//!
//! It is the only way to write: whoever writes gets a [`Group`] from the writer's thread, never a connection of its own.
//! Invariant: what a [`Work`] does to the group is undone with it, so a work must run again from the start and answer only
//! when it is told how the group ended.

use std::sync::Arc;

use amends_engine::time::Timestamp;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::cells::Cells;
use super::tenure::Tenure;
use crate::error::{CommitError, Source, StoreError};

/// What a work may use while its group is open.
pub(super) struct Group<'a> {
    /// Inside a database transaction.
    pub(super) conn: &'a Connection,
    /// Who has which shard, as the transaction sees it.
    pub(super) tenures: &'a mut Vec<Tenure>,
    /// The number that the next new saga gets.
    pub(super) next_saga: &'a mut i64,
    /// Which cells there are, and what this group moves between them.
    pub(super) cells: &'a mut Cells,
    /// Whether new sagas are taken; not while the reserve is in use.
    pub(super) takes_new: bool,
    /// When the group was opened.
    pub(super) now: Timestamp,
}

/// How a group ended.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    /// All of it is durable.
    Committed,
    /// Nothing was written: the disk is full.
    Full,
    /// Nobody knows.
    Unknown(WriterFailed),
}

/// What stands behind an answer that nobody knows.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct WriterFailed(pub(super) Arc<str>);

impl WriterFailed {
    pub(super) fn new(message: impl Into<Arc<str>>) -> Self {
        Self(message.into())
    }

    pub(super) fn source(&self) -> Source {
        Box::new(self.clone())
    }
}

/// Something to write.
pub(super) trait Work: Send {
    /// Writes it, and keeps what is to be answered. An error here ends the whole group.
    fn run(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()>;

    /// Answers whoever waits, once the group has ended.
    fn answer(self: Box<Self>, ending: &Ending);

    /// How much it adds to a group, in commits.
    fn weight(&self) -> usize {
        1
    }
}

/// A work that is one function with one answer: everything but commits.
pub(super) struct Call<F, T> {
    run: F,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Call<F, T> {
    pub(super) fn new(run: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { run, outcome: None, reply }
    }
}

impl<F, T> Work for Call<F, T>
where
    F: FnMut(&mut Group<'_>) -> rusqlite::Result<Result<T, StoreError>> + Send,
    T: Send,
{
    fn run(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        self.outcome = Some((self.run)(group)?);
        Ok(())
    }

    fn answer(self: Box<Self>, ending: &Ending) {
        let never_ran = || Err(StoreError::Unavailable(WriterFailed::new("the writer never got to it").source()));
        let answer = match ending {
            Ending::Committed => self.outcome.unwrap_or_else(never_ran),
            Ending::Full => Err(StoreError::Refused(Box::new(CommitError::Full))),
            Ending::Unknown(failed) => Err(StoreError::Unavailable(failed.source())),
        };
        // Whoever asked may have gone away; what was written stays written.
        let _ = self.reply.send(answer);
    }
}
