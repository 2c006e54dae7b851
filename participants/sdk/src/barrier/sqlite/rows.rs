//! Barrier rows as columns: reading, writing, and noticing what makes no sense.
//!
//! Decides nothing. Invariant: [`load`] gives back what [`save`] was given; columns that contradict each other are a
//! [`RunError::Corrupt`], never a guess. The tables are in `barrier/schema.sql`.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::RunError;
use crate::answer::Refusal;
use crate::barrier::row::{Digest, Ending, Leg, Row};
use crate::key::StepKey;

/// The row and the highest epoch of its saga, in one query.
pub(super) async fn load(db: &mut SqliteConnection, key: &StepKey) -> Result<(Row, u64), RunError> {
    let found = sqlx::query(
        "SELECT (SELECT epoch FROM amends_saga WHERE namespace = ?1 AND saga_id = ?2) AS epoch, b.*
         FROM (SELECT 1) LEFT JOIN amends_barrier b
           ON b.namespace = ?1 AND b.saga_id = ?2 AND b.step = ?3 AND b.element = ?4",
    )
    .bind(&key.namespace)
    .bind(&key.saga_id)
    .bind(&key.step)
    .bind(element(key))
    .fetch_one(db)
    .await?;
    let epoch: Option<i64> = found.try_get("epoch")?;
    Ok((read(key, &found)?, epoch.unwrap_or(0).cast_unsigned()))
}

fn read(key: &StepKey, found: &SqliteRow) -> Result<Row, RunError> {
    let status: Option<&str> = found.try_get("status")?;
    let Some(status) = status else { return Ok(Row::Absent) };
    let corrupt = |what: &str| RunError::Corrupt { key: key.clone(), what: what.to_owned() };
    // sqlx reads NULL as an empty value unless it is asked for an Option.
    let bytes = |column: &str| -> Result<Vec<u8>, RunError> {
        found.try_get::<Option<_>, _>(column)?.ok_or_else(|| corrupt(column))
    };
    let text = |column: &str| -> Result<String, RunError> {
        found.try_get::<Option<_>, _>(column)?.ok_or_else(|| corrupt(column))
    };
    let digest = |column: &str| Digest::try_from(bytes(column)?).map_err(|_| corrupt(column));
    let leg_pending = || Ok::<_, RunError>(Leg::Pending { digest: digest("ending_digest")? });
    let leg_done = || -> Result<Leg, RunError> {
        Ok(Leg::Done { digest: digest("ending_digest")?, reply: bytes("ending_reply")? })
    };
    let ending = match found.try_get::<Option<&str>, _>("ending")? {
        None => None,
        Some("confirming") => Some(Ending::Confirm(leg_pending()?)),
        Some("confirmed") => Some(Ending::Confirm(leg_done()?)),
        Some("compensating") => Some(Ending::Compensate(leg_pending()?)),
        Some("compensated") => Some(Ending::Compensate(leg_done()?)),
        Some(other) => return Err(corrupt(&format!("ending {other:?}"))),
    };
    match (status, ending) {
        ("sealed", None) => Ok(Row::Sealed { compensate: digest("ending_digest")? }),
        ("refused", None) => {
            let refusal = Refusal { reason: text("refusal_reason")?, message: text("refusal_message")? };
            Ok(Row::Refused { action: digest("action_digest")?, refusal })
        }
        ("pending", None) => Ok(Row::Pending { action: digest("action_digest")?, compensate: None }),
        ("pending", Some(Ending::Compensate(leg))) => {
            Ok(Row::Pending { action: digest("action_digest")?, compensate: Some(leg) })
        }
        ("succeeded", ending) => {
            Ok(Row::Succeeded { action: digest("action_digest")?, reply: bytes("action_reply")?, ending })
        }
        (other, _) => Err(corrupt(&format!("status {other:?}"))),
    }
}

/// A row taken apart into columns.
#[derive(Default)]
struct Columns<'r> {
    status: &'static str,
    action_digest: Option<&'r [u8]>,
    action_reply: Option<&'r [u8]>,
    refusal: Option<&'r Refusal>,
    ending: Option<&'static str>,
    ending_digest: Option<&'r [u8]>,
    ending_reply: Option<&'r [u8]>,
}

