//! The barrier's statements: locking and reading a step's row, writing it, and the highest epoch of its saga.
//!
//! Decides nothing. Invariants: nothing is read before the step is locked, so that two operations of a step can't both find
//! it empty (semantics A5): on SQLite the caller's `BEGIN IMMEDIATE` has done that, on Postgres [`load`] inserts the row or
//! finds it and locks it; [`load`] gives back what [`save`] was given.
//!
//! READ COMMITTED is enough on Postgres: each statement sees all that was committed before it began, the step's row is read
//! by the very statement that locks it (after a wait Postgres reads the row's newest version), and all that is decided hangs
//! on that row and on what is read after it. Stricter levels turn a wait into a serialization error, which reads as unknown.

use super::columns::Columns;
use super::connection::{BarrierConnection, Flavour, Value};
use super::row::Row;
use super::run::RunError;
use super::sweep::is_swept;
use crate::key::{CallContext, StepKey};
use crate::planted::{self, Bug};

/// One query, since the database is locked.
const LOAD_SQLITE: &str = "SELECT (SELECT epoch FROM amends_saga WHERE namespace = $1 AND saga_id = $2) AS number, b.* \
     FROM (SELECT 1) LEFT JOIN amends_barrier b \
       ON b.namespace = $1 AND b.saga_id = $2 AND b.step = $3 AND b.element = $4";

/// Waits for whoever has inserted this row and not committed yet.
const CLAIM: &str = "INSERT INTO amends_barrier (namespace, saga_id, step, element, status) \
     VALUES ($1, $2, $3, $4, 'absent') ON CONFLICT DO NOTHING";

/// Waits for whoever has locked this row.
const LOCK: &str = "SELECT * FROM amends_barrier \
     WHERE namespace = $1 AND saga_id = $2 AND step = $3 AND element = $4 FOR UPDATE";

/// What must not be done: see [`Bug::NoRowLock`].
const READ_UNLOCKED: &str =
    "SELECT * FROM amends_barrier WHERE namespace = $1 AND saga_id = $2 AND step = $3 AND element = $4";

const EPOCH: &str = "SELECT epoch AS number FROM amends_saga WHERE namespace = $1 AND saga_id = $2";
const EPOCH_LOCKED: &str = "SELECT epoch AS number FROM amends_saga WHERE namespace = $1 AND saga_id = $2 FOR UPDATE";

const MEET_SAGA: &str = "INSERT INTO amends_saga (namespace, saga_id, epoch, store, begun) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";

const UNMEET_SAGA: &str = "DELETE FROM amends_saga WHERE namespace = $1 AND saga_id = $2";

const UNCLAIM: &str = "DELETE FROM amends_barrier \
     WHERE namespace = $1 AND saga_id = $2 AND step = $3 AND element = $4 AND status = 'absent'";

const RAISE_EPOCH: &str = "UPDATE amends_saga SET epoch = $3 WHERE namespace = $1 AND saga_id = $2";

const SAVE: &str = "INSERT INTO amends_barrier (namespace, saga_id, step, element, status, action_digest, action_reply, \
         refusal_reason, refusal_message, ending, ending_digest, ending_reply) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
     ON CONFLICT (namespace, saga_id, step, element) DO UPDATE SET status = excluded.status, \
         action_digest = excluded.action_digest, action_reply = excluded.action_reply, \
         refusal_reason = excluded.refusal_reason, refusal_message = excluded.refusal_message, \
         ending = excluded.ending, ending_digest = excluded.ending_digest, ending_reply = excluded.ending_reply";

/// Whether a step's row is made where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// For a call: the row is what concurrent calls of the step wait for.
    Claim,
    /// For a completion, which is nothing without a row.
    Leave,
}

/// Locks the step, and gives its row and the highest epoch of its saga, if the saga was seen.
pub(super) async fn load<C: BarrierConnection>(
    db: &mut C,
    key: &StepKey,
    missing: Missing,
) -> Result<(Row, Option<u64>), RunError> {
    let values = step(key);
    if db.flavour() == Flavour::Sqlite {
        let mut stored = db.fetch(LOAD_SQLITE, &values).await?.unwrap_or_default();
        let epoch = stored.number.take().map(i64::cast_unsigned);
        return Ok((stored.row(key)?, epoch));
    }
    let unlocked = planted::is(Bug::NoRowLock);
    if missing == Missing::Claim && !unlocked {
        db.execute(CLAIM, &values).await?;
    }
    let stored = db.fetch(if unlocked { READ_UNLOCKED } else { LOCK }, &values).await?;
    let row = stored.unwrap_or_default().row(key)?;
    let saga = db.fetch(EPOCH, &values[..2]).await?;
    Ok((row, saga.and_then(|saga| saga.number).map(i64::cast_unsigned)))
}

/// What earlier calls of a saga say about this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// The highest epoch of earlier calls, 0 where there was none.
    Epoch(u64),
    /// There may have been calls whose rows were swept.
    Swept,
}

