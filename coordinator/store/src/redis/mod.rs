//! The store on Redis: standalone, behind Sentinels, or a Cluster.
//!
//! ```text
//!   commit ──► commit.rs: one script call for many ──┐
//!   acquire, put … ──► tenure.rs, registry.rs ───────┤    router.rs ──► link.rs ──► Redis
//!   get, due, list, count … ──► read.rs, listing.rs ─┘    which server    one connection each
//!                                                         guard.rs: may it be used at all?
//! ```
//!
//! `keys.rs` lists every key. This file only hands on. It never interprets a state, and nothing that it writes ever expires.
//! Invariants: every write is one script that judges before it writes and is safe to send twice; what was answered `Ok` has
//! been confirmed as the durability level asks; what may have been written is never reported as refused.

mod address;
mod census;
mod certificates;
mod check;
mod commit;
mod dial;
mod doctor;
mod documents;
mod export;
mod failure;
mod fields;
mod guard;
mod import;
mod import_logs;
mod judge;
mod keys;
mod link;
mod listing;
mod logs;
mod open;
mod probe;
mod read;
mod registry;
mod remember;
mod router;
mod script;
mod sentinels;
mod slots;
mod standing;
mod sweep;
mod tenure;
mod values;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaKey, Version};
use amends_engine::time::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;

pub use self::address::{Address, AddressError};
pub use self::certificates::TlsFiles;
pub use self::judge::Durability;
pub use self::open::{RedisOpenError, RedisOptions};

use self::failure::Failure;
use self::guard::Guard;
use self::keys::Keys;
use self::read::Due;
use self::registry::Put;
use self::router::Router;
use self::script::Scripts;
use self::watch::Watching;
use crate::contract::*;
use crate::error::{CommitError, StoreError};
use crate::record::RecordError;
use crate::stats::{Counters, Stats};
use crate::transfer::Standing;

/// The store on Redis. It needs a tokio runtime, in which it looks at its servers until it is dropped.
pub struct RedisStore {
    router: Arc<Router>,
    guard: Arc<Guard>,
    keys: Keys,
    scripts: Arc<Scripts>,
    shards: u16,
    address: Address,
    counters: Counters,
    /// Ends the looking when the store is dropped.
    _watching: Watching,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.guard.store_id();
        f.debug_struct("RedisStore").field("address", &self.address).field("id", &id).finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Opens the store at an address, or makes a new one there. Refuses a server that isn't safe for the durability asked for.
    /// A store that may not be served from is refused, unless `options` say that it is opened to copy it.
    pub async fn open(options: RedisOptions) -> Result<Self, RedisOpenError> {
        let for_transfer = options.for_transfer;
        let store = open::open(options, true).await?;
        match standing::of(&store).await {
            Ok(Standing::InUse) => Ok(store),
            Ok(_) if for_transfer => Ok(store),
            Ok(standing) => Err(RedisOpenError::Closed { address: store.address.to_string(), standing }),
            Err(error) => {
                Err(RedisOpenError::Unreachable { address: store.address.to_string(), why: error.to_string() })
            }
        }
    }

    /// All that can be said of the store at an address, good and bad, without making or changing one.
    pub async fn examine(options: RedisOptions) -> Result<Vec<Finding>, RedisOpenError> {
        doctor::examine(options).await
    }

    /// What it has done since it was opened; a transaction is one script call with commits.
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Looks at the servers now, as it does every few seconds by itself: freezes the store, or frees it.
    pub async fn look(&self) {
        watch::look(&self.router, &self.guard).await;
    }

    fn all_shards(&self) -> impl Iterator<Item = ShardId> + Clone + use<> {
        (0..self.shards).map(ShardId)
    }

    fn known(&self, shard: ShardId) -> Result<ShardId, StoreError> {
        let shards = self.shards;
        if shard.0 < shards { Ok(shard) } else { Err(StoreError::NoSuchShard { given: shard.0, shards }) }
    }

