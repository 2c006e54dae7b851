//! Removing the rows of sagas that are over: those that began before the floor that their coordinator publishes.
//!
//! It never asks the coordinator and never looks at its own clock: a saga that is unfinished or stuck holds the floor down, so
//! its rows are never touched; rows without a begin (from an older coordinator) or of another coordinator's store neither.
//! Invariant: the floor is written down in the transaction that removes by it, and a call of a saga below a floor that was
//! written down isn't let through, so that a copy that comes even later can't take effect on a row that is gone.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::connection::{BarrierConnection, Value};
use crate::key::Origin;

const RAISE_FLOOR: &str = "INSERT INTO amends_floor (store, floor) VALUES ($1, $2) \
     ON CONFLICT (store) DO UPDATE SET floor = excluded.floor WHERE amends_floor.floor < excluded.floor";

const DELETE_STEPS: &str = "DELETE FROM amends_barrier WHERE (namespace, saga_id) IN \
     (SELECT namespace, saga_id FROM amends_saga WHERE store = $1 AND begun < $2 \
      ORDER BY begun, namespace, saga_id LIMIT $3)";

/// The sagas of the steps just removed, and whatever else is below the floor and has none.
const DELETE_SAGAS: &str = "DELETE FROM amends_saga WHERE store = $1 AND begun < $2 AND NOT EXISTS \
     (SELECT 1 FROM amends_barrier b WHERE b.namespace = amends_saga.namespace AND b.saga_id = amends_saga.saga_id)";

const FLOOR: &str = "SELECT floor AS number FROM amends_floor WHERE store = $1";

/// Removes the rows of at most `limit` sagas of `store` that began before `floor`, in unix milliseconds; says how many
/// sagas are gone. The same transaction rules as for [`super::run_in`]; a batch of some hundred holds nobody up.
///
/// # Errors
/// When the database can't be written.
pub async fn sweep_in<C: BarrierConnection>(
    db: &mut C,
    store: &str,
    floor: i64,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let values = [Value::Text(Some(store)), Value::Number(Some(floor)), Value::Number(Some(limit.into()))];
    db.execute(RAISE_FLOOR, &values[..2]).await?;
    db.execute(DELETE_STEPS, &values).await?;
    db.execute(DELETE_SAGAS, &values[..2]).await
}

/// Whether a saga is below a floor that was written down: its rows may be gone.
pub(super) async fn is_swept<C: BarrierConnection>(db: &mut C, origin: &Origin) -> Result<bool, sqlx::Error> {
    let floor = db.fetch(FLOOR, &[Value::Text(Some(&origin.store))]).await?;
    Ok(floor.and_then(|floor| floor.number).is_some_and(|floor| origin.begun < floor))
}

/// The highest floor heard of, per store. In memory only: the next call brings it again.
#[derive(Debug, Default)]
pub(crate) struct Floors(Mutex<BTreeMap<String, i64>>);

impl Floors {
    /// Takes note of what came with a call.
    pub(crate) fn hear(&self, origin: &Origin) {
        let mut floors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match floors.get_mut(&origin.store) {
            Some(floor) => *floor = origin.floor.max(*floor),
            None => {
                floors.insert(origin.store.clone(), origin.floor);
            }
        }
    }

    /// Every store with its floor.
    pub(crate) fn all(&self) -> Vec<(String, i64)> {
        let floors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        floors.iter().map(|(store, floor)| (store.clone(), *floor)).collect()
    }
}
