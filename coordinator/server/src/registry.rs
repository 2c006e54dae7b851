//! Participants between store and directory: the store keeps them, the directory has them at hand.
//!
//! Invariant: what the directory has is in the store, and of two registrations the one that the store took last, because
//! storing and publishing are one step here. All tenants' are loaded before the node starts, since the sagas that it takes up
//! need them at once. A registration that can't be read is left out and logged: the sagas that need it wait, all others run.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_engine::ids::{Namespace, ParticipantName};
use amends_runtime::participant::protection::{BreakerMode, Limits, LimitsChange};
use amends_runtime::participant::{Directory, Endpoint, Outgoing, Registration, SourceKind};
use amends_runtime::seam::Seams;
use amends_store::{ParticipantRecord, Store, StoreError};
use tokio::sync::Mutex;

use crate::error::chain;
use crate::grpc::{Refusal, Violation};

/// How often a change is tried while other nodes change the same registration.
const TRIES_MAX: u32 = 5;

type Published = BTreeMap<(Namespace, ParticipantName), u64>;

/// The registered participants. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    seams: Seams,
    outgoing: Outgoing,
    /// The revisions that the directory has. Held while one is stored and published.
    published: Arc<Mutex<Published>>,
}

impl Registry {
    /// Publishes all that is registered.
    pub(crate) async fn load(
        store: Arc<dyn Store>,
        directory: Arc<Directory>,
        seams: Seams,
        outgoing: Outgoing,
    ) -> Result<Self, StoreError> {
        let registry = Self { store, directory, seams, outgoing, published: Arc::default() };
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
            if let Err(violation) = self.load_files(&registration).await {
                let problem = violation.problem;
                tracing::error!(%namespace, %participant, problem, "a participant can't be called: its secrets or TLS files can't be read");
            }
        }
        Ok(())
    }

    /// Whether a participant can be called as it is registered: an address in it is allowed, its secrets can be read. Names
    /// are judged when they are resolved, at every connection.
    pub(crate) async fn check(&self, registration: &Registration) -> Result<(), Violation> {
        for (place, endpoint) in registration.endpoints.iter().enumerate() {
            self.outgoing
                .egress
                .check_literal(endpoint)
                .map_err(|refused| Violation::new(format!("participant.endpoints[{place}]"), refused.to_string()))?;
        }
        for source in &registration.discovery.sources {
            if matches!(source.kind, SourceKind::Consul { .. }) && !cfg!(feature = "consul") {
                let problem = "this program was built without Consul; build it with feature `consul`";
                return Err(Violation::new("participant.endpoints", format!("{source}: {problem}")));
            }
        }
        self.load_files(registration).await
    }

    /// Whether an endpoint that isn't registered may be called; what it resolves to is judged when it is connected to.
    pub(crate) fn check_endpoint(&self, endpoint: &Endpoint) -> Result<(), String> {
        self.outgoing.egress.check_literal(endpoint).map_err(|refused| refused.to_string())
    }

    /// Why a participant can't be called; empty: nothing is known against it.
    pub(crate) fn problem(&self, registration: &Registration) -> String {
        let secrets = registration.signing.iter().find_map(|reference| self.outgoing.keyring.problem(reference));
        let is_tls = registration.endpoints.iter().any(Endpoint::is_tls);
        let tls = || is_tls.then(|| self.outgoing.trust.problem(&registration.tls)).flatten();
        secrets.or_else(tls).unwrap_or_default()
    }

    /// How participants are connected to.
    pub(crate) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    async fn load_files(&self, registration: &Registration) -> Result<(), Violation> {
        for (place, reference) in registration.signing.iter().enumerate() {
            let (keyring, reference) = (self.outgoing.keyring.clone(), reference.clone());
            let loaded =
                tokio::task::spawn_blocking(move || keyring.load(&reference).map_err(|error| chain(&error))).await;
            let problem = match loaded {
                Ok(Ok(())) => continue,
                Ok(Err(problem)) => problem,
                Err(_) => "reading it failed inside".to_owned(),
            };
            return Err(Violation::new(format!("participant.signing_secrets[{place}]"), problem));
        }
        let (trust, tls) = (self.outgoing.trust.clone(), registration.tls.clone());
        let loaded = tokio::task::spawn_blocking(move || trust.load(&tls).map_err(|error| chain(&error))).await;
        let loaded = loaded.unwrap_or_else(|_| Err("reading them failed inside".to_owned()));
        loaded.map_err(|problem| Violation::new("participant.tls", problem))
    }

    /// Stores a registration and makes it known. Its limits stay as they were.
    pub(crate) async fn put(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
        registration: &Registration,
        expected_revision: Option<u64>,
        principal: &str,
    ) -> Result<ParticipantRecord, Refusal> {
        self.change(namespace, name, expected_revision, principal, |registered| {
            // A deploy that registers anew must not undo what an operator set in an incident.
            let kept = registered.map(|it| (it.limits, it.limits_change)).unwrap_or_default();
            let (limits, limits_change) = kept;
            Ok(registration.clone().with_limits(limits, limits_change))
        })
        .await
    }

    /// Changes what a participant is protected by, and nothing else of its registration.
    pub(crate) async fn set_limits(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
        limits: Limits,
        change: LimitsChange,
        expected_revision: Option<u64>,
    ) -> Result<ParticipantRecord, Refusal> {
        let principal = change.principal.clone();
        self.change(namespace, name, expected_revision, &principal, |registered| {
            let registered = registered.ok_or_else(|| Refusal::NoSuchParticipant(name.to_string()))?;
            Ok(registered.with_limits(limits.clone(), Some(change.clone())))
        })
        .await
    }

    /// Changes what a participant's breaker does, and nothing else of its limits.
    pub(crate) async fn set_breaker(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
        breaker: BreakerMode,
        change: LimitsChange,
        expected_revision: Option<u64>,
    ) -> Result<ParticipantRecord, Refusal> {
        let principal = change.principal.clone();
        self.change(namespace, name, expected_revision, &principal, |registered| {
            let registered = registered.ok_or_else(|| Refusal::NoSuchParticipant(name.to_string()))?;
            let limits = Limits { breaker, ..registered.limits.clone() };
            Ok(registered.with_limits(limits, Some(change.clone())))
        })
        .await
    }

    /// Reads, changes and stores a registration, again where another node was faster and the caller doesn't mind.
    async fn change(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
        expected_revision: Option<u64>,
        principal: &str,
        change: impl Fn(Option<Registration>) -> Result<Registration, Refusal>,
    ) -> Result<ParticipantRecord, Refusal> {
        let mut published = self.published.lock().await;
        let mut tries = 0;
        loop {
            tries += 1;
            let record = self.store.get_participant(namespace, name).await?;
            let found = record.as_ref().map(|record| record.revision);
            // One that can't be read is put anew.
            let registered = record.and_then(|record| Registration::decode(record.body).ok());
            let (body, now) = (change(registered)?.encode(), self.seams.now());
            // A participant that isn't there yet has revision 0, which the store takes for "none".
            let expected = expected_revision.or(found);
            match self.store.put_participant(namespace, name, body, expected, principal, now).await {
                Err(StoreError::Conflict { .. }) if expected_revision.is_none() && tries < TRIES_MAX => {}
                put => {
                    let record = put?;
                    self.publish(&record);
                    published.insert((namespace.clone(), name.clone()), record.revision);
                    return Ok(record);
                }
            }
        }
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
