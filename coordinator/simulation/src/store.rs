//! The store as one life of a node sees it: the memory store behind a wire that delays, loses and repeats.
//!
//! Commits travel in a task of the world, so that a killed process's last commit may still arrive. It changes no commit.
//! Invariant: whatever it answers is something that a real store could answer: a failure may hide a success, never the other
//! way round.

use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaKey, Version};
use amends_engine::time::Timestamp;
use amends_store::*;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::faults::StoreFault;
use crate::process::Process;
use crate::world::World;

type Answers = Vec<Result<Committed, CommitError>>;

/// A node's way to the store.
#[derive(Debug)]
pub(crate) struct SimulatedStore {
    world: Arc<World>,
    process: Arc<Process>,
}

impl SimulatedStore {
    pub(crate) fn new(world: Arc<World>, process: Arc<Process>) -> Self {
        Self { world, process }
    }

    /// A read, or a write that is safe to repeat: it may go unanswered.
    async fn ask<T>(&self, what: &str, asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.process.runs().await;
        let lost = self.world.faults.loses_read();
        if lost {
            self.world.trace.note(format_args!("node {} {what}: no answer", self.process.number()));
            sleep(Duration::from_millis(50)).await;
        }
        let answer = if lost { Err(StoreError::Unavailable(silence())) } else { asked.await };
        self.process.runs().await;
        answer
    }

    /// Sends commits on their way; they arrive whatever becomes of the process.
    fn send(&self, commits: Vec<Commit>) -> oneshot::Receiver<Answers> {
        let (tell, told) = oneshot::channel();
        let random = self.world.faults.is_random();
        let delay = || if random { self.world.wire.millis(0, 6) } else { Duration::from_millis(1) };
        let (there, back) = (delay(), delay());
        let world = self.world.clone();
        self.world.run(async move {
            sleep(there).await;
            let answers = world.apply(commits).await;
            sleep(back).await;
            // A killed process doesn't listen any more.
            let _ = tell.send(answers);
        });
        told
    }

    /// Sends commits once more after a while, as a client library might.
    fn send_late(&self, commits: Vec<Commit>) {
        let delay = self.world.wire.millis(5, 3_000);
        let world = self.world.clone();
        self.world.run(async move {
            sleep(delay).await;
            world.apply(commits).await;
        });
    }
}

/// The cause of an answer that never came.
fn silence() -> amends_store::error::Source {
    "the simulated wire lost it".into()
}

fn unanswered(commits: usize) -> Answers {
    (0..commits).map(|_| Err(CommitError::Ambiguous(silence()))).collect()
}

/// What a store says to the repeat of a commit that it has forgotten making.
fn stale(expected: Vec<u64>, answers: Answers) -> Answers {
    let answer = |(expected, answer)| match answer {
        Ok(Committed::Now { .. }) => Err(CommitError::Stale { expected, found: expected + 1 }),
        other => other,
    };
    expected.into_iter().zip(answers).map(answer).collect()
}

#[async_trait]
impl Store for SimulatedStore {
    fn info(&self) -> StoreInfo {
        self.world.store.info()
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.ask("now", self.world.store.now()).await
    }

    async fn acquire(
        &self,
        shard: ShardId,
        node: &str,
        nonce: Nonce,
        lease_for: Duration,
    ) -> Result<Acquired, StoreError> {
        let acquired = self.ask("acquire", self.world.store.acquire(shard, node, nonce, lease_for)).await;
        if let Ok(Acquired { lease, .. }) = &acquired {
            let (number, epoch) = (self.process.number(), lease.epoch.0);
            self.world.trace.note(format_args!("node {number} has shard {} with epoch {epoch}", shard.0));
        }
        acquired
    }

    async fn renew(&self, lease: Lease, lease_for: Duration) -> Result<(), StoreError> {
        self.ask("renew", self.world.store.renew(lease, lease_for)).await
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.ask("release", self.world.store.release(lease)).await
    }

    async fn tenures(&self) -> Result<Vec<Tenure>, StoreError> {
        self.ask("tenures", self.world.store.tenures()).await
    }

    async fn heartbeat(&self, node: &NodeRecord) -> Result<(), StoreError> {
        self.ask("heartbeat", self.world.store.heartbeat(node)).await
    }

