//! The embedded store: one SQLite database in one directory that one process has for itself.
//!
//! ```text
//!   commit, acquire, put …  ──►  writer.rs: one thread, groups ──►  BEGIN IMMEDIATE … COMMIT (one sync)
//!   get, due, list, count … ──►  readers.rs: read-only connections, never in the writer's way
//! ```
//!
//! This file only hands on; `commit.rs`, `cells.rs`, `logs.rs`, `tenure.rs`, `registry.rs`, `documents.rs` and `sweep.rs` write, `read.rs`, `listing.rs` and
//! `check.rs` read; `export.rs` and `import.rs` are for copies, `backup.rs` for backups. It never interprets a state. Invariant: what was answered `Ok` is on the disk.

mod backup;
mod cells;
mod census;
mod check;
mod columns;
mod commit;
mod documents;
mod examine;
mod export;
mod group;
mod import;
mod import_logs;
mod listing;
mod lock;
mod logs;
mod once;
mod open;
mod read;
mod readers;
mod registry;
mod reserve;
mod schema;
mod sweep;
mod tenure;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaKey, Version};
use amends_engine::time::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{oneshot, watch};

pub use self::backup::{Backup, BackupError, backup, restore};
pub use self::examine::examine;
pub use self::open::{OpenError, OpenOptions, is_there};
pub use self::writer::Fatal;

use self::commit::Commits;
use self::lock::DirLock;
use self::read::Due;
use self::readers::Readers;
use self::registry::Put;
use self::writer::{Writer, gone};
use crate::contract::*;
use crate::error::{CommitError, StoreError};
use crate::members::Members;
use crate::stats::{Counters, Stats};

/// The embedded store. Dropping it finishes what is queued, which blocks for as long as that takes.
pub struct SqliteStore {
    // In the order in which they must go: the writer's connection is the last and tidies up; then the lock.
    readers: Readers,
    writer: Writer,
    id: String,
    shards: u16,
    clock: TimeSource,
    counters: Arc<Counters>,
    dir: PathBuf,
    reserve_bytes: u64,
    /// Not in the database: the directory is locked, so its one node lives exactly as long as this.
    members: Mutex<Members>,
    _lock: DirLock,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("dir", &self.dir).field("id", &self.id).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store in a directory, or makes a new one there. Blocks while it reads what a crash left behind.
    pub fn open(options: OpenOptions) -> Result<Self, OpenError> {
        open::open(options)
    }

    /// Becomes `Some` when the store can't go on: the process must end then, because only a restart shows what the disk
    /// really holds. Until it does, everything is answered [`CommitError::Ambiguous`] or [`StoreError::Unavailable`].
    pub fn fatal(&self) -> watch::Receiver<Option<Fatal>> {
        self.writer.fatal()
    }

    /// What it has done since it was opened.
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, shard: ShardId) -> Result<ShardId, StoreError> {
        let shards = self.shards;
        if shard.0 < shards { Ok(shard) } else { Err(StoreError::NoSuchShard { given: shard.0, shards }) }
    }
}

impl SqliteStore {
    fn outside(&self) -> check::Outside {
        let fatal = self.writer.fatal().borrow().clone();
        check::Outside { dir: self.dir.clone(), reserve_bytes: self.reserve_bytes, fatal }
    }
}

