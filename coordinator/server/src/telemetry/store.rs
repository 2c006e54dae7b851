//! A store that is watched: what it takes, how often it fails, and whom it fences off.
//!
//! It hands every question on as it is and every answer back as it is. Invariant: nothing is asked twice, kept back or changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaKey, Version};
use amends_engine::time::Timestamp;
use amends_runtime::telemetry::{Counter, Timing, names};
use amends_store::*;
use async_trait::async_trait;
use bytes::Bytes;
use prometheus_client::registry::Registry;

/// What is counted about a store.
#[derive(Debug)]
pub(crate) struct StoreMeters {
    commits: Counter,
    duration: Timing,
    batch: Timing,
    fenced: Counter,
    errors: Counter,
    renewals: Counter,
}

/// Operations whose failures are there as 0 from the start: those that every saga needs.
const NEEDED: [&str; 5] = ["commit", "acquire", "renew", "get", "due"];

impl StoreMeters {
    pub(super) fn new() -> Self {
        let results = ["ok", "fenced", "stale", "full", "ambiguous", "reserved", "refused"];
        let commits = Counter::new(names::COMMITS_TOTAL, &[]);
        results.iter().for_each(|result| commits.add(&[result], 0));
        let errors = Counter::new(names::STORE_ERRORS, &[]);
        for operation in NEEDED {
            ["retryable", "conflict", "permanent"].iter().for_each(|class| errors.add(&[operation, class], 0));
        }
        Self {
            commits,
            duration: Timing::new(names::COMMIT_DURATION, &[&[]]),
            batch: Timing::new(names::COMMIT_BATCH_SIZE, &[&[]]),
            fenced: Counter::new(names::FENCED_WRITES, &[&[]]),
            errors,
            renewals: Counter::new(names::LEASE_RENEWALS, &[&["ok"], &["lost"], &["failed"]]),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { commits, duration, batch, fenced, errors, renewals } = self;
        [commits, fenced, errors, renewals].iter().for_each(|counter| counter.register(registry));
        [duration, batch].iter().for_each(|timing| timing.register(registry));
    }

    fn failed(&self, operation: &'static str, error: &StoreError) {
        // Another node has it: that is an answer.
        if !matches!(error, StoreError::Held { .. }) {
            self.errors.one(&[operation, class_word(error.class())]);
        }
    }

    fn committed(&self, result: &Result<Committed, CommitError>) {
        let (word, class) = match result {
            Ok(_) => ("ok", None),
            Err(CommitError::Fenced) => ("fenced", Some(Class::Conflict)),
            Err(CommitError::Stale { .. } | CommitError::StaleLog { .. }) => ("stale", Some(Class::Conflict)),
            Err(CommitError::Reserved) => ("reserved", None),
            Err(CommitError::WrongShard | CommitError::Overwrite { .. }) => ("refused", Some(Class::Permanent)),
            Err(CommitError::Full) => ("full", Some(Class::Permanent)),
            Err(CommitError::Ambiguous(_)) => ("ambiguous", Some(Class::Retryable)),
        };
        self.commits.one(&[word]);
        self.fenced.add(&[], u64::from(word == "fenced"));
        if let Some(class) = class {
            self.errors.one(&["commit", class_word(class)]);
        }
    }

    fn renewed(&self, result: &Result<(), StoreError>) {
        self.renewals.one(&[match result {
            Ok(()) => "ok",
            Err(StoreError::LeaseLost) => "lost",
            Err(_) => "failed",
        }]);
    }
}

fn class_word(class: Class) -> &'static str {
    match class {
        Class::Retryable => "retryable",
        Class::Conflict => "conflict",
        Class::Permanent => "permanent",
    }
}

/// The watched store.
#[derive(Debug)]
pub(crate) struct Watched {
    store: Arc<dyn Store>,
    meters: Arc<StoreMeters>,
}

impl Watched {
    pub(crate) fn new(store: Arc<dyn Store>, meters: Arc<StoreMeters>) -> Self {
        Self { store, meters }
    }

    async fn see<T>(
        &self,
        operation: &'static str,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        answer.await.inspect_err(|error| self.meters.failed(operation, error))
    }
}

