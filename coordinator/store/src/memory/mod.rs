//! The store in memory: the contract in its plainest form, the model for every other backend, and the simulation's store.
//!
//! Deterministic: ordered maps, no thread, no sleep, no clock but the one it is given. It keeps nothing across a restart,
//! and it searches by walking, so it is for tests and demonstrations.
//! Invariant: every method is one step under one lock, so that no caller sees half a commit.
//!
//! `saga.rs` has what happens to one saga, `tenure.rs` to a shard, `transfer.rs` to the whole; the conformance suite holds the other backends to the
//! same answers.

mod documents;
mod image;
mod logs;
mod saga;
mod tenure;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaKey, Version};
use amends_engine::payload::Digest;
use amends_engine::time::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;

use self::documents::Documents;
pub use self::image::Image;
use self::logs::Logs;
use self::saga::{Row, Written};
use self::tenure::Tenure as Held;
use crate::contract::*;
use crate::error::{CommitError, StoreError};
use crate::members::Members;
use crate::narrow::Counts;
use crate::planted;
use crate::stats::{Counters, Stats};
use crate::transfer::{ReservedId, Standing};

/// Numbers the stores of this process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A store that forgets everything when it is dropped.
pub struct MemoryStore {
    id: String,
    clock: TimeSource,
    inner: Mutex<Inner>,
    counters: Counters,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Inner {
    tenures: Vec<Held>,
    members: Members,
    sagas: BTreeMap<SagaKey, Row>,
    reserved: BTreeSet<ReservedId>,
    definitions: BTreeMap<(Namespace, DefinitionName), Vec<DefinitionRecord>>,
    participants: BTreeMap<(Namespace, ParticipantName), ParticipantRecord>,
    /// By shard.
    logs: Vec<Logs>,
    documents: Documents,
    standing: Standing,
}

impl MemoryStore {
    /// An empty store with this many shards (at least one), which reads the time there.
    pub fn new(shards: u16, clock: TimeSource) -> Self {
        let inner = Inner {
            tenures: vec![Held::default(); usize::from(shards.max(1))],
            members: Members::default(),
            sagas: BTreeMap::new(),
            reserved: BTreeSet::new(),
            definitions: BTreeMap::new(),
            participants: BTreeMap::new(),
            logs: vec![Logs::NEW; usize::from(shards.max(1))],
            documents: Documents::default(),
            standing: Standing::InUse,
        };
        // Not random, because the simulation has to be the same each time; nothing depends on it but that two differ.
        let id = format!("memory-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { id, clock, inner: Mutex::new(inner), counters: Counters::default() }
    }

    /// Another store that has all that this one has, and goes its own way from here: a replica that heard no more, or a backup.
    pub fn fork(&self, clock: TimeSource) -> Self {
        Self { id: self.id.clone(), clock, inner: Mutex::new(self.lock().clone()), counters: Counters::default() }
    }

    /// What it has done so far; every call of `commit` counts as one transaction.
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// A panic under the lock leaves at most one saga's step undone, which the next commit's revision check finds.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn shards(&self) -> u16 {
        u16::try_from(self.tenures.len()).unwrap_or(u16::MAX)
    }

    fn tenure(&mut self, shard: ShardId) -> Result<&mut Held, StoreError> {
        let shards = self.shards();
        self.tenures.get_mut(usize::from(shard.0)).ok_or(StoreError::NoSuchShard { given: shard.0, shards })
    }

    fn commit(&mut self, commit: Commit) -> Result<Committed, CommitError> {
        let lease = commit.lease;
        if shard_of(&commit.key, self.shards()) != lease.shard {
            return Err(CommitError::WrongShard);
        }
        if !self.tenure(lease.shard).is_ok_and(|tenure| tenure.is_of(&lease)) {
            return Err(CommitError::Fenced);
        }
        let written = self.write(commit)?;
        let tenure = self.tenure(lease.shard).map_err(|_| CommitError::WrongShard)?;
        Ok(match written {
            Written::Now => Committed::Now { number: tenure.count() },
            Written::Before => Committed::Duplicate { number: tenure.commits() },
        })
    }

    /// The logs last, because nothing stops them: they were judged together with the saga.
    fn write(&mut self, mut commit: Commit) -> Result<Written, CommitError> {
        let entries = std::mem::take(&mut commit.logs);
        let (shard, op) = (usize::from(commit.lease.shard.0), commit.op);
        let fit = self.logs[shard].judge(&entries);
        let written = self.write_saga(commit, fit);
        if matches!(written, Ok(Written::Now)) || (written.is_err() && planted::is("log_written_though_refused")) {
            self.logs[shard].write(op, entries);
        }
        written
    }

