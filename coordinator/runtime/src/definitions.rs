//! Compiled definitions, kept once compiled: versions never change.
//!
//! Only which of them take new sagas can change; that is read from the store again after every registration and deprecation
//! that this node carries out or hears of, and with every heartbeat where there are other nodes. Invariants: a saga always gets
//! the version that it is pinned to, or an error; no saga begins on a version after its deprecation was acknowledged, but on a
//! node that couldn't be told, and there only until its next heartbeat.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amends_definition::{Body, Compiled};
use amends_engine::ids::{DefinitionName, Namespace, Version};
use amends_store::{DefinitionRecord, Store};

use crate::error::RequestError;

type Key = (Namespace, DefinitionName);

/// The cache. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Definitions {
    store: Arc<dyn Store>,
    compiled: Arc<Mutex<Cached>>,
}

#[derive(Debug, Default)]
struct Cached {
    versions: BTreeMap<(Key, Version), Arc<Compiled>>,
    usable: BTreeMap<Key, Arc<Usable>>,
    /// +1 whenever something is forgotten: what was read before that may be out of date.
    forgotten: u64,
}

/// Which versions of a definition take new sagas.
#[derive(Debug)]
struct Usable {
    /// `None`: all are deprecated.
    newest: Option<Version>,
    /// With the reasons.
    deprecated: BTreeMap<Version, String>,
}

impl Definitions {
    /// An empty cache before a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, compiled: Arc::default() }
    }

    /// A version of a definition, deprecated or not.
    pub async fn get(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Version,
    ) -> Result<Arc<Compiled>, RequestError> {
        let key = ((namespace.clone(), name.clone()), version);
        if let Some(compiled) = self.lock().versions.get(&key).cloned() {
            return Ok(compiled);
        }
        let record = self.store.get_definition(namespace, name, Some(version)).await?;
        let missing = || RequestError::NoSuchDefinition { name: name.clone(), version: Some(version) };
        self.keep(&record.ok_or_else(missing)?)
    }

    /// A version that was asked for before; nobody waits for it.
    pub(crate) fn compiled(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Version,
    ) -> Option<Arc<Compiled>> {
        self.lock().versions.get(&((namespace.clone(), name.clone()), version)).cloned()
    }

    /// The version that a new saga begins on: the one that is named, else the newest that isn't deprecated.
    pub async fn for_start(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Option<Version>,
    ) -> Result<Arc<Compiled>, RequestError> {
        let usable = self.usable(namespace, name).await?;
        let refused = |version: Option<Version>, reason: &str| RequestError::Deprecated {
            name: name.clone(),
            version,
            reason: reason.to_owned(),
            newest: usable.newest,
        };
        let version = match version {
            Some(version) => match usable.deprecated.get(&version) {
                Some(reason) => return Err(refused(Some(version), reason)),
                None => version,
            },
            None => usable.newest.ok_or_else(|| refused(None, ""))?,
        };
        self.get(namespace, name, version).await
    }

    /// Takes a version that was just registered, so that the next saga runs on it.
    pub fn registered(&self, record: &DefinitionRecord) -> Result<Arc<Compiled>, RequestError> {
        self.changed(&record.namespace, &record.name);
        self.keep(record)
    }

    /// Forgets which versions of a definition take new sagas, because that has just changed.
    pub fn changed(&self, namespace: &Namespace, name: &DefinitionName) {
        let mut cached = self.lock();
        cached.forgotten += 1;
        cached.usable.remove(&(namespace.clone(), name.clone()));
    }

    /// Forgets which versions of all definitions take new sagas: another node may have changed that.
    pub fn look_again(&self) {
        let mut cached = self.lock();
        cached.forgotten += 1;
        cached.usable.clear();
    }

    async fn usable(&self, namespace: &Namespace, name: &DefinitionName) -> Result<Arc<Usable>, RequestError> {
        let key = (namespace.clone(), name.clone());
        let forgotten = {
            let cached = self.lock();
            if let Some(usable) = cached.usable.get(&key) {
                return Ok(usable.clone());
            }
            cached.forgotten
        };
        let records = self.store.definition_versions(namespace, name).await?;
        if records.is_empty() {
            return Err(RequestError::NoSuchDefinition { name: name.clone(), version: None });
        }
        let reason = |record: &DefinitionRecord| Some((record.version, record.deprecated.as_ref()?.reason.clone()));
        let usable = Arc::new(Usable {
            newest: records.iter().filter(|record| record.deprecated.is_none()).map(|record| record.version).max(),
            deprecated: records.iter().filter_map(reason).collect(),
        });
        let mut cached = self.lock();
        if cached.forgotten == forgotten {
            cached.usable.insert(key, usable.clone());
        }
        Ok(usable)
    }

    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, record: &DefinitionRecord) -> Result<Arc<Compiled>, RequestError> {
        let unreadable = |what: String| {
            RequestError::Unreadable(format!("definition {} version {}: {what}", record.name, record.version))
        };
        let body = Body::decode(&record.body).map_err(|error| unreadable(error.to_string()))?;
        let compiled = body.compile(record.version).map_err(|findings| {
            unreadable(findings.first().map_or_else(|| "it doesn't compile".to_owned(), ToString::to_string))
        })?;
        let compiled = Arc::new(compiled);
        let key = (record.namespace.clone(), record.name.clone());
        self.lock().versions.insert((key, record.version), compiled.clone());
        Ok(compiled)
    }
}
