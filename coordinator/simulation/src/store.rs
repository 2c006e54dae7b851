//! The store as one life of a node sees it: the memory store behind a wire that delays, loses and repeats.
//!
//! It changes no commit. Invariant: whatever it answers is something that a real store could answer: a failure may hide a
//! success, never the other way round; nothing is answered before it is durable (`durable.rs`).

use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaKey, Version};
use amends_engine::time::Timestamp;
use amends_store::memory::MemoryStore;
use amends_store::*;
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

use crate::commits::boundary_of;
use crate::faults::Boundary;
use crate::process::Process;
use crate::wire::{Departure, Heard, Wire};
use crate::world::World;

type Answers = Vec<Result<Committed, CommitError>>;

/// A node's way to the store.
#[derive(Debug)]
pub(crate) struct SimulatedStore {
    world: Arc<World>,
    wire: Wire,
}

impl SimulatedStore {
    pub(crate) fn new(world: Arc<World>, process: Arc<Process>) -> Self {
        Self { wire: Wire { world: world.clone(), process }, world }
    }

    /// A read.
    async fn look<T>(
        &self,
        at: Boundary,
        shard: Option<ShardId>,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match self.wire.ask(at, shard, asked).await {
            Heard::Answer(answer) => answer,
            Heard::Misled(_) | Heard::Silence => Err(StoreError::Unavailable(silence())),
            Heard::Refused => Err(StoreError::Refused(silence())),
        }
    }

    /// A write that may arrive twice. `make` is given the store.
    async fn tell<T, F>(&self, at: Boundary, shard: Option<ShardId>, make: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(Arc<MemoryStore>) -> BoxFuture<'static, Result<T, StoreError>>,
    {
        let fault = match self.wire.depart(at, shard).await {
            Departure::Refused => return Err(StoreError::Refused(silence())),
            Departure::Leaves(fault) => fault,
        };
        let delays = self.wire.delays(at.channel());
        let write = || {
            let (world, change) = (self.world.clone(), make(self.world.store.clone()));
            let written = async move { world.write(async { (change.await, Vec::new()) }).await };
            Box::pin(written) as BoxFuture<'static, Option<Result<T, StoreError>>>
        };
        match self.wire.send(fault, delays, write).await {
            Heard::Answer(Some(answer)) => answer,
            Heard::Answer(None) | Heard::Misled(_) | Heard::Silence => Err(StoreError::Unavailable(silence())),
            Heard::Refused => Err(StoreError::Refused(silence())),
        }
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
fn stale(expected: &[u64], answers: Answers) -> Answers {
    let answer = |(expected, answer): (&u64, _)| match answer {
        Ok(Committed::Now { .. }) => Err(CommitError::Stale { expected: *expected, found: expected + 1 }),
        other => other,
    };
    expected.iter().zip(answers).map(answer).collect()
}

#[async_trait]
impl Store for SimulatedStore {
    fn info(&self) -> StoreInfo {
        self.world.store.info()
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.look(Boundary::Look, None, self.world.store.now()).await
    }

    async fn acquire(
        &self,
        shard: ShardId,
        node: &str,
        nonce: Nonce,
        lease_for: Duration,
    ) -> Result<Acquired, StoreError> {
        let acquired = self.tell(Boundary::Acquire, Some(shard), |store| {
            let node = node.to_owned();
            Box::pin(async move { store.acquire(shard, &node, nonce, lease_for).await })
        });
        let acquired = acquired.await;
        if let Ok(Acquired { lease, .. }) = &acquired {
            let (number, epoch) = (self.wire.process.number(), lease.epoch.0);
            self.world.trace.note(format_args!("node {number} has shard {} with epoch {epoch}", shard.0));
        }
        acquired
    }

    async fn renew(&self, lease: Lease, lease_for: Duration) -> Result<(), StoreError> {
        let renew = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            Box::pin(async move { store.renew(lease, lease_for).await })
        };
        self.tell(Boundary::Renew, Some(lease.shard), renew).await
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        let release =
            |store: Arc<MemoryStore>| -> BoxFuture<'static, _> { Box::pin(async move { store.release(lease).await }) };
        self.tell(Boundary::Release, Some(lease.shard), release).await
    }

    async fn tenures(&self) -> Result<Vec<Tenure>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.tenures()).await
    }

