//! What the coordinator is owed: one row per operation that was pending and isn't any more.
//!
//! Sends nothing. Invariant: the first thing said of an operation stays; a repeat changes nothing.

use std::time::Duration;

use amends_participant::key::StepKey;
use amends_participant::service::Database;
use amends_participant::service::unix_ms;
use amends_participant::{Operation, Refusal};
use sqlx::{AnyConnection, Row as _};

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owed {
    /// The effect stands; JSON of the operation's reply type.
    Succeeded { output: String },
    /// It was refused for good and nothing happened.
    Rejected(Refusal),
}

/// One message, not yet acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Callback {
    pub(crate) key: StepKey,
    pub(crate) operation: Operation,
    pub(crate) owed: Owed,
    /// How long it has been owed.
    pub(crate) age: Duration,
    /// How often it was tried.
    pub(crate) attempts: u32,
}

/// Notes what the coordinator must be told; in the transaction of the effect itself.
pub(crate) async fn owe(
    db: &mut AnyConnection,
    key: &StepKey,
    operation: Operation,
    owed: &Owed,
) -> Result<(), sqlx::Error> {
    let (output, refusal) = match owed {
        Owed::Succeeded { output } => (Some(output), None),
        Owed::Rejected(refusal) => (None, Some(refusal)),
    };
    sqlx::query(
        "INSERT INTO callbacks
            (namespace, saga_id, step, element, operation, output, reason, message, state, owed_at_ms, due_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, $9) ON CONFLICT DO NOTHING",
    )
    .bind(&key.namespace)
    .bind(&key.saga_id)
    .bind(&key.step)
    .bind(key.element.as_deref().unwrap_or(""))
    .bind(operation.as_str())
    .bind(output)
    .bind(refusal.map(|refusal| &refusal.reason))
    .bind(refusal.map(|refusal| &refusal.message))
    .bind(unix_ms())
    .execute(db)
    .await
    .map(|_| ())
}

/// What is due to be said now, the longest due first.
pub(crate) async fn due(database: &Database, most: i64) -> Result<Vec<Callback>, sqlx::Error> {
    let now = unix_ms();
    let rows = sqlx::query(
        "SELECT namespace, saga_id, step, element, operation, output, reason, message, owed_at_ms, attempts
         FROM callbacks WHERE state = 'waiting' AND due_ms <= $1 ORDER BY due_ms LIMIT $2",
    )
    .bind(now)
    .bind(most)
    .fetch_all(database.readers())
    .await?;
    rows.iter().map(|row| read(row, now)).collect()
}

fn read(row: &sqlx::any::AnyRow, now: i64) -> Result<Callback, sqlx::Error> {
    let element: String = row.try_get("element")?;
    let key = StepKey {
        namespace: row.try_get("namespace")?,
        saga_id: row.try_get("saga_id")?,
        step: row.try_get("step")?,
        element: Some(element).filter(|element| !element.is_empty()),
    };
    let operation = match row.try_get::<&str, _>("operation")? {
        "compensate" => Operation::Compensate,
        _ => Operation::Action,
    };
    let owed = match row.try_get::<Option<String>, _>("output")? {
        Some(output) => Owed::Succeeded { output },
        None => Owed::Rejected(Refusal {
            reason: row.try_get::<Option<_>, _>("reason")?.unwrap_or_default(),
            message: row.try_get::<Option<_>, _>("message")?.unwrap_or_default(),
        }),
    };
    let age = now.saturating_sub(row.try_get("owed_at_ms")?);
    Ok(Callback {
        key,
        operation,
        owed,
        age: Duration::from_millis(u64::try_from(age).unwrap_or(0)),
        attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
    })
}

/// What became of telling it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is known there now; nothing more to do.
    Acknowledged(String),
    /// It can't be used there any more, or never could; a person may want to know why.
    GivenUp(String),
    /// Try again after this time.
    Later(String, Duration),
}

/// Notes an attempt and what came of it.
pub(crate) async fn note(db: &mut AnyConnection, callback: &Callback, told: &Told) -> Result<(), sqlx::Error> {
    let (state, said, after) = match told {
        Told::Acknowledged(said) => ("acknowledged", said, Duration::ZERO),
        Told::GivenUp(said) => ("given-up", said, Duration::ZERO),
        Told::Later(said, after) => ("waiting", said, *after),
    };
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    sqlx::query(
        "UPDATE callbacks SET state = $6, said = $7, due_ms = $8, attempts = attempts + 1
         WHERE namespace = $1 AND saga_id = $2 AND step = $3 AND element = $4 AND operation = $5",
    )
    .bind(&callback.key.namespace)
    .bind(&callback.key.saga_id)
    .bind(&callback.key.step)
    .bind(callback.key.element.as_deref().unwrap_or(""))
    .bind(callback.operation.as_str())
    .bind(state)
    .bind(said)
    .bind(unix_ms().saturating_add(after))
    .execute(db)
    .await
    .map(|_| ())
}
