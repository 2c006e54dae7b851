//! Evidence, apart from the barrier, of what took effect: an append-only log and a view that counts it.
//!
//! Called by the business code, never by the barrier: it must show doubles when the barrier is broken. Invariant: one
//! line per effect, in the effect's own transaction. The tables are in `effects.sql` and
//! `effects.postgres.sql`.

use sqlx::AnyConnection;

use crate::key::{CallContext, Operation, StepKey};

/// The log and the view `effects(namespace, saga_id, step, element, operation, count)`; run it with the own schema.
pub const EFFECTS_SCHEMA: &str = include_str!("effects.sql");

/// The same for Postgres.
pub const EFFECTS_SCHEMA_POSTGRES: &str = include_str!("effects.postgres.sql");

/// Notes that this call took effect.
///
/// # Errors
/// When the database can't be written.
pub async fn record_effect(db: &mut AnyConnection, call: &CallContext) -> Result<(), sqlx::Error> {
    record_effect_of(db, &call.key, call.operation).await
}

/// Notes that a pending operation took effect at last, in [`crate::Barrier::complete`].
///
/// # Errors
/// When the database can't be written.
pub async fn record_effect_of(db: &mut AnyConnection, key: &StepKey, operation: Operation) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO effect_log (namespace, saga_id, step, element, operation) VALUES ($1, $2, $3, $4, $5)")
        .bind(&key.namespace)
        .bind(&key.saga_id)
        .bind(&key.step)
        .bind(key.element.as_deref().unwrap_or(""))
        .bind(operation.as_str())
        .execute(db)
        .await
        .map(|_| ())
}