/// Notes the saga of a call and its epoch, and says what was known of it.
///
/// Only the first call of a saga or of an epoch writes, so that the steps of a saga don't wait for each other.
pub(super) async fn meet<C: BarrierConnection>(
    db: &mut C,
    call: &CallContext,
    seen: Option<u64>,
) -> Result<Met, sqlx::Error> {
    if let Some(seen) = seen.filter(|seen| *seen >= call.epoch) {
        return Ok(Met::Epoch(seen));
    }
    let (store, begun) = call.origin.as_ref().map(|origin| (origin.store.as_str(), origin.begun)).unzip();
    let epoch = Value::Number(Some(call.epoch.cast_signed()));
    let [namespace, saga_id, ..] = step(&call.key);
    let saga = [namespace, saga_id, epoch, Value::Text(store), Value::Number(begun)];
    if seen.is_none() && db.execute(MEET_SAGA, &saga).await? == 1 {
        // Only a saga without rows can have been swept, and only after its floor was written down.
        let swept = match &call.origin {
            Some(origin) => is_swept(db, origin).await?,
            None => false,
        };
        if !swept {
            return Ok(Met::Epoch(0));
        }
        // Nothing of it may stay: a second copy that found the saga would take it for one that wasn't swept.
        db.execute(UNMEET_SAGA, &saga[..2]).await?;
        db.execute(UNCLAIM, &step(&call.key)).await?;
        return Ok(Met::Swept);
    }
    // Somebody else may have met the saga, or raised its epoch, since it was read.
    let locked = if db.flavour() == Flavour::Postgres { EPOCH_LOCKED } else { EPOCH };
    let found = db.fetch(locked, &saga[..2]).await?;
    let highest = found.and_then(|found| found.number).map_or(0, i64::cast_unsigned);
    if highest < call.epoch {
        db.execute(RAISE_EPOCH, &saga[..3]).await?;
    }
    Ok(Met::Epoch(highest))
}

/// Writes the step's row.
pub(super) async fn save<C: BarrierConnection>(db: &mut C, key: &StepKey, row: &Row) -> Result<(), sqlx::Error> {
    let Some(columns) = Columns::of(row) else { return Ok(()) };
    let values: Vec<Value<'_>> = step(key).into_iter().chain(columns.values()).collect();
    db.execute(SAVE, &values).await.map(|_| ())
}

/// A primary key can't hold NULL, so "no element" is the empty text, which no element is.
fn step(key: &StepKey) -> [Value<'_>; 4] {
    [&key.namespace, &key.saga_id, &key.step, key.element.as_deref().unwrap_or("")].map(|text| Value::Text(Some(text)))
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, SqliteConnection};

    use super::*;
    use crate::answer::Refusal;
    use crate::barrier::ensure_schema;
    use crate::barrier::row::{Ending, Leg};
    use crate::key::Operation;

    fn key() -> StepKey {
        StepKey { namespace: "default".into(), saga_id: "s".into(), step: "charge".into(), element: None }
    }

    async fn memory() -> SqliteConnection {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        ensure_schema(&mut db).await.unwrap();
        ensure_schema(&mut db).await.unwrap();
        db
    }

    fn every_row() -> Vec<Row> {
        let (action, digest) = ([1; 32], [2; 32]);
        let refusal = Refusal { reason: "OUT_OF_STOCK".into(), message: "none left".into() };
        let (pending, done) = (Leg::Pending { digest }, Leg::Done { digest, reply: b"end".to_vec() });
        let succeeded = |ending| Row::Succeeded { action, reply: Vec::new(), ending };
        vec![
            Row::Sealed { compensate: digest },
            Row::Refused { action, refusal },
            Row::Pending { action, compensate: None },
            Row::Pending { action, compensate: Some(pending.clone()) },
            Row::Pending { action, compensate: Some(done.clone()) },
            succeeded(None),
            succeeded(Some(Ending::Confirm(pending.clone()))),
            succeeded(Some(Ending::Confirm(done.clone()))),
            succeeded(Some(Ending::Compensate(pending))),
            succeeded(Some(Ending::Compensate(done))),
        ]
    }

    #[tokio::test]
    async fn every_row_comes_back_as_it_was_stored() {
        let mut db = memory().await;
        assert_eq!(load(&mut db, &key(), Missing::Claim).await.unwrap(), (Row::Absent, None));
        for row in every_row() {
            save(&mut db, &key(), &row).await.unwrap();
            assert_eq!(load(&mut db, &key(), Missing::Claim).await.unwrap().0, row);
        }
    }

    #[tokio::test]
    async fn the_widest_epoch_comes_back_and_belongs_to_the_saga() {
        let mut db = memory().await;
        let call = CallContext {
            key: key(),
            operation: Operation::Action,
            attempt: 1,
            epoch: u64::MAX,
            expects_succeeded: false,
            idempotency_key: String::new(),
            origin: None,
        };
        assert_eq!(meet(&mut db, &call, None).await.unwrap(), Met::Epoch(0));
        let other_step = StepKey { step: "ship".into(), ..key() };
        assert_eq!(load(&mut db, &other_step, Missing::Claim).await.unwrap(), (Row::Absent, Some(u64::MAX)));
        let other_saga = StepKey { saga_id: "t".into(), ..key() };
        assert_eq!(load(&mut db, &other_saga, Missing::Claim).await.unwrap(), (Row::Absent, None));
    }

    #[tokio::test]
    async fn a_row_that_makes_no_sense_is_an_error_and_not_a_guess() {
        for damage in [
            "action_digest = x'01'",
            "status = 'sealed', ending = 'confirmed'",
            "action_reply = NULL",
            "status = 'refused'",
        ] {
            let mut db = memory().await;
            save(&mut db, &key(), &every_row()[5]).await.unwrap();
            let damage = sqlx::AssertSqlSafe(format!("UPDATE amends_barrier SET {damage}"));
            sqlx::query(damage).execute(&mut db).await.unwrap();
            let loaded = load(&mut db, &key(), Missing::Claim).await;
            assert!(loaded.is_err(), "{loaded:?}");
        }
    }
}
