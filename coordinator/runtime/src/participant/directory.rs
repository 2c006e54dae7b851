//! Which participants are registered, by namespace and name, and which addresses each has, as this node knows it.
//!
//! Filled from the store at start and at every registration, and by discovery; it never reads the store itself and looks nothing up.
//! Readers get a shared copy and keep it for the length of a call. Invariant: what is found here has passed the checks of a
//! [`Registration`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use amends_engine::ids::{Namespace, ParticipantName};
use amends_engine::time::Timestamp;
use tokio::sync::Notify;

use super::discovery::{Heartbeat, Instances, Told, TooManyInstances};
use super::endpoint::Endpoint;
use super::members::{Elsewhere, Member, Membership};
use super::registration::Registration;
use super::source::Source;

type ByName = BTreeMap<ParticipantName, Entry>;

/// Which participant.
pub type ParticipantKey = (Namespace, ParticipantName);

#[derive(Debug)]
struct Entry {
    elsewhere: Elsewhere,
    now: Arc<Membership>,
}

/// The registered participants.
#[derive(Debug, Default)]
pub struct Directory {
    entries: RwLock<BTreeMap<Namespace, ByName>>,
    /// For whoever follows sources.
    registered: Notify,
    /// Who registered itself. Never locked while `entries` is.
    instances: Mutex<Instances>,
}

