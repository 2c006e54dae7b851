//! Evidence, apart from the barrier, of what took effect: an append-only log and a view that counts it.
//!
//! Called by the business code, never by the barrier: it must show doubles when the barrier is broken. Invariant: one
//! line per effect, in the effect's own transaction. The tables are in `effects.sql`.

use sqlx::SqliteConnection;

use crate::key::CallContext;

/// The log and the view `effects(namespace, saga_id, step, element, operation, count)`; run it with the own schema.
pub const EFFECTS_SCHEMA: &str = include_str!("effects.sql");

/// Notes that this call took effect.
///
/// # Errors
/// When the database can't be written.
pub async fn record_effect(db: &mut SqliteConnection, call: &CallContext) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO effect_log (namespace, saga_id, step, element, operation) VALUES (?, ?, ?, ?, ?)")
        .bind(&call.key.namespace)
        .bind(&call.key.saga_id)
        .bind(&call.key.step)
        .bind(call.key.element.as_deref().unwrap_or(""))
        .bind(call.operation.as_str())
        .execute(db)
        .await
        .map(|_| ())
}
