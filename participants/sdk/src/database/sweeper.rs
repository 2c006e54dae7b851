//! Sweeps the barrier's old rows in the background, a batch at a time.
//!
//! What may go is the floor's decision (`barrier/sweep.rs`). Invariant: it ends with the database and holds up nothing:
//! each batch is a small transaction of its own, and one that fails is tried again later.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Database, DatabaseError, Inner};
use crate::barrier::{BarrierConnection, sweep_in};

/// Time between sweeps: a coordinator raises its floor as often.
const PERIOD: Duration = Duration::from_secs(60);

/// Sagas removed in one transaction.
const BATCH: u32 = 200;

impl<C: BarrierConnection> Database<C> {
    /// Removes the rows of all sagas below the floors that calls have brought; says how many sagas are gone. Happens about
    /// once a minute by itself.
    ///
    /// # Errors
    /// When the database can't be written; what was removed until then stays removed.
    pub async fn sweep(&self) -> Result<u64, DatabaseError> {
        let mut gone = 0;
        for (store, floor) in self.floors().all() {
            loop {
                let store = store.clone();
                let batch =
                    self.write(move |db| Box::pin(async move { sweep_in(db, &store, floor, BATCH).await })).await?;
                let batch = batch.map_err(|error| DatabaseError::Refused(Arc::new(error)))?;
                gone += batch;
                if batch < u64::from(BATCH) {
                    break;
                }
            }
        }
        Ok(gone)
    }
}

/// Runs for as long as somebody else has the database.
pub(super) async fn run<C: BarrierConnection>(database: Weak<Inner<C>>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let Some(database) = database.upgrade().map(Database) else { return };
        match database.sweep().await {
            Ok(0) => {}
            Ok(gone) => tracing::debug!(gone, "the barrier's rows of ended sagas were swept"),
            Err(error) => tracing::warn!(%error, "the barrier's old rows couldn't be swept; trying again later"),
        }
    }
}
