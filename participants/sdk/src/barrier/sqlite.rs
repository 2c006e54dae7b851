//! The barrier inside a SQLite transaction: load the row, decide, run the handler, store the row.
//!
//! The caller has opened the transaction with `BEGIN IMMEDIATE` ([`crate::Database`] does), commits it and only then
//! answers. Invariants: SQLite's one write lock is held before the row is read, so that two operations of a step can't
//! both find it empty (semantics A5); the business change and the row are in one savepoint and share their fate, except
//! that a refusal undoes the change and keeps the row (A2). The rules themselves are in `decide.rs`,
//! the columns in `sqlite/rows.rs`.

use futures::future::BoxFuture;
use prost::Message;
use sqlx::{Connection, SqliteConnection};

use crate::answer::{Answer, Failure, Refusal};
use crate::barrier::decide::{Bar, Call, Completion, Decision, decide, decide_completion};
use crate::barrier::row::{Digest, Ran, Row};
use crate::key::{CallContext, Operation, StepKey};
use crate::planted::{self, Bug};

use rows::{load, save, save_epoch};

mod rows;

const SCHEMA: &str = include_str!("schema.sql");

/// Creates the barrier's tables where they don't exist yet. Safe to call at every start.
///
/// # Errors
/// When the database can't be written.
pub async fn ensure_schema(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(SCHEMA).execute(db).await.map(|_| ())
}

/// What to tell the coordinator, once the transaction has been committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<R> {
    /// Succeeded, now or before.
    Done(R),
    /// The effect comes later.
    Pending,
    /// Refused by the participant, now or before.
    Refused(Refusal),
    /// Not let through by the barrier.
    Barred(Bar),
}

/// Why a call got no verdict. Nothing of it was kept; the coordinator takes it as unknown and tries again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The barrier's own statements failed.
    #[error("the barrier's row can't be read or written")]
    Database(#[from] sqlx::Error),
    /// The row makes no sense.
    #[error("the barrier's row of {key} is corrupt: {what}")]
    Corrupt {
        /// The step.
        key: StepKey,
        /// What is wrong with it.
        what: String,
    },
    /// The handler failed.
    #[error("the handler of {key} failed")]
    Handler {
        /// The step.
        key: StepKey,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Carries a call through the barrier on a connection that is in a `BEGIN IMMEDIATE` transaction begun through sqlx.
///
/// `handler` makes the business change on the connection it is given and touches nothing else. Answer the coordinator
/// only after the transaction is committed.
///
/// # Errors
/// When the database or the handler failed. Nothing of the call is kept then beyond its epoch, and the transaction can
/// be committed all the same.
pub async fn run_in<R, H>(
    db: &mut SqliteConnection,
    call: &CallContext,
    digest: Digest,
    handler: H,
) -> Result<Verdict<R>, RunError>
where
    R: Message + Default,
    H: for<'c> FnOnce(&'c mut SqliteConnection, &'c CallContext) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send,
{
    let (row, epoch_seen) = load(db, &call.key).await?;
    let (operation, epoch) = (call.operation, call.epoch);
    let decision =
        decide(&row, epoch_seen, &Call { operation, epoch, expects_succeeded: call.expects_succeeded, digest });
    let decision = if planted::is(Bug::NoBarrier) { Decision::Run } else { decision };
    if epoch > epoch_seen {
        // First, and outside the savepoint: a refusal or a failure must not forget that a newer owner has called.
        save_epoch(db, &call.key, epoch).await?;
    }
    match decision {
        Decision::Run => {
            let run = Run { key: &call.key, row, operation, digest };
            run.handler(db, call, handler).await
        }
        Decision::Replay(reply) => Ok(Verdict::Done(decode(&call.key, &reply)?)),
        Decision::ReplayPending => Ok(Verdict::Pending),
        Decision::ReplayRefusal(refusal) => Ok(Verdict::Refused(refusal)),
        Decision::EmptyCompensation { seal } => {
            if seal {
                save(db, &call.key, &Row::Sealed { compensate: digest }).await?;
            }
            Ok(Verdict::Done(R::default()))
        }
        Decision::Barred(bar) => Ok(Verdict::Barred(bar)),
    }
}

/// What became of the effect of a pending operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completed<R> {
    /// It stands, now or before.
    Done(R),
    /// The handler says: not yet.
    StillPending,
    /// Refused, now or before.
    Refused(Refusal),
    /// The step has been compensated, or is being: the handler was not run.
    AfterCompensate,
    /// No such operation is pending here: the handler was not run.
    NotPending,
}

/// Lets the effect of a pending operation happen through the same row, unless its step was compensated in the meantime.
///
/// The same transaction rules as for [`run_in`].
///
/// # Errors
/// When the database or the handler failed; nothing is kept and the operation is still pending.
pub async fn complete_in<R, H>(
    db: &mut SqliteConnection,
    key: &StepKey,
    operation: Operation,
    handler: H,
) -> Result<Completed<R>, RunError>
where
    R: Message + Default,
    H: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send,
{
    let (row, _) = load(db, key).await?;
    match decide_completion(&row, operation) {
        Completion::Run(digest) => {
            let run = Run { key, row, operation, digest };
            Ok(match run.handler(db, key, |db, _| handler(db)).await? {
                Verdict::Done(reply) => Completed::Done(reply),
                Verdict::Refused(refusal) => Completed::Refused(refusal),
                Verdict::Pending | Verdict::Barred(_) => Completed::StillPending,
            })
        }
        Completion::Replay(reply) => Ok(Completed::Done(decode(key, &reply)?)),
        Completion::ReplayRefusal(refusal) => Ok(Completed::Refused(refusal)),
        Completion::AfterCompensate => Ok(Completed::AfterCompensate),
        Completion::NotPending => Ok(Completed::NotPending),
    }
}

/// A handler about to run: what its row was, and what it will be stored under.
struct Run<'k> {
    key: &'k StepKey,
    row: Row,
    operation: Operation,
    digest: Digest,
}

impl Run<'_> {
    /// Runs the handler in a savepoint: what it changed stands or falls with the row; a refusal undoes the change, then
    /// writes the row.
    async fn handler<R, C, H>(self, db: &mut SqliteConnection, context: &C, handler: H) -> Result<Verdict<R>, RunError>
    where
        R: Message + Default,
        C: Sync,
        H: for<'c> FnOnce(&'c mut SqliteConnection, &'c C) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send,
    {
        let mut savepoint = db.begin().await?;
        let (ran, verdict) = match handler(&mut savepoint, context).await {
            Ok(Answer::Done(reply)) => (Ran::Done(reply.encode_to_vec()), Verdict::Done(reply)),
            Ok(Answer::Pending) => (Ran::Pending, Verdict::Pending),
            Err(Failure::Rejected(refusal)) => (Ran::Refused(refusal.clone()), Verdict::Refused(refusal)),
            Err(Failure::Failed(source)) => return Err(RunError::Handler { key: self.key.clone(), source }),
        };
        let refused = matches!(ran, Ran::Refused(_));
        let row = self.row.after(self.operation, self.digest, ran);
        if !refused {
            save(&mut savepoint, self.key, &row).await?;
            savepoint.commit().await?;
            return Ok(verdict);
        }
        savepoint.rollback().await?;
        if !planted::is(Bug::RefusalNotStored) {
            save(db, self.key, &row).await?;
        }
        Ok(verdict)
    }
}

fn decode<R: Message + Default>(key: &StepKey, reply: &[u8]) -> Result<R, RunError> {
    R::decode(reply).map_err(|error| RunError::Corrupt { key: key.clone(), what: format!("stored reply: {error}") })
}