    async fn forget_node(&self, name: &str) -> Result<(), StoreError> {
        self.ask("forget_node", self.world.store.forget_node(name)).await
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.ask("nodes", self.world.store.nodes()).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Answers {
        self.process.runs().await;
        let fault = self.world.faults.at_commit();
        if let Some(fault) = fault {
            self.world.trace.note(format_args!("node {} commit: {fault:?}", self.process.number()));
        }
        match fault {
            Some(StoreFault::CrashBefore) => match self.process.die().await {},
            Some(StoreFault::Freeze) => {
                self.process.freeze();
                self.process.runs().await;
            }
            Some(StoreFault::Lost) => {
                sleep(Duration::from_millis(50)).await;
                return unanswered(commits.len());
            }
            Some(StoreFault::Full) => return commits.iter().map(|_| Err(CommitError::Full)).collect(),
            Some(StoreFault::LateCopy) => self.send_late(commits.clone()),
            _ => {}
        }
        let (count, expected) = (commits.len(), commits.iter().map(|commit| commit.expected_revision).collect());
        let copy = (fault == Some(StoreFault::Twice)).then(|| commits.clone());
        let told = self.send(commits);
        if fault == Some(StoreFault::CrashDuring) {
            match self.process.die().await {}
        }
        let mut answers = told.await.unwrap_or_else(|_| unanswered(count));
        match fault {
            Some(StoreFault::CrashAfter) => match self.process.die().await {},
            Some(StoreFault::Unanswered) => answers = unanswered(count),
            Some(StoreFault::Stale) => answers = stale(expected, answers),
            _ => {}
        }
        if let Some(copy) = copy {
            answers = self.send(copy).await.unwrap_or_else(|_| unanswered(count));
        }
        self.process.runs().await;
        answers
    }

    async fn get(&self, key: &SagaKey) -> Result<Option<StoredSaga>, StoreError> {
        self.ask("get", self.world.store.get(key)).await
    }

    async fn history(&self, key: &SagaKey, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        self.ask("history", self.world.store.history(key, from, limit)).await
    }

    async fn due(
        &self,
        shard: ShardId,
        after: Option<Timestamp>,
        until: Timestamp,
        resume: Option<(Timestamp, SagaKey)>,
        limit: usize,
    ) -> Result<Vec<StoredSaga>, StoreError> {
        self.ask("due", self.world.store.due(shard, after, until, resume, limit)).await
    }

    async fn open_sagas(&self, shard: ShardId) -> Result<u64, StoreError> {
        self.ask("open_sagas", self.world.store.open_sagas(shard)).await
    }

    async fn census(&self, shard: ShardId) -> Result<Census, StoreError> {
        self.ask("census", self.world.store.census(shard)).await
    }

    async fn oldest_open(&self, shard: ShardId, status: &str) -> Result<Option<Timestamp>, StoreError> {
        self.ask("oldest_open", self.world.store.oldest_open(shard, status)).await
    }

    async fn oldest_start(&self) -> Result<Option<Timestamp>, StoreError> {
        self.ask("oldest_start", self.world.store.oldest_start()).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<ListedSaga>, StoreError> {
        self.ask("list", self.world.store.list(filter, after, limit)).await
    }

    async fn count(&self, filter: &Filter) -> Result<Vec<(SagaKind, u64)>, StoreError> {
        self.ask("count", self.world.store.count(filter)).await
    }

    async fn count_open(
        &self,
        namespace: &Namespace,
        definition: &DefinitionName,
    ) -> Result<Vec<(Version, String, u64)>, StoreError> {
        self.ask("count_open", self.world.store.count_open(namespace, definition)).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.ask("sweep", self.world.store.sweep(now, limit)).await
    }

    async fn put_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        body: Bytes,
        principal: &str,
        now: Timestamp,
    ) -> Result<DefinitionRecord, StoreError> {
        self.ask("put_definition", self.world.store.put_definition(namespace, name, body, principal, now)).await
    }

    async fn get_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Option<Version>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        self.ask("get_definition", self.world.store.get_definition(namespace, name, version)).await
    }

    async fn definition_versions(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
    ) -> Result<Vec<DefinitionRecord>, StoreError> {
        self.ask("definition_versions", self.world.store.definition_versions(namespace, name)).await
    }

    async fn deprecate_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Version,
        deprecation: Option<Deprecation>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        let work = self.world.store.deprecate_definition(namespace, name, version, deprecation);
        self.ask("deprecate_definition", work).await
    }

    async fn list_definitions(&self, namespace: &Namespace) -> Result<Vec<DefinitionRecord>, StoreError> {
        self.ask("list_definitions", self.world.store.list_definitions(namespace)).await
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
        let put = self.world.store.put_participant(namespace, name, body, expected, principal, now);
        self.ask("put_participant", put).await
    }

    async fn get_participant(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
    ) -> Result<Option<ParticipantRecord>, StoreError> {
        self.ask("get_participant", self.world.store.get_participant(namespace, name)).await
    }

    async fn list_participants(&self, namespace: &Namespace) -> Result<Vec<ParticipantRecord>, StoreError> {
        self.ask("list_participants", self.world.store.list_participants(namespace)).await
    }

    async fn all_participants(&self) -> Result<Vec<ParticipantRecord>, StoreError> {
        self.ask("all_participants", self.world.store.all_participants()).await
    }

    async fn glance(&self) -> Result<Vec<Finding>, StoreError> {
        self.ask("glance", self.world.store.glance()).await
    }

    async fn append(&self, lease: Lease, op: OpId, entries: Vec<Append>) -> Result<Committed, CommitError> {
        let asked = async { Ok(self.world.store.append(lease, op, entries).await) };
        self.ask("append", asked).await.unwrap_or_else(|error| Err(CommitError::Ambiguous(Box::new(error))))
    }

    async fn read_log(
        &self,
        shard: ShardId,
        log: Log,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        self.ask("read_log", self.world.store.read_log(shard, log, from, limit)).await
    }

    async fn log_span(&self, shard: ShardId, log: Log) -> Result<Span, StoreError> {
        self.ask("log_span", self.world.store.log_span(shard, log)).await
    }

    async fn trim_log(&self, lease: Lease, log: Log, below: u64) -> Result<(), StoreError> {
        self.ask("trim_log", self.world.store.trim_log(lease, log, below)).await
    }

    async fn put_document(&self, kind: &str, id: &str, body: Bytes, expected: Option<u64>) -> Result<u64, StoreError> {
        self.ask("put_document", self.world.store.put_document(kind, id, body, expected)).await
    }

    async fn get_document(&self, kind: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.ask("get_document", self.world.store.get_document(kind, id)).await
    }

    async fn list_documents(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<Document>, StoreError> {
        self.ask("list_documents", self.world.store.list_documents(kind, after, limit)).await
    }

    async fn delete_document(&self, kind: &str, id: &str, expected: Option<u64>) -> Result<bool, StoreError> {
        self.ask("delete_document", self.world.store.delete_document(kind, id, expected)).await
    }

    async fn check(&self) -> Result<Vec<Finding>, StoreError> {
        self.ask("check", self.world.store.check()).await
    }
}
