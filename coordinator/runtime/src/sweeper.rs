//! Removes finished sagas whose retention has passed, a few at a time, and raises the floor by which participants do the same.
//!
//! It never touches an unfinished one: the store keeps that promise, this only asks. A failed sweep is tried again later.

use std::sync::Arc;
use std::time::Duration;

use amends_store::Store;

use crate::floor::Floor;
use crate::seam::{Seams, sleep};

/// Time between sweeps.
const PERIOD: Duration = Duration::from_secs(60);
/// Sagas removed in one go, so that a sweep never holds up commits for long.
const BATCH: usize = 200;

/// Runs until it is aborted.
pub(crate) async fn run(store: Arc<dyn Store>, floor: Arc<Floor>, seams: Seams) {
    loop {
        sleep(PERIOD).await;
        loop {
            match store.sweep(seams.now(), BATCH).await {
                Ok(removed) if removed >= BATCH as u64 => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "finished sagas couldn't be swept; trying again later");
                    break;
                }
            }
        }
        if let Err(error) = floor.refresh(&*store, seams.now()).await {
            tracing::warn!(%error, "the floor for participants couldn't be worked out; it stays where it is");
        }
    }
}