    /// What to say of a shard that doesn't name our store.
    fn not_ours(&self, shard: ShardId, found: &str) -> String {
        let (number, id) = (shard.0, self.guard.store_id());
        if found.is_empty() {
            return format!(
                "shard {number} of the store {id} is gone: Redis was wiped, or lost its data. Stop, and restore its \
                 appendonly files or a backup"
            );
        }
        format!("shard {number} is of the store {found}, not of {id}: give the right address (store.redis.url)")
    }
}

/// A number and a colon before the rest.
fn numbered(value: &[u8]) -> Option<(u64, &[u8])> {
    let colon = value.iter().position(|byte| *byte == b':')?;
    Some((std::str::from_utf8(&value[..colon]).ok()?.parse().ok()?, &value[colon + 1..]))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt { what: format!("{what} isn't what it should be"), source: None }
}

fn unreadable(what: &str, error: RecordError) -> StoreError {
    StoreError::Corrupt { what: what.to_owned(), source: Some(Box::new(error)) }
}

#[async_trait]
impl Store for RedisStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            kind: "redis",
            id: self.guard.store_id().to_owned(),
            shards: self.shards,
            durability: self.guard.loss_window(),
            strict: self.guard.is_strict(),
        }
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        tenure::now(self).await.map_err(Failure::store)
    }

    async fn acquire(
        &self,
        shard: ShardId,
        node: &str,
        nonce: Nonce,
        lease_for: Duration,
    ) -> Result<Acquired, StoreError> {
        tenure::acquire(self, self.known(shard)?, node, nonce, lease_for).await
    }

    async fn renew(&self, lease: Lease, lease_for: Duration) -> Result<(), StoreError> {
        self.known(lease.shard)?;
        tenure::renew(self, lease, lease_for).await
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.known(lease.shard)?;
        tenure::release(self, lease).await
    }

    async fn tenures(&self) -> Result<Vec<Tenure>, StoreError> {
        tenure::tenures(self).await.map_err(Failure::store)
    }

    async fn heartbeat(&self, node: &NodeRecord) -> Result<(), StoreError> {
        tenure::heartbeat(self, node).await.map_err(Failure::store)
    }

    async fn forget_node(&self, name: &str) -> Result<(), StoreError> {
        tenure::forget_node(self, name).await.map_err(Failure::store)
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        tenure::nodes(self).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed, CommitError>> {
        commit::commit(self, commits).await
    }

    async fn get(&self, key: &SagaKey) -> Result<Option<StoredSaga>, StoreError> {
        read::get(self, key).await.map_err(Failure::store)
    }

    async fn history(&self, key: &SagaKey, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        read::history(self, key, from, limit).await.map_err(Failure::store)
    }

    async fn due(
        &self,
        shard: ShardId,
        after: Option<Timestamp>,
        until: Timestamp,
        resume: Option<(Timestamp, SagaKey)>,
        limit: usize,
    ) -> Result<Vec<StoredSaga>, StoreError> {
        let which = Due { shard: self.known(shard)?, after, until, resume, limit };
        read::due(self, &which).await.map_err(Failure::store)
    }

    async fn open_sagas(&self, shard: ShardId) -> Result<u64, StoreError> {
        listing::open_sagas(self, self.known(shard)?).await.map_err(Failure::store)
    }

    async fn census(&self, shard: ShardId) -> Result<Census, StoreError> {
        census::census(self, self.known(shard)?).await.map_err(Failure::store)
    }

    async fn oldest_open(&self, shard: ShardId, status: &str) -> Result<Option<Timestamp>, StoreError> {
        census::oldest_open(self, self.known(shard)?, status).await.map_err(Failure::store)
    }

    async fn oldest_start(&self) -> Result<Option<Timestamp>, StoreError> {
        listing::oldest_start(self).await.map_err(Failure::store)
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<ListedSaga>, StoreError> {
        listing::list(self, filter, after, limit).await.map_err(Failure::store)
    }

    async fn count(&self, filter: &Filter) -> Result<Vec<(SagaKind, u64)>, StoreError> {
        listing::count(self, filter).await.map_err(Failure::store)
    }

    async fn count_open(
        &self,
        namespace: &Namespace,
        definition: &DefinitionName,
    ) -> Result<Vec<(Version, String, u64)>, StoreError> {
        listing::count_open(self, namespace, definition).await.map_err(Failure::store)
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        sweep::sweep(self, now, limit).await.map_err(Failure::store)
    }

    async fn put_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        body: Bytes,
        principal: &str,
        now: Timestamp,
    ) -> Result<DefinitionRecord, StoreError> {
        registry::put_definition(self, Put { namespace, name, body, principal, now }).await
    }

    async fn get_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Option<Version>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        registry::get_definition(self, namespace, name, version).await
    }

    async fn definition_versions(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
    ) -> Result<Vec<DefinitionRecord>, StoreError> {
        registry::definition_versions(self, namespace, name).await
    }

    async fn deprecate_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Version,
        deprecation: Option<Deprecation>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        registry::deprecate_definition(self, namespace, name, version, deprecation).await
    }

    async fn list_definitions(&self, namespace: &Namespace) -> Result<Vec<DefinitionRecord>, StoreError> {
        registry::list_definitions(self, namespace).await
    }

    async fn put_participant(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
        body: Bytes,
        expected: Option<u64>,
        principal: &str,
        now: Timestamp,
    ) -> Result<ParticipantRecord, StoreError> {
        registry::put_participant(self, Put { namespace, name, body, principal, now }, expected).await
    }

    async fn get_participant(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
    ) -> Result<Option<ParticipantRecord>, StoreError> {
        registry::get_participant(self, namespace, name).await
    }

    async fn list_participants(&self, namespace: &Namespace) -> Result<Vec<ParticipantRecord>, StoreError> {
        let all = registry::all_participants(self).await?;
        Ok(all.into_iter().filter(|record| record.namespace == *namespace).collect())
    }

    async fn all_participants(&self) -> Result<Vec<ParticipantRecord>, StoreError> {
        registry::all_participants(self).await
    }

    async fn glance(&self) -> Result<Vec<Finding>, StoreError> {
        check::servers(&self.router, &self.guard).await.map_err(Failure::store)
    }

    async fn append(&self, lease: Lease, op: OpId, entries: Vec<Append>) -> Result<Committed, CommitError> {
        logs::append(self, lease, op, &entries).await
    }

    async fn read_log(
        &self,
        shard: ShardId,
        log: Log,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let entries = logs::entries(self, self.known(shard)?, log, from, limit).await?;
        Ok(entries.into_iter().map(|it| (it.number, it.body)).collect())
    }

    async fn log_span(&self, shard: ShardId, log: Log) -> Result<Span, StoreError> {
        logs::span(self, self.known(shard)?, log).await
    }

    async fn trim_log(&self, lease: Lease, log: Log, below: u64) -> Result<(), StoreError> {
        self.known(lease.shard)?;
        logs::trim(self, lease, log, below).await
    }

    async fn put_document(&self, kind: &str, id: &str, body: Bytes, expected: Option<u64>) -> Result<u64, StoreError> {
        documents::put(self, kind, id, &body, expected).await
    }

    async fn get_document(&self, kind: &str, id: &str) -> Result<Option<Document>, StoreError> {
        documents::get(self, kind, id).await
    }

    async fn list_documents(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<Document>, StoreError> {
        documents::list(self, kind, after, limit).await
    }

    async fn delete_document(&self, kind: &str, id: &str, expected: Option<u64>) -> Result<bool, StoreError> {
        documents::delete(self, kind, id, expected).await
    }

    async fn check(&self) -> Result<Vec<Finding>, StoreError> {
        check::check(self).await.map_err(Failure::store)
    }
}
