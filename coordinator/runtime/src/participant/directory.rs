//! Which participants are registered, by namespace and name, as this node knows it.
//!
//! Filled from the store at start and at every registration; it never reads the store itself. Readers get a shared copy and
//! keep it for the length of a call. Invariant: what is found here has passed the checks of a [`Registration`].

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use amends_engine::ids::{Namespace, ParticipantName};

use super::registration::Registration;

type ByName = BTreeMap<ParticipantName, Arc<Registration>>;

/// The registered participants.
#[derive(Debug, Default)]
pub struct Directory {
    entries: RwLock<BTreeMap<Namespace, ByName>>,
}

impl Directory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a participant, or replaces its registration as a whole: calls that begin from now on use it.
    pub fn put(&self, namespace: Namespace, name: ParticipantName, registration: Registration) {
        // Nothing panics while the lock is held, and every write is a single insert: a poisoned lock guards a whole map.
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.entry(namespace).or_default().insert(name, Arc::new(registration));
    }

    /// The registration of this participant, if there is one.
    pub fn get(&self, namespace: &Namespace, name: &ParticipantName) -> Option<Arc<Registration>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(namespace)?.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::participant::{Codes, Endpoint};

    fn registration(address: &str) -> Registration {
        Registration::new(vec![Endpoint::parse(address).unwrap()], false, Codes::new(), None).unwrap()
    }

    #[test]
    fn the_last_registration_counts_and_namespaces_are_apart() {
        let directory = Directory::new();
        let name = ParticipantName::parse("payment").unwrap();
        let (ours, theirs) = (Namespace::default_namespace(), Namespace::parse("team-b").unwrap());
        directory.put(ours.clone(), name.clone(), registration("http://one:1"));
        directory.put(ours.clone(), name.clone(), registration("http://two:2"));
        assert_eq!(directory.get(&ours, &name).unwrap().endpoints[0].as_str(), "http://two:2");
        assert_eq!(directory.get(&theirs, &name), None);
    }
}
