//! Following a saga over lost connections and restarts of the coordinator.
//!
//! Invariant: every history entry comes once and in order, and the stream ends without an error only after the message in
//! which the saga ended.

use amends_proto::v1;
use futures::{Stream, stream};
use tokio::time::Instant;
use tonic::Streaming;

use crate::client::Client;
use crate::error::{Class, Error};
use crate::retry;

impl Client {
    /// The saga as it stands, then again after every change with what happened since, until it has ended.
    ///
    /// After a lost connection it goes on behind the last history entry that was seen. `after_sequence`: only entries behind
    /// this one; 0 for all.
    ///
    /// # Errors
    /// [`Error::NotFound`]: there is no such saga. [`Error::Unavailable`] or [`Error::Busy`]: nothing has been heard for
    /// [`Client::time_limit`]. The stream ends after an error.
    pub fn watch(
        &self,
        saga_id: &str,
        after_sequence: u64,
    ) -> impl Stream<Item = Result<v1::WatchSagaResponse, Error>> + Send + use<> {
        let watch = Watch {
            client: self.clone(),
            saga_id: saga_id.to_owned(),
            after_sequence,
            revision: 0,
            open: None,
            quiet: None,
            has_ended: false,
        };
        stream::unfold(Some(watch), |watch| async move {
            let mut watch = watch?;
            let next = watch.next().await.transpose()?;
            let rest = next.is_ok().then_some(watch);
            Some((next, rest))
        })
    }
}

struct Watch {
    client: Client,
    saga_id: String,
    after_sequence: u64,
    /// The last one that was seen; 0 before the first.
    revision: u64,
    open: Option<Streaming<v1::WatchSagaResponse>>,
    /// Since when nothing is heard, and after how many failures.
    quiet: Option<(Instant, u32)>,
    /// As far as was heard; the stream may have more of its history yet.
    has_ended: bool,
}

impl Watch {
    async fn next(&mut self) -> Result<Option<v1::WatchSagaResponse>, Error> {
        loop {
            match self.hear().await {
                Ok(Some(message)) => {
                    self.quiet = None;
                    if self.is_news(&message) {
                        return Ok(Some(message));
                    }
                }
                Ok(None) if self.has_ended => return Ok(None),
                Ok(None) => self.rest(Error::from(tonic::Status::unavailable("the stream ended early"))).await?,
                Err(error) => self.rest(error).await?,
            }
        }
    }

    /// Notes how far it has come. The first message after a lost connection may hold nothing new.
    fn is_news(&mut self, message: &v1::WatchSagaResponse) -> bool {
        let (revision, has_ended) =
            message.saga.as_ref().map_or((0, false), |saga| (saga.revision, saga.end_time.is_some()));
        let is_news = revision != self.revision || !message.entries.is_empty();
        (self.revision, self.has_ended) = (revision, has_ended);
        self.after_sequence = message.entries.last().map_or(self.after_sequence, |entry| entry.sequence);
        is_news
    }

    async fn hear(&mut self) -> Result<Option<v1::WatchSagaResponse>, Error> {
        if self.open.is_none() {
            let message = v1::WatchSagaRequest {
                namespace: self.client.namespace_of_calls().to_owned(),
                saga_id: self.saga_id.clone(),
                after_sequence: self.after_sequence,
            };
            let request = self.client.request(message)?;
            self.open = Some(self.client.sagas().watch(request).await?.into_inner());
        }
        match &mut self.open {
            Some(stream) => Ok(stream.message().await?),
            None => Ok(None),
        }
    }

    /// Waits before the next try, or gives up.
    async fn rest(&mut self, error: Error) -> Result<(), Error> {
        self.open = None;
        let (since, failures) = *self.quiet.get_or_insert((Instant::now(), 0));
        let pause = retry::pause(failures, error.retry_after());
        if error.class() != Class::Transient || since.elapsed() + pause > self.client.limit() {
            return Err(error);
        }
        self.quiet = Some((since, failures + 1));
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