/// What a write that the writer answered with an error is to whoever appends.
fn unwritten(error: StoreError) -> CommitError {
    match error {
        StoreError::Refused(_) => CommitError::Full,
        other => CommitError::Ambiguous(Box::new(other)),
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            kind: "sqlite",
            id: self.id.clone(),
            shards: self.shards,
            durability: "a kill of the process and a power cut, as far as the disk keeps what it says it has synced",
            strict: true,
        }
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok((self.clock)())
    }

    async fn acquire(
        &self,
        shard: ShardId,
        node: &str,
        nonce: Nonce,
        lease_for: Duration,
    ) -> Result<Acquired, StoreError> {
        let node = node.to_owned();
        self.writer.call(move |group| tenure::acquire(group, shard, &node, nonce, lease_for)).await
    }

    async fn renew(&self, lease: Lease, lease_for: Duration) -> Result<(), StoreError> {
        self.writer.call(move |group| tenure::renew(group, &lease, lease_for)).await
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.writer.call(move |group| tenure::release(group, &lease)).await
    }

    async fn tenures(&self) -> Result<Vec<Tenure>, StoreError> {
        self.readers.read(|tx| tenure::tenures(tx)).await
    }

    async fn heartbeat(&self, node: &NodeRecord) -> Result<(), StoreError> {
        let now = (self.clock)();
        self.members().heard(node, now);
        Ok(())
    }

    async fn forget_node(&self, name: &str) -> Result<(), StoreError> {
        self.members().forget(name);
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        Ok(self.members().all())
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed, CommitError>> {
        let count = commits.len();
        let (reply, answers) = oneshot::channel();
        let commits = Commits::new(commits, self.shards, reply, Arc::clone(&self.counters));
        self.writer.submit(Box::new(commits));
        let unknown = || (0..count).map(|_| Err(CommitError::Ambiguous(gone().source()))).collect();
        answers.await.unwrap_or_else(|_| unknown())
    }

    async fn get(&self, key: &SagaKey) -> Result<Option<StoredSaga>, StoreError> {
        let key = key.clone();
        self.readers.read(move |tx| read::get(tx, &key)).await
    }

    async fn history(&self, key: &SagaKey, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let key = key.clone();
        self.readers.read(move |tx| read::history(tx, &key, from, limit)).await
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
        self.readers.read(move |tx| read::due(tx, &which)).await
    }

    async fn open_sagas(&self, shard: ShardId) -> Result<u64, StoreError> {
        let shard = self.known(shard)?;
        self.readers.read(move |tx| read::open_sagas(tx, shard)).await
    }

    async fn census(&self, shard: ShardId) -> Result<Census, StoreError> {
        let shard = self.known(shard)?;
        self.readers.read(move |tx| census::census(tx, shard)).await
    }

    async fn oldest_open(&self, shard: ShardId, status: &str) -> Result<Option<Timestamp>, StoreError> {
        let (shard, status) = (self.known(shard)?, status.to_owned());
        self.readers.read(move |tx| census::oldest_open(tx, shard, &status)).await
    }

    async fn oldest_start(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.read(|tx| read::oldest_start(tx)).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<ListedSaga>, StoreError> {
        let (filter, after) = (filter.clone(), after.cloned());
        self.readers.read(move |tx| listing::list(tx, &filter, after.as_ref(), limit)).await
    }

    async fn count(&self, filter: &Filter) -> Result<Vec<(SagaKind, u64)>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |tx| listing::count(tx, &filter)).await
    }

    async fn count_open(
        &self,
        namespace: &Namespace,
        definition: &DefinitionName,
    ) -> Result<Vec<(Version, String, u64)>, StoreError> {
        let (namespace, definition) = (namespace.clone(), definition.clone());
        self.readers.read(move |tx| listing::count_open(tx, &namespace, &definition)).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.writer.call(move |group| sweep::sweep(group, now, limit)).await
    }

    async fn put_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        body: Bytes,
        principal: &str,
        now: Timestamp,
    ) -> Result<DefinitionRecord, StoreError> {
        let put = Put { namespace: namespace.clone(), name: name.clone(), body, principal: principal.to_owned(), now };
        self.writer.call(move |group| registry::put_definition(group, &put)).await
    }

    async fn get_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Option<Version>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        let (namespace, name) = (namespace.clone(), name.clone());
        self.readers.read(move |tx| registry::get_definition(tx, &namespace, &name, version)).await
    }

    async fn definition_versions(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
    ) -> Result<Vec<DefinitionRecord>, StoreError> {
        let (namespace, name) = (namespace.clone(), name.clone());
        self.readers.read(move |tx| registry::definition_versions(tx, &namespace, &name)).await
    }

    async fn deprecate_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Version,
        deprecation: Option<Deprecation>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        let (namespace, name) = (namespace.clone(), name.clone());
        self.writer
            .call(move |group| registry::deprecate_definition(group, &namespace, &name, version, deprecation.as_ref()))
            .await
    }

    async fn list_definitions(&self, namespace: &Namespace) -> Result<Vec<DefinitionRecord>, StoreError> {
        let namespace = namespace.clone();
        self.readers.read(move |tx| registry::list_definitions(tx, &namespace)).await
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
        let put = Put { namespace: namespace.clone(), name: name.clone(), body, principal: principal.to_owned(), now };
        self.writer.call(move |group| registry::put_participant(group, &put, expected)).await
    }

    async fn get_participant(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
    ) -> Result<Option<ParticipantRecord>, StoreError> {
        let (namespace, name) = (namespace.clone(), name.clone());
        self.readers.read(move |tx| registry::get_participant(tx, &namespace, &name)).await
    }

    async fn list_participants(&self, namespace: &Namespace) -> Result<Vec<ParticipantRecord>, StoreError> {
        let namespace = namespace.clone();
        self.readers.read(move |tx| registry::list_participants(tx, &namespace)).await
    }

    async fn all_participants(&self) -> Result<Vec<ParticipantRecord>, StoreError> {
        self.readers.read(|tx| registry::all_participants(tx)).await
    }

    async fn glance(&self) -> Result<Vec<Finding>, StoreError> {
        let outside = self.outside();
        self.readers.read(move |tx| check::glance(tx, &outside)).await
    }

    async fn append(&self, lease: Lease, op: OpId, entries: Vec<Append>) -> Result<Committed, CommitError> {
        let appended = self.writer.call(move |group| logs::append(group, &lease, op, &entries).map(Ok)).await;
        let answer = appended.unwrap_or_else(|error| Err(unwritten(error)));
        self.counters.add_commits(u64::from(matches!(answer, Ok(Committed::Now { .. }))));
        answer
    }

    async fn read_log(
        &self,
        shard: ShardId,
        log: Log,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let shard = self.known(shard)?;
        self.readers.read(move |tx| logs::read(tx, shard, log, from, limit)).await
    }

    async fn log_span(&self, shard: ShardId, log: Log) -> Result<Span, StoreError> {
        let shard = self.known(shard)?;
        self.readers.read(move |tx| logs::span(tx, shard, log)).await
    }

    async fn trim_log(&self, lease: Lease, log: Log, below: u64) -> Result<(), StoreError> {
        self.writer.call(move |group| logs::trim(group, &lease, log, below)).await
    }

    async fn put_document(&self, kind: &str, id: &str, body: Bytes, expected: Option<u64>) -> Result<u64, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.writer.call(move |group| documents::put(group, &kind, &id, &body, expected)).await
    }

    async fn get_document(&self, kind: &str, id: &str) -> Result<Option<Document>, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.readers.read(move |tx| documents::get(tx, &kind, &id)).await
    }

    async fn list_documents(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<Document>, StoreError> {
        let (kind, after) = (kind.to_owned(), after.map(str::to_owned));
        self.readers.read(move |tx| documents::list(tx, &kind, after.as_deref(), limit)).await
    }

    async fn delete_document(&self, kind: &str, id: &str, expected: Option<u64>) -> Result<bool, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.writer.call(move |group| documents::delete(group, &kind, &id, expected)).await
    }

    async fn check(&self) -> Result<Vec<Finding>, StoreError> {
        let outside = self.outside();
        self.readers.read(move |tx| check::check(tx, &outside)).await
    }
}
