//! The barrier inside a database transaction: lock and load the row, decide, run the handler, store the row.
//!
//! The caller has opened the transaction through sqlx (on SQLite with `BEGIN IMMEDIATE`), commits it and only then answers;
//! [`crate::Database`] does all that. Invariants: the step is locked before its row is read (`rows.rs`); the business change
//! and the row are in one savepoint and share their fate, except that a refusal undoes the change and keeps the row
//! (semantics A2). The rules themselves are in `decide.rs`.

use futures::future::BoxFuture;
use prost::Message;

use super::connection::{BarrierConnection, Flavour, Value};
use super::rows::{Met, Missing, load, meet, save};
use crate::answer::{Answer, Failure, Refusal};
use crate::barrier::decide::{Bar, Call, Completion, Decision, decide, decide_completion};
use crate::barrier::row::{Digest, Ran, Row};
use crate::key::{CallContext, Operation, StepKey};
use crate::planted::{self, Bug};

/// The barrier's tables for SQLite, for tools and other languages.
pub const SCHEMA_SQLITE: &str = include_str!("schema.sqlite.sql");

/// The barrier's tables for Postgres, for tools and other languages.
pub const SCHEMA_POSTGRES: &str = include_str!("schema.postgres.sql");

/// Columns that `amends_saga` had before rows could be swept.
const OLD_SAGA_COLUMNS: i64 = 4;

/// Creates the barrier's tables where they don't exist yet. Safe to call at every start.
///
/// # Errors
/// When the database can't be written.
pub async fn ensure_schema<C: BarrierConnection>(db: &mut C) -> Result<(), sqlx::Error> {
    if db.flavour() == Flavour::Postgres {
        return db.script(SCHEMA_POSTGRES).await;
    }
    let values: [Value<'_>; 0] = [];
    let columns = db.fetch("SELECT count(*) AS number FROM pragma_table_info('amends_saga')", &values).await?;
    if columns.and_then(|found| found.number) == Some(OLD_SAGA_COLUMNS) {
        db.script("ALTER TABLE amends_saga ADD COLUMN store TEXT; ALTER TABLE amends_saga ADD COLUMN begun INTEGER")
            .await?;
    }
    db.script(SCHEMA_SQLITE).await
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
    /// The connection isn't in a transaction that was begun through sqlx.
    #[error("the barrier was called outside a database transaction")]
    NoTransaction,
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

/// Carries a call through the barrier on a connection that is in a transaction begun through sqlx: on Postgres at any
/// isolation level, READ COMMITTED suffices; on SQLite with `BEGIN IMMEDIATE`.
///
/// `handler` makes the business change on the connection it is given and touches nothing else. Answer the coordinator
/// only after the transaction is committed; when the commit fails, answer with a code that reads as unknown.
///
/// # Errors
/// When the database or the handler failed. Nothing of the call is kept then beyond its epoch, and the transaction can
/// be committed all the same. Serialization errors, deadlocks and time-outs of locks are such failures: unknown to the
/// coordinator, which calls again.
pub async fn run_in<C, R, H>(db: &mut C, call: &CallContext, digest: Digest, handler: H) -> Result<Verdict<R>, RunError>
where
    C: BarrierConnection,
    R: Message + Default,
    H: for<'c> FnOnce(&'c mut C, &'c CallContext) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send,
{
    let (row, seen) = locked(db, &call.key, Missing::Claim).await?;
    // First, and outside the savepoint: a refusal or a failure must not forget that a newer owner has called.
    let epoch_seen = match meet(db, call, seen).await? {
        Met::Epoch(epoch) => epoch,
        Met::Swept => return Ok(Verdict::Barred(Bar::SagaOver)),
    };
    let (operation, epoch) = (call.operation, call.epoch);
    let decision =
        decide(&row, epoch_seen, &Call { operation, epoch, expects_succeeded: call.expects_succeeded, digest });
    let decision = if planted::is(Bug::NoBarrier) { Decision::Run } else { decision };
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

async fn locked<C: BarrierConnection>(
    db: &mut C,
    key: &StepKey,
    missing: Missing,
) -> Result<(Row, Option<u64>), RunError> {
    if !db.is_in_transaction() {
        return Err(RunError::NoTransaction);
    }
    load(db, key, missing).await
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
pub async fn complete_in<C, R, H>(
    db: &mut C,
    key: &StepKey,
    operation: Operation,
    handler: H,
) -> Result<Completed<R>, RunError>
where
    C: BarrierConnection,
    R: Message + Default,
    H: for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send,
{
    let (row, _) = locked(db, key, Missing::Leave).await?;
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
    async fn handler<C, R, T, H>(self, db: &mut C, context: &T, handler: H) -> Result<Verdict<R>, RunError>
    where
        C: BarrierConnection,
        R: Message + Default,
        T: Sync,
        H: for<'c> FnOnce(&'c mut C, &'c T) -> BoxFuture<'c, Result<Answer<R>, Failure>> + Send,
    {
        let mut savepoint = db.begin().await?;
        let (ran, verdict) = ran_and_verdict(self.key, handler(&mut savepoint, context).await)?;
        let refused = matches!(ran, Ran::Refused(_));
        let row = self.row.after(self.operation, self.digest, ran);
        if !refused {
            save(&mut *savepoint, self.key, &row).await?;
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

/// What a handler's answer is to the row, and what it is to the caller.
pub(super) fn ran_and_verdict<R: Message>(
    key: &StepKey,
    answer: Result<Answer<R>, Failure>,
) -> Result<(Ran, Verdict<R>), RunError> {
    match answer {
        Ok(Answer::Done(reply)) => Ok((Ran::Done(reply.encode_to_vec()), Verdict::Done(reply))),
        Ok(Answer::Pending) => Ok((Ran::Pending, Verdict::Pending)),
        Err(Failure::Rejected(refusal)) => {
            let refusal = refusal.fit();
            Ok((Ran::Refused(refusal.clone()), Verdict::Refused(refusal)))
        }
        Err(Failure::Failed(source)) => Err(RunError::Handler { key: key.clone(), source }),
    }
}

pub(super) fn decode<R: Message + Default>(key: &StepKey, reply: &[u8]) -> Result<R, RunError> {
    R::decode(reply).map_err(|error| RunError::Corrupt { key: key.clone(), what: format!("stored reply: {error}") })
}