    /// `fit`: whether the commit's log entries come next, which is judged behind its revision.
    fn write_saga(&mut self, commit: Commit, fit: Result<(), CommitError>) -> Result<Written, CommitError> {
        let digest = commit.digest();
        if let Some(row) = self.sagas.get_mut(&commit.key) {
            return row.update(commit, digest, fit);
        }
        if commit.expected_revision != 0 {
            return Err(CommitError::Stale { expected: commit.expected_revision, found: 0 });
        }
        if self.reserved.contains(&ReservedId::of(&commit.key)) {
            return Err(CommitError::Reserved);
        }
        let key = commit.key.clone();
        self.sagas.insert(key, Row::create(commit, digest, fit)?);
        Ok(Written::Now)
    }

    fn append(&mut self, lease: Lease, op: OpId, entries: Vec<Append>) -> Result<Committed, CommitError> {
        let tenure = self.tenure(lease.shard).ok().filter(|tenure| tenure.is_of(&lease)).ok_or(CommitError::Fenced)?;
        let number = tenure.commits();
        let logs = &mut self.logs[usize::from(lease.shard.0)];
        if logs.has(op, &entries) {
            return Ok(Committed::Duplicate { number });
        }
        logs.judge(&entries)?;
        logs.write(op, entries);
        let tenure = self.tenure(lease.shard).map_err(|_| CommitError::Fenced)?;
        Ok(Committed::Now { number: tenure.count() })
    }

    fn logs(&mut self, shard: ShardId) -> Result<&mut Logs, StoreError> {
        self.tenure(shard)?;
        Ok(&mut self.logs[usize::from(shard.0)])
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            kind: "memory",
            id: self.id.clone(),
            shards: self.lock().shards(),
            durability: "none: everything is lost when the process ends",
            strict: false,
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
        let now = (self.clock)();
        let mut inner = self.lock();
        let closed = (inner.standing != Standing::InUse).then(|| inner.standing.explain());
        let tenure = inner.tenure(shard)?;
        closed.map_or(Ok(()), |why| Err(StoreError::Closed { why }))?;
        tenure.acquire(shard, node, nonce, now, lease_for)
    }

    async fn renew(&self, lease: Lease, lease_for: Duration) -> Result<(), StoreError> {
        let until = (self.clock)() + lease_for;
        self.lock().tenure(lease.shard)?.renew(&lease, until)
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.lock().tenure(lease.shard)?.release(&lease);
        Ok(())
    }

    async fn tenures(&self) -> Result<Vec<Tenure>, StoreError> {
        let inner = self.lock();
        Ok((0..).zip(&inner.tenures).filter_map(|(shard, held)| held.told(ShardId(shard))).collect())
    }

    async fn heartbeat(&self, node: &NodeRecord) -> Result<(), StoreError> {
        let now = (self.clock)();
        self.lock().members.heard(node, now);
        Ok(())
    }

    async fn forget_node(&self, name: &str) -> Result<(), StoreError> {
        self.lock().members.forget(name);
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        Ok(self.lock().members.all())
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed, CommitError>> {
        let mut inner = self.lock();
        let answers: Vec<_> = commits.into_iter().map(|commit| inner.commit(commit)).collect();
        let written = answers.iter().filter(|answer| matches!(answer, Ok(Committed::Now { .. }))).count();
        self.counters.add_commits(written as u64);
        self.counters.add_transaction();
        answers
    }

    async fn get(&self, key: &SagaKey) -> Result<Option<StoredSaga>, StoreError> {
        Ok(self.lock().sagas.get(key).map(|row| row.stored(key)))
    }

    async fn history(&self, key: &SagaKey, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        Ok(self.lock().sagas.get(key).map(|row| row.history(from, limit)).unwrap_or_default())
    }

    async fn due(
        &self,
        shard: ShardId,
        after: Option<Timestamp>,
        until: Timestamp,
        resume: Option<(Timestamp, SagaKey)>,
        limit: usize,
    ) -> Result<Vec<StoredSaga>, StoreError> {
        let mut inner = self.lock();
        inner.tenure(shard)?;
        let mut found: Vec<(Timestamp, &SagaKey, &Row)> = inner
            .sagas
            .iter()
            .filter(|(_, row)| row.shard == shard && row.index.open)
            .filter_map(|(key, row)| row.due.map(|due| (due, key, row)))
            .filter(|(due, ..)| after.is_none_or(|after| *due > after) && *due <= until)
            .filter(|(due, key, _)| resume.as_ref().is_none_or(|(last, of)| (due, *key) > (last, of)))
            .collect();
        found.sort_by_key(|(due, key, _)| (*due, *key));
        Ok(found.into_iter().take(limit).map(|(_, key, row)| row.stored(key)).collect())
    }

    async fn open_sagas(&self, shard: ShardId) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        inner.tenure(shard)?;
        Ok(inner.sagas.values().filter(|row| row.shard == shard && row.index.open).count() as u64)
    }

