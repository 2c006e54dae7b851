//! Starting a saga, and waiting for its end in the same breath.
//!
//! Invariant: however often one [`SagaStart`] is sent, by a retry or by its owner, there is one saga.

use std::time::Duration;

use amends_proto::v1;
use tokio::time::Instant;
use uuid::Uuid;

use crate::client::Client;
use crate::complete::json;
use crate::ending::Waited;
use crate::error::Error;
use crate::wait;

/// A saga that can be started. Starting the same value again finds the same saga, also after an [`Error`].
#[derive(Debug)]
pub struct SagaStart {
    client: Client,
    message: v1::StartSagaRequest,
    input: Result<Vec<u8>, serde_json::Error>,
}

impl SagaStart {
    pub(crate) fn new(client: Client, definition: &str, input: Result<Vec<u8>, serde_json::Error>) -> Self {
        let message = v1::StartSagaRequest {
            namespace: client.namespace_of_calls().to_owned(),
            request_id: Uuid::now_v7().to_string(),
            definition: definition.to_owned(),
            ..Default::default()
        };
        Self { client, message, input }
    }

    /// Your own id for it: an order number or the like. The best choice, since it outlives this process: the same order
    /// can't be started twice, whoever tries. 1 to 128 of `A-Z a-z 0-9 . _ -`
    #[must_use]
    pub fn id(mut self, saga_id: &str) -> Self {
        self.message.saga_id = saga_id.to_owned();
        self.message.request_id.clear();
        self
    }

    /// For sagas without an id of yours: the unique text from which the saga's id is derived, of 1 to 128 bytes. Unless this
    /// is called a new one is made, which is the same for this value's retries and gone with it; keep your own where a crash
    /// of this process must not start a second saga.
    #[must_use]
    pub fn request_id(mut self, request_id: &str) -> Self {
        self.message.request_id = request_id.to_owned();
        self.message.saga_id.clear();
        self
    }

    /// The version to run instead of the newest.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.message.version = version;
        self
    }

    /// A label to find it by: keys of 1 to 64, values of at most 256 bytes, at most 16 of them.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.message.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Starts it, and returns as soon as it is durable: from then on it runs to its end whatever happens to the caller.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`]: the id is taken by something else. [`Error::NotFound`]: no such definition or version.
    /// [`Error::Invalid`]: the input doesn't fit. After [`Error::Unavailable`] or [`Error::Busy`] it may have been accepted:
    /// start the same value again, or forget it only if it may run on without you.
    pub async fn start(&self) -> Result<v1::Saga, Error> {
        let input = match &self.input {
            Ok(json) => json.clone(),
            Err(error) => return Err(Error::Encode { what: "the input", source: serde::ser::Error::custom(error) }),
        };
        let message = v1::StartSagaRequest { input: Some(json(input)), ..self.message.clone() };
        self.client.call(message, |mut sagas, request| async move { sagas.start(request).await }).await
    }

    /// Starts it and waits until it has ended or is stuck, over lost connections and restarts of the coordinator. Gives up
    /// waiting, not the saga, after `at_most`, counted from this call.
    ///
    /// # Errors
    /// As [`SagaStart::start`], with the same time limit. Once the saga is known to be accepted, time that is over is no error
    /// but [`Ending::StillOpen`](crate::Ending::StillOpen).
    pub async fn start_and_wait(&self, at_most: Duration) -> Result<Waited, Error> {
        let begun = Instant::now();
        let saga = self.start().await?;
        wait::until_settled(&self.client, saga, at_most.saturating_sub(begun.elapsed())).await
    }
}