#[async_trait]
impl Store for Watched {
    fn info(&self) -> StoreInfo {
        self.store.info()
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed, CommitError>> {
        self.meters.batch.observe(&[], commits.len() as f64);
        let begun = Instant::now();
        let results = self.store.commit(commits).await;
        self.meters.duration.observe(&[], begun.elapsed().as_secs_f64());
        results.iter().for_each(|result| self.meters.committed(result));
        results
    }

    async fn renew(&self, lease: Lease, lease_for: Duration) -> Result<(), StoreError> {
        let renewed = self.see("renew", self.store.renew(lease, lease_for)).await;
        self.meters.renewed(&renewed);
        renewed
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.see("now", self.store.now()).await
    }

    async fn acquire(
        &self,
        shard: ShardId,
        node: &str,
        nonce: Nonce,
        lease_for: Duration,
    ) -> Result<Acquired, StoreError> {
        self.see("acquire", self.store.acquire(shard, node, nonce, lease_for)).await
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.see("release", self.store.release(lease)).await
    }

    async fn tenures(&self) -> Result<Vec<Tenure>, StoreError> {
        self.see("tenures", self.store.tenures()).await
    }

    async fn heartbeat(&self, node: &NodeRecord) -> Result<(), StoreError> {
        self.see("heartbeat", self.store.heartbeat(node)).await
    }

    async fn forget_node(&self, name: &str) -> Result<(), StoreError> {
        self.see("forget_node", self.store.forget_node(name)).await
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.see("nodes", self.store.nodes()).await
    }

    async fn get(&self, key: &SagaKey) -> Result<Option<StoredSaga>, StoreError> {
        self.see("get", self.store.get(key)).await
    }

    async fn history(&self, key: &SagaKey, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        self.see("history", self.store.history(key, from, limit)).await
    }

    async fn due(
        &self,
        shard: ShardId,
        after: Option<Timestamp>,
        until: Timestamp,
        resume: Option<(Timestamp, SagaKey)>,
        limit: usize,
    ) -> Result<Vec<StoredSaga>, StoreError> {
        self.see("due", self.store.due(shard, after, until, resume, limit)).await
    }

    async fn open_sagas(&self, shard: ShardId) -> Result<u64, StoreError> {
        self.see("open_sagas", self.store.open_sagas(shard)).await
    }

    async fn census(&self, shard: ShardId) -> Result<Census, StoreError> {
        self.see("census", self.store.census(shard)).await
    }

    async fn oldest_open(&self, shard: ShardId, status: &str) -> Result<Option<Timestamp>, StoreError> {
        self.see("oldest_open", self.store.oldest_open(shard, status)).await
    }

    async fn oldest_start(&self) -> Result<Option<Timestamp>, StoreError> {
        self.see("oldest_start", self.store.oldest_start()).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<ListedSaga>, StoreError> {
        self.see("list", self.store.list(filter, after, limit)).await
    }

    async fn count(&self, filter: &Filter) -> Result<Vec<(SagaKind, u64)>, StoreError> {
        self.see("count", self.store.count(filter)).await
    }

    async fn count_open(
        &self,
        namespace: &Namespace,
        definition: &DefinitionName,
    ) -> Result<Vec<(Version, String, u64)>, StoreError> {
        self.see("count_open", self.store.count_open(namespace, definition)).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.see("sweep", self.store.sweep(now, limit)).await
    }

    async fn put_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        body: Bytes,
        principal: &str,
        now: Timestamp,
    ) -> Result<DefinitionRecord, StoreError> {
        self.see("put_definition", self.store.put_definition(namespace, name, body, principal, now)).await
    }

    async fn get_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Option<Version>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        self.see("get_definition", self.store.get_definition(namespace, name, version)).await
    }

    async fn definition_versions(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
    ) -> Result<Vec<DefinitionRecord>, StoreError> {
        self.see("definition_versions", self.store.definition_versions(namespace, name)).await
    }

    async fn deprecate_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Version,
        deprecation: Option<Deprecation>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        self.see("deprecate_definition", self.store.deprecate_definition(namespace, name, version, deprecation)).await
    }

    async fn list_definitions(&self, namespace: &Namespace) -> Result<Vec<DefinitionRecord>, StoreError> {
        self.see("list_definitions", self.store.list_definitions(namespace)).await
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
        self.see("put_participant", self.store.put_participant(namespace, name, body, expected, principal, now)).await
    }

    async fn get_participant(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
    ) -> Result<Option<ParticipantRecord>, StoreError> {
        self.see("get_participant", self.store.get_participant(namespace, name)).await
    }

    async fn list_participants(&self, namespace: &Namespace) -> Result<Vec<ParticipantRecord>, StoreError> {
        self.see("list_participants", self.store.list_participants(namespace)).await
    }

    async fn all_participants(&self) -> Result<Vec<ParticipantRecord>, StoreError> {
        self.see("all_participants", self.store.all_participants()).await
    }

    async fn glance(&self) -> Result<Vec<Finding>, StoreError> {
        self.see("glance", self.store.glance()).await
    }

    async fn append(&self, lease: Lease, op: OpId, entries: Vec<Append>) -> Result<Committed, CommitError> {
        let appended = self.store.append(lease, op, entries).await;
        self.meters.committed(&appended);
        appended
    }

    async fn read_log(
        &self,
        shard: ShardId,
        log: Log,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        self.see("read_log", self.store.read_log(shard, log, from, limit)).await
    }

    async fn log_span(&self, shard: ShardId, log: Log) -> Result<Span, StoreError> {
        self.see("log_span", self.store.log_span(shard, log)).await
    }

    async fn trim_log(&self, lease: Lease, log: Log, below: u64) -> Result<(), StoreError> {
        self.see("trim_log", self.store.trim_log(lease, log, below)).await
    }

    async fn put_document(&self, kind: &str, id: &str, body: Bytes, expected: Option<u64>) -> Result<u64, StoreError> {
        self.see("put_document", self.store.put_document(kind, id, body, expected)).await
    }

    async fn get_document(&self, kind: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.see("get_document", self.store.get_document(kind, id)).await
    }

    async fn list_documents(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<Document>, StoreError> {
        self.see("list_documents", self.store.list_documents(kind, after, limit)).await
    }

    async fn delete_document(&self, kind: &str, id: &str, expected: Option<u64>) -> Result<bool, StoreError> {
        self.see("delete_document", self.store.delete_document(kind, id, expected)).await
    }

    async fn check(&self) -> Result<Vec<Finding>, StoreError> {
        self.see("check", self.store.check()).await
    }
}
