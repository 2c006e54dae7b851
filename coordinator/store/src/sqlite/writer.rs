//! The writer: one thread that owns the one connection that writes, and makes whole groups durable with one sync.
//!
//! While a group is being made durable the next one collects in the queue; that is where the speed comes from. A group whose
//! fate nobody knows (an error of its COMMIT, any I/O error) is answered as such, and so is everything after it: a failed
//! sync can't be tried again, because the system may have dropped the pages that it couldn't write. The process has to end
//! and start again on what the disk really holds; [`Fatal`] tells whoever runs it.
//! Invariant: an answer of success is sent only after the COMMIT that makes it durable.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{oneshot, watch};

use super::cells::Cells;
use super::group::{Call, Ending, Group, Work, WriterFailed};
use super::logs;
use super::reserve::Reserve;
use super::tenure::{self, Tenure};
use crate::contract::TimeSource;
use crate::error::StoreError;
use crate::planted;
use crate::stats::Counters;

/// Most commits in a group. More would only add to how long the first one waits.
const GROUP_MAX: usize = 512;

/// The store can't go on: the process must end, and its next start reads what is really on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// What happened, for the log.
    pub message: String,
}

/// The handle of the thread. Dropping it lets the thread finish what is queued and waits for it.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
    fatal: watch::Receiver<Option<Fatal>>,
}

/// What the thread works with.
pub(super) struct Parts {
    pub(super) conn: Connection,
    pub(super) reserve: Reserve,
    pub(super) clock: TimeSource,
    pub(super) counters: Arc<Counters>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(parts: Parts) -> Result<Self, StartError> {
        let (queue, works) = channel();
        let (alarm, fatal) = watch::channel(None);
        let mut state = State::new(parts, alarm)?;
        let thread = std::thread::Builder::new().name("amends-store".into()).spawn(move || state.serve(&works))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), fatal })
    }

    /// Tells when the store can't go on.
    pub(super) fn fatal(&self) -> watch::Receiver<Option<Fatal>> {
        self.fatal.clone()
    }

    /// Queues a work. Where the thread is gone the work is dropped, and whoever waits for its answer sees that.
    pub(super) fn submit(&self, work: Box<dyn Work>) {
        if let Some(queue) = &self.queue {
            let _ = queue.send(work);
        }
    }

    /// Queues one function and waits for its answer. It may run more than once; only its last run counts.
    pub(super) async fn call<F, T>(&self, run: F) -> Result<T, StoreError>
    where
        F: FnMut(&mut Group<'_>) -> rusqlite::Result<Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.submit(Box::new(Call::new(run, reply)));
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable(gone().source())))
    }
}

/// What stands behind an answer that never came.
pub(super) fn gone() -> WriterFailed {
    WriterFailed::new("the store's writer has stopped")
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic was told through `fatal` already.
            let _ = thread.join();
        }
    }
}

/// Why the thread couldn't be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error("the writer's thread can't be started")]
    Thread(#[from] io::Error),
}

/// How an attempt to write a group failed.
enum Failure {
    /// It never began.
    NotBegun(rusqlite::Error),
    /// It began.
    Broken(rusqlite::Error),
}

struct State {
    conn: Connection,
    reserve: Reserve,
    clock: TimeSource,
    counters: Arc<Counters>,
    tenures: Vec<Tenure>,
    next_saga: i64,
    cells: Cells,
    alarm: watch::Sender<Option<Fatal>>,
    failed: Option<WriterFailed>,
}

impl State {
    fn new(parts: Parts, alarm: watch::Sender<Option<Fatal>>) -> rusqlite::Result<Self> {
        let Parts { conn, reserve, clock, counters } = parts;
        let (tenures, next_saga, cells) = (Vec::new(), 0, Cells::default());
        let mut state = Self { conn, reserve, clock, counters, tenures, next_saga, cells, alarm, failed: None };
        state.reload()?;
        Ok(state)
    }

    fn serve(&mut self, works: &Receiver<Box<dyn Work>>) {
        while let Ok(first) = works.recv() {
            let mut weight = first.weight();
            let mut group = vec![first];
            while weight < GROUP_MAX {
                let Ok(next) = works.try_recv() else { break };
                weight += next.weight();
                group.push(next);
            }
            let ending = self.write(&mut group);
            for work in group {
                work.answer(&ending);
            }
        }
    }

    /// Writes a group; on a full disk once more on the reserve, and then without new sagas.
    fn write(&mut self, works: &mut [Box<dyn Work>]) -> Ending {
        if let Some(failed) = &self.failed {
            return Ending::Unknown(failed.clone());
        }
        self.reserve.restore((self.clock)());
        let mut failure = match self.attempt(works) {
            Ok(()) => return Ending::Committed,
            Err(failure) => failure,
        };
        if is_full(&failure) && self.undo() && self.reserve.give_up((self.clock)()) {
            match self.attempt(works) {
                Ok(()) => return Ending::Committed,
                Err(again) => failure = again,
            }
        }
        match failure {
            _ if self.failed.is_some() => {}
            failure if is_full(&failure) => {
                if self.undo() {
                    return Ending::Full;
                }
            }
            // Nothing was begun, so nothing is lost: another program has the database for longer than we wait.
            Failure::NotBegun(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                tracing::error!(%error, "another program holds a write lock on the store: close it");
                return Ending::Unknown(WriterFailed::new(format!("another program holds a write lock: {error}")));
            }
            Failure::NotBegun(error) | Failure::Broken(error) => self.fail(&error.to_string()),
        }
        Ending::Unknown(self.failed.clone().unwrap_or_else(gone))
    }

    fn attempt(&mut self, works: &mut [Box<dyn Work>]) -> Result<(), Failure> {
        let takes_new = self.reserve.is_there();
        let now = (self.clock)();
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Failure::NotBegun)?;
        let (tenures, next_saga, cells) = (&mut self.tenures, &mut self.next_saga, &mut self.cells);
        let mut group = Group { conn: &tx, tenures, next_saga, cells, takes_new, now };
        works.iter_mut().try_for_each(|work| work.run(&mut group)).map_err(Failure::Broken)?;
        tenure::save_commits(group.conn, group.tenures).map_err(Failure::Broken)?;
        group.cells.save(group.conn).map_err(Failure::Broken)?;
        logs::save(group.conn, group.tenures).map_err(Failure::Broken)?;
        let committed = tx.commit();
        if !planted::is("failed_commit_acked") {
            committed.map_err(Failure::Broken)?;
        }
        self.counters.add_transaction();
        Ok(())
    }

    /// After a rollback: what is remembered of the database must be what is in it. Says whether that succeeded.
    fn undo(&mut self) -> bool {
        match self.reload() {
            Ok(()) => true,
            Err(error) => {
                self.fail(&format!("after a rollback: {error}"));
                false
            }
        }
    }

    fn reload(&mut self) -> rusqlite::Result<()> {
        self.tenures = tenure::load_whole(&self.conn)?;
        self.cells = Cells::load(&self.conn)?;
        self.next_saga = self.conn.query_row("SELECT coalesce(max(saga), 0) + 1 FROM saga", [], |row| row.get(0))?;
        Ok(())
    }

    fn fail(&mut self, message: &str) {
        let message = format!("the store can't write any more and the process must be restarted: {message}");
        tracing::error!("{message}");
        self.failed = Some(WriterFailed::new(message.as_str()));
        self.alarm.send_replace(Some(Fatal { message }));
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail("its writer panicked");
        }
    }
}

fn is_full(failure: &Failure) -> bool {
    let (Failure::NotBegun(error) | Failure::Broken(error)) = failure;
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}
