//! Participants between store and directory: the store keeps them, the directory has them at hand.
//!
//! Invariant: what the directory has is in the store, and of two registrations the one that the store took last, because
//! storing and publishing are one step here. A registration that can't be read is left out and logged: the sagas that need
//! it wait, all others run. A store can't list its tenants, so that after a start only those of `default` are known at once;
//! another tenant's are as soon as somebody starts one of its sagas.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

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
    loaded: Arc<RwLock<BTreeSet<Namespace>>>,
    one_at_a_time: Arc<Mutex<()>>,
}

impl Registry {
    pub(crate) fn new(store: Arc<dyn Store>, directory: Arc<Directory>, seams: Seams) -> Self {
        Self { store, directory, seams, loaded: Arc::default(), one_at_a_time: Arc::default() }
    }

    /// Sees to it that the directory has a tenant's participants: the first time from the store, then for free.
    pub(crate) async fn ensure(&self, namespace: &Namespace) -> Result<(), StoreError> {
        if self.loaded.read().unwrap_or_else(PoisonError::into_inner).contains(namespace) {
            return Ok(());
        }
        let _guard = self.one_at_a_time.lock().await;
        let records = self.store.list_participants(namespace).await?;
        if records.is_empty() {
            // Not remembered: whoever asks for names that don't exist must not fill our memory with them.
            return Ok(());
        }
        records.iter().for_each(|record| self.publish(record));
        self.loaded.write().unwrap_or_else(PoisonError::into_inner).insert(namespace.clone());
        Ok(())
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

    /// A participant, from the directory or, where another node registered it, from the store.
    pub(crate) async fn find(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
    ) -> Result<Option<Arc<Registration>>, StoreError> {
        if let Some(known) = self.directory.get(namespace, name) {
            return Ok(Some(known));
        }
        let _guard = self.one_at_a_time.lock().await;
        if let Some(record) = self.store.get_participant(namespace, name).await? {
            self.publish(&record);
        }
        Ok(self.directory.get(namespace, name))
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
