//! Participants between store and directory: the store keeps them, the directory has them at hand.
//!
//! Invariant: what the directory has is in the store, and of two registrations the one that the store took last, because
//! storing and publishing are one step here. All tenants' are loaded before the node starts, since the sagas that it takes up
//! need them at once. A registration that can't be read is left out and logged: the sagas that need it wait, all others run.

use std::sync::Arc;

use amends_engine::ids::{Namespace, ParticipantName};
use amends_runtime::participant::{Directory, Registration};
use amends_runtime::seam::Seams;
use amends_store::{ParticipantRecord, Store, StoreError};
use tokio::sync::Mutex;

use crate::error::chain;

/// The registered participants. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    seams: Seams,
    one_at_a_time: Arc<Mutex<()>>,
}

impl Registry {
    /// Publishes all that is registered.
    pub(crate) async fn load(
        store: Arc<dyn Store>,
        directory: Arc<Directory>,
        seams: Seams,
    ) -> Result<Self, StoreError> {
        let registry = Self { store, directory, seams, one_at_a_time: Arc::default() };
        registry.store.all_participants().await?.iter().for_each(|record| registry.publish(record));
        Ok(registry)
    }

    /// Stores a registration and makes it known.
    pub(crate) async fn put(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
        registration: &Registration,
        expected_revision: Option<u64>,
        principal: &str,
    ) -> Result<ParticipantRecord, StoreError> {
        let _guard = self.one_at_a_time.lock().await;
        let (body, now) = (registration.encode(), self.seams.now());
        let record = self.store.put_participant(namespace, name, body, expected_revision, principal, now).await?;
        self.publish(&record);
        Ok(record)
    }

    fn publish(&self, record: &ParticipantRecord) {
        match Registration::decode(record.body.clone()) {
            Ok(registration) => self.directory.put(record.namespace.clone(), record.name.clone(), registration),
            Err(error) => {
                let (namespace, participant) = (&record.namespace, &record.name);
                tracing::error!(%namespace, %participant, error = chain(&error), "a registration can't be read; put it again");
            }
        }
    }
}
