//! Participants between store and directory: the store keeps them, the directory has them at hand.
//!
//! Invariant: what the directory has is in the store, and of two registrations the one that the store took last, because
//! storing and publishing are one step here. All tenants' are loaded before the node starts, since the sagas that it takes up
//! need them at once. A registration that can't be read is left out and logged: the sagas that need it wait, all others run.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_engine::ids::{Namespace, ParticipantName};
use amends_runtime::participant::{Directory, Egress, Keyring, Protocol, Registration};
use amends_runtime::seam::Seams;
use amends_store::{ParticipantRecord, Store, StoreError};
use tokio::sync::Mutex;

use crate::error::chain;
use crate::grpc::Violation;

/// What judges a registration beside its own form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outside {
    /// Which addresses may be called.
    pub(crate) egress: Arc<Egress>,
    /// Where signing secrets are read into.
    pub(crate) keyring: Arc<Keyring>,
}

type Published = BTreeMap<(Namespace, ParticipantName), u64>;

/// The registered participants. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    seams: Seams,
    egress: Arc<Egress>,
    keyring: Arc<Keyring>,
    /// The revisions that the directory has. Held while one is stored and published.
    published: Arc<Mutex<Published>>,
}

impl Registry {
    /// Publishes all that is registered.
    pub(crate) async fn load(
        store: Arc<dyn Store>,
        directory: Arc<Directory>,
        seams: Seams,
        outside: Outside,
    ) -> Result<Self, StoreError> {
        let Outside { egress, keyring } = outside;
        let registry = Self { store, directory, seams, egress, keyring, published: Arc::default() };
        registry.refresh().await?;
        Ok(registry)
    }

    /// Publishes what other nodes have registered since the last time.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let mut published = self.published.lock().await;
        for record in self.store.all_participants().await? {
            let key = (record.namespace.clone(), record.name.clone());
            if published.get(&key).is_some_and(|revision| *revision >= record.revision) {
                continue;
            }
            self.publish(&record);
            published.insert(key, record.revision);
            let (namespace, participant) = (&record.namespace, &record.name);
            let Some(registration) = self.directory.get(namespace, participant) else { continue };
            if let Err(violation) = self.load_secrets(&registration).await {
                let problem = violation.problem;
                tracing::error!(%namespace, %participant, problem, "a participant can't be called: its requests can't be signed");
            }
        }
        Ok(())
    }

    /// Whether a participant can be called as it is registered: an address in it is allowed, its secrets can be read. Names
    /// are judged when they are resolved, at every connection.
    pub(crate) async fn check(&self, registration: &Registration) -> Result<(), Violation> {
        if registration.protocol == Protocol::Http {
            for (place, endpoint) in registration.endpoints.iter().enumerate() {
                self.egress.check_literal(endpoint).map_err(|refused| {
                    Violation::new(format!("participant.endpoints[{place}]"), refused.to_string())
                })?;
            }
        }
        self.load_secrets(registration).await
    }

    /// Why a participant can't be called; empty: nothing is known against it.
    pub(crate) fn problem(&self, registration: &Registration) -> String {
        registration.signing.iter().find_map(|reference| self.keyring.problem(reference)).unwrap_or_default()
    }

    async fn load_secrets(&self, registration: &Registration) -> Result<(), Violation> {
        for (place, reference) in registration.signing.iter().enumerate() {
            let (keyring, reference) = (self.keyring.clone(), reference.clone());
            let loaded =
                tokio::task::spawn_blocking(move || keyring.load(&reference).map_err(|error| chain(&error))).await;
            let problem = match loaded {
                Ok(Ok(())) => continue,
                Ok(Err(problem)) => problem,
                Err(_) => "reading it failed inside".to_owned(),
            };
            return Err(Violation::new(format!("participant.signing_secrets[{place}]"), problem));
        }
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
        let mut published = self.published.lock().await;
        let (body, now) = (registration.encode(), self.seams.now());
        let record = self.store.put_participant(namespace, name, body, expected_revision, principal, now).await?;
        self.publish(&record);
        published.insert((namespace.clone(), name.clone()), record.revision);
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