    async fn heartbeat(&self, node: &NodeRecord) -> Result<(), StoreError> {
        let node = Arc::new(node.clone());
        let heartbeat = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            let node = node.clone();
            Box::pin(async move { store.heartbeat(&node).await })
        };
        self.tell(Boundary::Heartbeat, None, heartbeat).await
    }

    async fn forget_node(&self, name: &str) -> Result<(), StoreError> {
        let forget = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            let name = name.to_owned();
            Box::pin(async move { store.forget_node(&name).await })
        };
        self.tell(Boundary::Heartbeat, None, forget).await
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.nodes()).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Answers {
        let (count, expected): (usize, Vec<u64>) =
            (commits.len(), commits.iter().map(|it| it.expected_revision).collect());
        let (at, shard) = (boundary_of(&commits), commits.first().map(|it| it.lease.shard));
        let fault = match self.wire.depart(at, shard).await {
            Departure::Refused => return commits.iter().map(|_| Err(CommitError::Full)).collect(),
            Departure::Leaves(fault) => fault,
        };
        let delays = self.wire.delays(at.channel());
        let arrive = || -> BoxFuture<'static, Answers> {
            let (world, commits) = (self.world.clone(), commits.clone());
            Box::pin(async move { world.commit(commits).await })
        };
        match self.wire.send(fault, delays, arrive).await {
            Heard::Answer(answers) => answers,
            Heard::Misled(answers) => stale(&expected, answers),
            Heard::Silence | Heard::Refused => unanswered(count),
        }
    }

    async fn get(&self, key: &SagaKey) -> Result<Option<StoredSaga>, StoreError> {
        self.look(Boundary::Load, Some(shard_of(key, self.world.store.info().shards)), self.world.store.get(key)).await
    }

    async fn history(&self, key: &SagaKey, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        self.look(
            Boundary::Load,
            Some(shard_of(key, self.world.store.info().shards)),
            self.world.store.history(key, from, limit),
        )
        .await
    }

    async fn due(
        &self,
        shard: ShardId,
        after: Option<Timestamp>,
        until: Timestamp,
        resume: Option<(Timestamp, SagaKey)>,
        limit: usize,
    ) -> Result<Vec<StoredSaga>, StoreError> {
        self.look(Boundary::Load, Some(shard), self.world.store.due(shard, after, until, resume, limit)).await
    }

    async fn open_sagas(&self, shard: ShardId) -> Result<u64, StoreError> {
        self.look(Boundary::Look, Some(shard), self.world.store.open_sagas(shard)).await
    }

    async fn census(&self, shard: ShardId) -> Result<Census, StoreError> {
        self.look(Boundary::Look, Some(shard), self.world.store.census(shard)).await
    }

    async fn oldest_open(&self, shard: ShardId, status: &str) -> Result<Option<Timestamp>, StoreError> {
        self.look(Boundary::Look, Some(shard), self.world.store.oldest_open(shard, status)).await
    }

    async fn oldest_start(&self) -> Result<Option<Timestamp>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.oldest_start()).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<ListedSaga>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.list(filter, after, limit)).await
    }

    async fn count(&self, filter: &Filter) -> Result<Vec<(SagaKind, u64)>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.count(filter)).await
    }

    async fn count_open(
        &self,
        namespace: &Namespace,
        definition: &DefinitionName,
    ) -> Result<Vec<(Version, String, u64)>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.count_open(namespace, definition)).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let sweep = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            Box::pin(async move { store.sweep(now, limit).await })
        };
        self.tell(Boundary::Note, None, sweep).await
    }

    async fn put_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        body: Bytes,
        principal: &str,
        now: Timestamp,
    ) -> Result<DefinitionRecord, StoreError> {
        self.look(Boundary::Look, None, self.world.store.put_definition(namespace, name, body, principal, now)).await
    }

    async fn get_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Option<Version>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.get_definition(namespace, name, version)).await
    }

    async fn definition_versions(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
    ) -> Result<Vec<DefinitionRecord>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.definition_versions(namespace, name)).await
    }

    async fn deprecate_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Version,
        deprecation: Option<Deprecation>,
    ) -> Result<Option<DefinitionRecord>, StoreError> {
        let work = self.world.store.deprecate_definition(namespace, name, version, deprecation);
        self.look(Boundary::Look, None, work).await
    }

    async fn list_definitions(&self, namespace: &Namespace) -> Result<Vec<DefinitionRecord>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.list_definitions(namespace)).await
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
        self.look(Boundary::Look, None, put).await
    }

    async fn get_participant(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
    ) -> Result<Option<ParticipantRecord>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.get_participant(namespace, name)).await
    }

    async fn list_participants(&self, namespace: &Namespace) -> Result<Vec<ParticipantRecord>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.list_participants(namespace)).await
    }

    async fn all_participants(&self) -> Result<Vec<ParticipantRecord>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.all_participants()).await
    }

    async fn glance(&self) -> Result<Vec<Finding>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.glance()).await
    }

    async fn append(&self, lease: Lease, op: OpId, entries: Vec<Append>) -> Result<Committed, CommitError> {
        let append = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            let entries = entries.clone();
            Box::pin(async move { Ok(store.append(lease, op, entries).await) })
        };
        match self.tell(Boundary::Note, Some(lease.shard), append).await {
            Ok(answer) => answer,
            Err(StoreError::Refused(_)) => Err(CommitError::Full),
            Err(error) => Err(CommitError::Ambiguous(Box::new(error))),
        }
    }

    async fn read_log(
        &self,
        shard: ShardId,
        log: Log,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        self.look(Boundary::Look, Some(shard), self.world.store.read_log(shard, log, from, limit)).await
    }

    async fn log_span(&self, shard: ShardId, log: Log) -> Result<Span, StoreError> {
        self.look(Boundary::Look, Some(shard), self.world.store.log_span(shard, log)).await
    }

    async fn trim_log(&self, lease: Lease, log: Log, below: u64) -> Result<(), StoreError> {
        let trim = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            Box::pin(async move { store.trim_log(lease, log, below).await })
        };
        self.tell(Boundary::Note, Some(lease.shard), trim).await
    }

    async fn put_document(&self, kind: &str, id: &str, body: Bytes, expected: Option<u64>) -> Result<u64, StoreError> {
        let put = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            let (kind, id, body) = (kind.to_owned(), id.to_owned(), body.clone());
            Box::pin(async move { store.put_document(&kind, &id, body, expected).await })
        };
        self.tell(Boundary::Note, None, put).await
    }

    async fn get_document(&self, kind: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.get_document(kind, id)).await
    }

    async fn list_documents(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<Document>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.list_documents(kind, after, limit)).await
    }

    async fn delete_document(&self, kind: &str, id: &str, expected: Option<u64>) -> Result<bool, StoreError> {
        let delete = |store: Arc<MemoryStore>| -> BoxFuture<'static, _> {
            let (kind, id) = (kind.to_owned(), id.to_owned());
            Box::pin(async move { store.delete_document(&kind, &id, expected).await })
        };
        self.tell(Boundary::Note, None, delete).await
    }

    async fn check(&self) -> Result<Vec<Finding>, StoreError> {
        self.look(Boundary::Look, None, self.world.store.check()).await
    }
}