impl<'r> Columns<'r> {
    /// `None` for the row that isn't there.
    fn of(row: &'r Row) -> Option<Self> {
        let columns = match row {
            Row::Absent => return None,
            Row::Sealed { compensate } => Self { status: "sealed", ending_digest: Some(compensate), ..Self::default() },
            Row::Refused { action, refusal } => {
                Self { status: "refused", action_digest: Some(action), refusal: Some(refusal), ..Self::default() }
            }
            Row::Pending { action, compensate } => {
                let columns = Self { status: "pending", action_digest: Some(action), ..Self::default() };
                columns.ending(compensate.as_ref().map(|leg| (leg, "compensating", "compensated")))
            }
            Row::Succeeded { action, reply, ending } => {
                let columns = Self {
                    status: "succeeded",
                    action_digest: Some(action),
                    action_reply: Some(reply),
                    ..Self::default()
                };
                columns.ending(ending.as_ref().map(|ending| match ending {
                    Ending::Confirm(leg) => (leg, "confirming", "confirmed"),
                    Ending::Compensate(leg) => (leg, "compensating", "compensated"),
                }))
            }
        };
        Some(columns)
    }

    fn ending(mut self, ending: Option<(&'r Leg, &'static str, &'static str)>) -> Self {
        if let Some((leg, begun, done)) = ending {
            self.ending_digest = Some(leg.digest());
            (self.ending, self.ending_reply) = match leg {
                Leg::Pending { .. } => (Some(begun), None),
                Leg::Done { reply, .. } => (Some(done), Some(reply.as_slice())),
            };
        }
        self
    }
}

pub(super) async fn save(db: &mut SqliteConnection, key: &StepKey, row: &Row) -> Result<(), sqlx::Error> {
    let Some(columns) = Columns::of(row) else { return Ok(()) };
    sqlx::query("INSERT OR REPLACE INTO amends_barrier VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(&key.namespace)
        .bind(&key.saga_id)
        .bind(&key.step)
        .bind(element(key))
        .bind(columns.status)
        .bind(columns.action_digest)
        .bind(columns.action_reply)
        .bind(columns.refusal.map(|refusal| &refusal.reason))
        .bind(columns.refusal.map(|refusal| &refusal.message))
        .bind(columns.ending)
        .bind(columns.ending_digest)
        .bind(columns.ending_reply)
        .execute(db)
        .await
        .map(|_| ())
}

pub(super) async fn save_epoch(db: &mut SqliteConnection, key: &StepKey, epoch: u64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO amends_saga (namespace, saga_id, epoch) VALUES (?, ?, ?)
         ON CONFLICT (namespace, saga_id) DO UPDATE SET epoch = excluded.epoch",
    )
    .bind(&key.namespace)
    .bind(&key.saga_id)
    .bind(epoch.cast_signed())
    .execute(db)
    .await
    .map(|_| ())
}

/// A primary key can't hold NULL, so "no element" is the empty text, which no element is.
fn element(key: &StepKey) -> &str {
    key.element.as_deref().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;

    use super::*;
    use crate::barrier::sqlite::ensure_schema;

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
        assert_eq!(load(&mut db, &key()).await.unwrap(), (Row::Absent, 0));
        for row in every_row() {
            save(&mut db, &key(), &row).await.unwrap();
            assert_eq!(load(&mut db, &key()).await.unwrap().0, row);
        }
    }

    #[tokio::test]
    async fn the_widest_epoch_comes_back_and_belongs_to_the_saga() {
        let mut db = memory().await;
        save_epoch(&mut db, &key(), u64::MAX).await.unwrap();
        let other_step = StepKey { step: "ship".into(), ..key() };
        assert_eq!(load(&mut db, &other_step).await.unwrap(), (Row::Absent, u64::MAX));
        let other_saga = StepKey { saga_id: "t".into(), ..key() };
        assert_eq!(load(&mut db, &other_saga).await.unwrap(), (Row::Absent, 0));
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
            let loaded = load(&mut db, &key()).await;
            assert!(loaded.is_err(), "{loaded:?}");
        }
    }
}