    async fn census(&self, shard: ShardId) -> Result<Census, StoreError> {
        let mut inner = self.lock();
        let commits = inner.tenure(shard)?.commits();
        let mut counts: BTreeMap<(Namespace, DefinitionName, String, Option<String>), u64> = BTreeMap::new();
        for (key, Row { index, .. }) in inner.sagas.iter().filter(|(_, row)| row.shard == shard && row.index.open) {
            let kind = (key.namespace.clone(), index.definition.clone(), index.status.clone(), index.stuck.clone());
            *counts.entry(kind).or_default() += 1;
        }
        let count =
            |((namespace, definition, status, stuck), count)| OpenCount { namespace, definition, status, stuck, count };
        Ok(Census { commits, open: counts.into_iter().map(count).collect() })
    }

    async fn oldest_open(&self, shard: ShardId, status: &str) -> Result<Option<Timestamp>, StoreError> {
        let mut inner = self.lock();
        inner.tenure(shard)?;
        let rows =
            inner.sagas.values().filter(|row| row.shard == shard && row.index.open && row.index.status == status);
        Ok(rows.map(|row| row.index.started_at).min())
    }

    async fn oldest_start(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.lock().sagas.values().map(|row| row.index.started_at).min())
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<ListedSaga>, StoreError> {
        let inner = self.lock();
        let mut found: Vec<(Timestamp, &SagaKey, &Row)> = inner
            .sagas
            .iter()
            .filter(|(key, row)| row.matches(key, filter))
            .map(|(key, row)| (row.index.started_at, key, row))
            .filter(|(at, key, _)| after.is_none_or(|cursor| (*at, *key) < (cursor.started_at, &cursor.key)))
            .collect();
        found.sort_by_key(|(at, key, _)| std::cmp::Reverse((*at, *key)));
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().map(|(at, key, _)| Cursor { started_at: *at, key: (*key).clone() });
        let items = found.into_iter().map(|(_, key, row)| row.listed(key)).collect();
        Ok(Page { items, next: last.filter(|_| more) })
    }

    async fn count(&self, filter: &Filter) -> Result<Vec<(SagaKind, u64)>, StoreError> {
        let mut counts = Counts::new();
        for (_, row) in self.lock().sagas.iter().filter(|(key, row)| row.matches(key, filter)) {
            *counts.entry(row.kind()).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }

    async fn count_open(
        &self,
        namespace: &Namespace,
        definition: &DefinitionName,
    ) -> Result<Vec<(Version, String, u64)>, StoreError> {
        let mut counts: BTreeMap<(Version, String), u64> = BTreeMap::new();
        for (key, Row { index, .. }) in &self.lock().sagas {
            if index.open && key.namespace == *namespace && index.definition == *definition {
                *counts.entry((index.version, index.status.clone())).or_default() += 1;
            }
        }
        Ok(counts.into_iter().map(|((version, status), count)| (version, status, count)).collect())
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        let mut over: Vec<(Timestamp, SagaKey)> = inner
            .sagas
            .iter()
            .filter(|(_, row)| !row.index.open)
            .filter_map(|(key, row)| row.retain_until.map(|until| (until, key.clone())))
            .filter(|(until, _)| *until <= now)
            .collect();
        over.sort();
        over.truncate(limit);
        for (_, key) in &over {
            inner.sagas.remove(key);
            inner.reserved.insert(ReservedId::of(key));
        }
        Ok(over.len() as u64)
    }

    async fn put_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        body: Bytes,
        principal: &str,
        now: Timestamp,
    ) -> Result<DefinitionRecord, StoreError> {
        let mut inner = self.lock();
        let versions = inner.definitions.entry((namespace.clone(), name.clone())).or_default();
        let digest = Digest::of(&body);
        if let Some(same) = versions.iter().find(|record| record.digest == digest) {
            return Ok(same.clone());
        }
        let record = DefinitionRecord {
            namespace: namespace.clone(),
            name: name.clone(),
            version: Version(versions.last().map_or(1, |last| last.version.0 + 1)),
            digest,
            registered_at: now,
            principal: principal.to_owned(),
            body,
            deprecated: None,
        };
        versions.push(record.clone());
        Ok(record)
    }

