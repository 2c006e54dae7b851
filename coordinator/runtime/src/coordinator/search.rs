//! Counting sagas: the store's business alone, so that every node says the same.

use amends_store::{Filter, SagaKind};

use super::Coordinator;
use crate::error::RequestError;

impl Coordinator {
    /// How many sagas match, exactly, by kind. See [`amends_store::Store::count`] for what it costs.
    pub async fn count(&self, filter: &Filter) -> Result<Vec<(SagaKind, u64)>, RequestError> {
        Ok(self.inner.store.count(filter).await?)
    }
}
