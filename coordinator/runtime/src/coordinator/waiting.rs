//! Waiting for a saga's end: from its start on, or whenever somebody asks.
//!
//! Invariant: whoever waits is told of what is durable, and where time runs out of what is committed by then.

use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::SagaKey;
use amends_engine::standing;
use tokio::sync::oneshot;

use super::{Coordinator, rests};
use crate::error::RequestError;
use crate::seam::sleep;
use crate::snapshot::Snapshot;

/// How often a saga is looked at that somebody here waits for while another node has it.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A saga whose end was waited for from its start on.
#[derive(Debug)]
pub struct Awaited {
    pub(super) coordinator: Coordinator,
    pub(super) key: SagaKey,
    pub(super) resting: oneshot::Receiver<Arc<Snapshot>>,
}

impl Awaited {
    /// Waits until it has ended or is stuck, at most `patience`; gives it as it stands then.
    pub async fn wait(self, patience: Duration) -> Result<Arc<Snapshot>, RequestError> {
        let Self { coordinator, key, resting } = self;
        let rests = async {
            match resting.await {
                Ok(snapshot) => Ok(snapshot),
                // Its owner has let go of it, or it was there already: it is looked for.
                Err(_) => coordinator.rests(&key).await,
            }
        };
        coordinator.at_most(patience, &key, rests).await
    }
}

impl Coordinator {
    /// Waits until a saga has ended or is stuck, at most `patience`; gives it as it stands then.
    pub async fn wait(&self, key: &SagaKey, patience: Duration) -> Result<Arc<Snapshot>, RequestError> {
        self.at_most(patience, key, self.rests(key)).await
    }

    /// Where time runs out, what is committed is the answer.
    async fn at_most(
        &self,
        patience: Duration,
        key: &SagaKey,
        rests: impl Future<Output = Result<Arc<Snapshot>, RequestError>>,
    ) -> Result<Arc<Snapshot>, RequestError> {
        match tokio::time::timeout(patience, rests).await {
            Ok(rests) => rests,
            Err(_) => self.get(key).await,
        }
    }

    /// Waits until a saga has ended or is stuck. Its owner may go away meanwhile, and the next one may be another node.
    async fn rests(&self, key: &SagaKey) -> Result<Arc<Snapshot>, RequestError> {
        loop {
            let progress = match self.watch(key).await {
                Ok(progress) => Some(progress),
                Err(RequestError::Elsewhere(_) | RequestError::Frozen(_) | RequestError::Unavailable(_)) => None,
                Err(error) => return Err(error),
            };
            if progress.as_ref().is_none_or(|progress| progress.borrow().is_none()) {
                // Another node's, or not in its owner's memory: it has ended, is parked, or waits long.
                let snapshot = self.get(key).await?;
                if rests(standing::status(&snapshot.saga)) {
                    return Ok(snapshot);
                }
            }
            let Some(mut progress) = progress else {
                sleep(LOOK_AGAIN).await;
                continue;
            };
            let resting = progress.wait_for(|seen| seen.as_ref().is_some_and(|seen| seen.at_rest.is_some())).await;
            if let Ok(seen) = resting
                && let Some(snapshot) = seen.as_ref().and_then(|seen| seen.at_rest.clone())
            {
                return Ok(snapshot);
            }
        }
    }
}
