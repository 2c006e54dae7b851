//! Compiled definitions, kept once compiled: versions never change.
//!
//! Only which version is the newest can change; that is asked of the store unless this node registered it itself. Invariant: a
//! saga always gets the version that it is pinned to, or an error.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

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
    newest: BTreeMap<Key, Version>,
}

impl Definitions {
    /// An empty cache before a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, compiled: Arc::default() }
    }

    /// A version of a definition; the newest when none is named.
    pub async fn get(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Option<Version>,
    ) -> Result<Arc<Compiled>, RequestError> {
        let key = (namespace.clone(), name.clone());
        if let Some(compiled) = self.cached(&key, version) {
            return Ok(compiled);
        }
        let record = self.store.get_definition(namespace, name, version).await?;
        let record = record.ok_or_else(|| RequestError::NoSuchDefinition { name: name.clone(), version })?;
        self.keep(&record, version.is_none())
    }

    /// Takes a version that was just registered, so that the next saga runs on it.
    pub fn registered(&self, record: &DefinitionRecord) -> Result<Arc<Compiled>, RequestError> {
        self.keep(record, true)
    }

    fn cached(&self, key: &Key, version: Option<Version>) -> Option<Arc<Compiled>> {
        let cached = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let version = version.or_else(|| cached.newest.get(key).copied())?;
        cached.versions.get(&(key.clone(), version)).cloned()
    }

    fn keep(&self, record: &DefinitionRecord, newest: bool) -> Result<Arc<Compiled>, RequestError> {
        let unreadable = |what: String| {
            RequestError::Unreadable(format!("definition {} version {}: {what}", record.name, record.version))
        };
        let body = Body::decode(&record.body).map_err(|error| unreadable(error.to_string()))?;
        let compiled = body.compile(record.version).map_err(|findings| {
            unreadable(findings.first().map_or_else(|| "it doesn't compile".to_owned(), ToString::to_string))
        })?;
        let compiled = Arc::new(compiled);
        let key = (record.namespace.clone(), record.name.clone());
        let mut cached = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        cached.versions.insert((key.clone(), record.version), compiled.clone());
        if newest {
            let latest = cached.newest.entry(key).or_insert(record.version);
            *latest = record.version.max(*latest);
        }
        Ok(compiled)
    }
}