    async fn get_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Option<Version>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        let inner = self.lock();
        let Some(versions) = inner.definitions.get(&(namespace.clone(), name.clone())) else { return Ok(None) };
        let found = match version {
            Some(version) => versions.iter().find(|record| record.version == version),
            None => versions.last(),
        };
        Ok(found.cloned())
    }

    async fn definition_versions(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
    ) -> Result<Vec<DefinitionRecord>, StoreError> {
        Ok(self.lock().definitions.get(&(namespace.clone(), name.clone())).cloned().unwrap_or_default())
    }

    async fn deprecate_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Version,
        deprecation: Option<Deprecation>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        let mut inner = self.lock();
        let versions = inner.definitions.get_mut(&(namespace.clone(), name.clone()));
        let found = versions.and_then(|versions| versions.iter_mut().find(|record| record.version == version));
        Ok(found.map(|record| {
            record.deprecated = deprecation;
            record.clone()
        }))
    }

    async fn list_definitions(&self, namespace: &Namespace) -> Result<Vec<DefinitionRecord>, StoreError> {
        let inner = self.lock();
        let mine = inner.definitions.iter().filter(|((of, _), _)| of == namespace);
        Ok(mine.filter_map(|(_, versions)| versions.last().cloned()).collect())
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
        let mut inner = self.lock();
        let key = (namespace.clone(), name.clone());
        let found = inner.participants.get(&key).map_or(0, |record| record.revision);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(StoreError::Conflict { expected, found });
        }
        let record = ParticipantRecord {
            namespace: namespace.clone(),
            name: name.clone(),
            revision: found + 1,
            updated_at: now,
            principal: principal.to_owned(),
            body,
        };
        inner.participants.insert(key, record.clone());
        Ok(record)
    }

    async fn get_participant(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
    ) -> Result<Option<ParticipantRecord>, StoreError> {
        Ok(self.lock().participants.get(&(namespace.clone(), name.clone())).cloned())
    }

    async fn list_participants(&self, namespace: &Namespace) -> Result<Vec<ParticipantRecord>, StoreError> {
        let inner = self.lock();
        Ok(inner.participants.iter().filter(|((of, _), _)| of == namespace).map(|(_, record)| record.clone()).collect())
    }

    async fn all_participants(&self) -> Result<Vec<ParticipantRecord>, StoreError> {
        Ok(self.lock().participants.values().cloned().collect())
    }

    async fn glance(&self) -> Result<Vec<Finding>, StoreError> {
        let message = "this store is in memory: everything is lost when the process ends".into();
        Ok(vec![Finding { severity: Severity::Warning, message }])
    }

    async fn append(&self, lease: Lease, op: OpId, entries: Vec<Append>) -> Result<Committed, CommitError> {
        let answer = self.lock().append(lease, op, entries);
        self.counters.add_commits(u64::from(matches!(answer, Ok(Committed::Now { .. }))));
        self.counters.add_transaction();
        answer
    }

    async fn read_log(
        &self,
        shard: ShardId,
        log: Log,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        Ok(self.lock().logs(shard)?.read(log, from, limit))
    }

    async fn log_span(&self, shard: ShardId, log: Log) -> Result<Span, StoreError> {
        Ok(self.lock().logs(shard)?.span(log))
    }

    async fn trim_log(&self, lease: Lease, log: Log, below: u64) -> Result<(), StoreError> {
        let mut inner = self.lock();
        if !inner.tenure(lease.shard)?.is_of(&lease) {
            return Err(StoreError::LeaseLost);
        }
        inner.logs(lease.shard)?.trim(log, below);
        Ok(())
    }

    async fn put_document(&self, kind: &str, id: &str, body: Bytes, expected: Option<u64>) -> Result<u64, StoreError> {
        self.lock().documents.put(kind, id, body, expected)
    }

    async fn get_document(&self, kind: &str, id: &str) -> Result<Option<Document>, StoreError> {
        Ok(self.lock().documents.get(kind, id).cloned())
    }

    async fn list_documents(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<Document>, StoreError> {
        Ok(self.lock().documents.list(kind, after, limit))
    }

    async fn delete_document(&self, kind: &str, id: &str, expected: Option<u64>) -> Result<bool, StoreError> {
        self.lock().documents.delete(kind, id, expected)
    }

    async fn check(&self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = self.glance().await?;
        let inner = self.lock();
        let unreadable = inner.sagas.values().filter(|row| row.is_unreadable()).count();
        let damaged = Finding {
            severity: Severity::Error,
            message: format!("{unreadable} sagas have records that can't be read"),
        };
        findings.extend((unreadable > 0).then_some(damaged));
        Ok(findings)
    }
}
