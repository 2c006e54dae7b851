//! Waiting until a saga has ended or is stuck.
//!
//! Invariant: a saga that is known to be accepted is never reported as an error for want of time or of a connection.

use std::pin::pin;
use std::time::Duration;

use amends_proto::v1;
use futures::StreamExt as _;
use tokio::time::Instant;

use crate::client::Client;
use crate::ending::{Ending, Waited};
use crate::error::{Class, Error};

impl Client {
    /// Waits until a saga has ended or is stuck, at most for this long, over lost connections and restarts.
    ///
    /// # Errors
    /// [`Error::NotFound`]: there is no such saga. [`Error::Unavailable`]: it could not be looked at even once.
    pub async fn wait(&self, saga_id: &str, at_most: Duration) -> Result<Waited, Error> {
        let begun = Instant::now();
        let saga = self.get(saga_id).await?;
        until_settled(self, saga, at_most.saturating_sub(begun.elapsed())).await
    }
}

/// `saga` as it was seen last; its history so far is of no interest.
pub(crate) async fn until_settled(client: &Client, saga: v1::Saga, at_most: Duration) -> Result<Waited, Error> {
    let mut saga = saga;
    // However long nothing is heard, within the time that the caller gave.
    let patient = client.clone().time_limit(at_most);
    let waiting = async {
        let mut changes = pin!(patient.watch(&saga.id.clone(), u64::MAX));
        while !is_settled(&saga) {
            match changes.next().await {
                Some(Ok(change)) => saga = change.saga.unwrap_or_default(),
                Some(Err(error)) if error.class() == Class::Transient => return Ok(()),
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            }
        }
        Ok(())
    };
    // Over: then it stands as it was seen last.
    tokio::time::timeout(at_most, waiting).await.unwrap_or(Ok(()))?;
    Ok(Waited { ending: Ending::of(&saga), saga })
}

fn is_settled(saga: &v1::Saga) -> bool {
    saga.end_time.is_some() || saga.status() == v1::SagaStatus::Stuck
}