impl Directory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a participant, or replaces its registration as a whole: calls that begin from now on use it.
    pub fn put(&self, namespace: Namespace, name: ParticipantName, registration: Registration) {
        let instances = self.heard().members(&(namespace.clone(), name.clone()));
        // Nothing panics while the lock is held, and every write is a single insert: a poisoned lock guards a whole map.
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let names = entries.entry(namespace).or_default();
        let mut elsewhere = names.remove(&name).map(|entry| entry.elsewhere).unwrap_or_default();
        elsewhere.instances = instances;
        elsewhere.found.retain(|source, _| registration.discovery.sources.contains(source));
        let now = Arc::new(Membership::new(Arc::new(registration), &elsewhere));
        names.insert(name, Entry { elsewhere, now });
        drop(entries);
        self.registered.notify_one();
    }

    /// The registration of this participant, if there is one.
    pub fn get(&self, namespace: &Namespace, name: &ParticipantName) -> Option<Arc<Registration>> {
        self.membership(namespace, name).map(|membership| membership.registration.clone())
    }

    /// The registration and the addresses of this participant, if it is registered.
    pub fn membership(&self, namespace: &Namespace, name: &ParticipantName) -> Option<Arc<Membership>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        Some(entries.get(namespace)?.get(name)?.now.clone())
    }

    /// What a source of this participant says by now.
    pub fn found(&self, (namespace, name): &ParticipantKey, source: &Source, members: Vec<Member>) {
        self.change(namespace, name, |elsewhere| {
            elsewhere.found.insert(source.clone(), members.clone()) != Some(members)
        });
    }

    /// An instance of this participant says that it is there. Whether that changes anything.
    pub fn renew(&self, key: &ParticipantKey, heartbeat: Heartbeat, now: Timestamp) -> Result<bool, TooManyInstances> {
        let is_new = self.heard().renew(key, heartbeat, now)?;
        if is_new {
            self.show_instances(key);
        }
        Ok(is_new)
    }

    /// An instance of this participant says that it leaves. Whether it was there.
    pub fn leave(&self, key: &ParticipantKey, endpoint: &Endpoint, now: Timestamp) -> bool {
        let was_there = self.heard().leave(key, endpoint, now);
        if was_there {
            self.show_instances(key);
        }
        was_there
    }

    /// What other nodes should hear of instances.
    pub fn to_tell(&self, now: Timestamp) -> Vec<Told> {
        self.heard().to_tell(now)
    }

    /// What another node heard of instances.
    pub fn take_in(&self, told: Vec<Told>, now: Timestamp) {
        let changed = self.heard().take_in(told, now);
        changed.iter().for_each(|key| self.show_instances(key));
    }

    /// Drops instances that weren't heard.
    pub fn expire(&self, now: Timestamp) {
        let changed = self.heard().expire(now);
        for key in changed {
            tracing::info!(namespace = %key.0, participant = %key.1, "an instance wasn't heard and is called no more");
            self.show_instances(&key);
        }
    }

    /// For how long no instance of this participant was heard, where all that are known are silent.
    pub fn silent_for(&self, key: &ParticipantKey, now: Timestamp) -> Option<Duration> {
        self.heard().silent_for(key, now)
    }

    fn heard(&self) -> MutexGuard<'_, Instances> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_instances(&self, key: &ParticipantKey) {
        let members = self.heard().members(key);
        self.change(&key.0, &key.1, |elsewhere| {
            std::mem::replace(&mut elsewhere.instances, members.clone()) != members
        });
    }

    /// All sources of all participants.
    pub fn sources(&self) -> Vec<(ParticipantKey, Source)> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let all = entries
            .iter()
            .flat_map(|(namespace, names)| names.iter().map(move |(name, entry)| (namespace, name, entry)));
        all.flat_map(|(namespace, name, entry)| {
            let sources = entry.now.registration.discovery.sources.iter();
            sources.map(move |source| ((namespace.clone(), name.clone()), source.clone()))
        })
        .collect()
    }

    /// Completes after a registration. Only one can wait.
    pub async fn registered(&self) {
        self.registered.notified().await;
    }

    fn change(&self, namespace: &Namespace, name: &ParticipantName, change: impl FnOnce(&mut Elsewhere) -> bool) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = entries.get_mut(namespace).and_then(|names| names.get_mut(name)) else { return };
        // The pools are made anew by it.
        if change(&mut entry.elsewhere) {
            entry.now = Arc::new(Membership::new(entry.now.registration.clone(), &entry.elsewhere));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::participant::{Codes, Discovery, Endpoint, Endpoints, MemberOrigin};

    fn name() -> ParticipantName {
        ParticipantName::parse("payment").unwrap()
    }

    fn registration(address: &str) -> Registration {
        Registration::new(vec![Endpoint::parse(address).unwrap()], false, Codes::new(), None).unwrap()
    }

    fn member(source: &Source, address: &str) -> Member {
        let endpoint = Endpoint::found(false, source.name(), address.parse().unwrap());
        Member { endpoint, origin: MemberOrigin::Found(source.clone()), weight: 1, tier: 0 }
    }

    #[test]
    fn the_last_registration_counts_and_namespaces_are_apart() {
        let directory = Directory::new();
        let (ours, theirs) = (Namespace::default_namespace(), Namespace::parse("team-b").unwrap());
        directory.put(ours.clone(), name(), registration("http://one:1"));
        directory.put(ours.clone(), name(), registration("http://two:2"));
        assert_eq!(directory.get(&ours, &name()).unwrap().endpoints[0].as_str(), "http://two:2");
        assert_eq!(directory.get(&theirs, &name()), None);
    }

    #[test]
    fn what_is_found_joins_what_is_registered_and_outlives_a_registration_that_keeps_its_source() {
        let (directory, key) = (Directory::new(), (Namespace::default_namespace(), name()));
        let source = Source::parse("http+dns://payment:1").unwrap().unwrap();
        let put = |sources: Vec<Source>| {
            let fixed = vec![Endpoint::parse("http://127.0.0.1:1").unwrap()];
            let endpoints = Endpoints { fixed, discovery: Discovery { sources, ..Discovery::default() } };
            let registration = Registration::found(endpoints, false, Codes::new(), None).unwrap();
            directory.put(key.0.clone(), key.1.clone(), registration);
        };
        let shown = || {
            let membership = directory.membership(&key.0, &key.1).unwrap();
            membership.members.iter().map(|member| member.endpoint.to_string()).collect::<Vec<_>>().join(" ")
        };
        put(vec![source.clone()]);
        assert_eq!(directory.sources(), [(key.clone(), source.clone())]);
        directory.found(&key, &source, vec![member(&source, "127.0.0.2:1"), member(&source, "127.0.0.1:1")]);
        assert_eq!(shown(), "http://127.0.0.1:1 http://127.0.0.2:1", "each once");
        let before = directory.membership(&key.0, &key.1).unwrap();
        directory.found(&key, &source, vec![member(&source, "127.0.0.2:1"), member(&source, "127.0.0.1:1")]);
        assert!(Arc::ptr_eq(&before, &directory.membership(&key.0, &key.1).unwrap()), "nothing has changed");
        put(vec![source.clone()]);
        assert_eq!(shown(), "http://127.0.0.1:1 http://127.0.0.2:1");
        put(Vec::new());
        assert_eq!(shown(), "http://127.0.0.1:1");
        put(vec![source.clone()]);
        assert_eq!(shown(), "http://127.0.0.1:1", "it must be found anew");
    }
}
