//! All sagas that match, page by page as they are read.

use amends_proto::v1;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};

use crate::client::Client;
use crate::error::Error;

impl Client {
    /// The sagas that match all given filters, newest first, without their inputs and steps. Pages are fetched as the stream
    /// is read; `filter`'s namespace is this client's.
    ///
    /// ```no_run
    /// # async fn stuck() -> Result<(), amends_client::Error> {
    /// use amends_client::{Client, v1};
    /// use futures::TryStreamExt as _;
    ///
    /// let client = Client::connect("http://127.0.0.1:7400")?;
    /// let stuck = v1::ListSagasRequest { statuses: vec![v1::SagaStatus::Stuck.into()], ..Default::default() };
    /// let mut sagas = std::pin::pin!(client.list(stuck));
    /// while let Some(saga) = sagas.try_next().await? {
    ///     println!("{}", saga.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The stream ends after the first error.
    pub fn list(&self, filter: v1::ListSagasRequest) -> impl Stream<Item = Result<v1::Saga, Error>> + Send + use<> {
        let client = self.clone();
        let first = v1::ListSagasRequest { namespace: client.namespace_of_calls().to_owned(), ..filter };
        let pages = stream::try_unfold(Some(first), move |next| {
            let client = client.clone();
            async move {
                let Some(message) = next else { return Ok(None) };
                let page =
                    client.call(message.clone(), |mut sagas, request| async move { sagas.list(request).await }).await?;
                let next = (!page.next_page_token.is_empty())
                    .then_some(v1::ListSagasRequest { page_token: page.next_page_token, ..message });
                Ok::<_, Error>(Some((stream::iter(page.sagas).map(Ok), next)))
            }
        });
        pages.try_flatten()
    }
}
