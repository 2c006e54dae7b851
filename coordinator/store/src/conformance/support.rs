//! Sagas, commits and owners for the checks, with as little in them as each check needs.
//!
//! Nothing here asserts a promise. Invariant: every commit made here has an op id of its own and a state that can be read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amends_engine::history::{Change, HistoryEntry};
use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaId, SagaKey, Version};
use amends_engine::payload::Digest;
use amends_engine::saga::{Phase, SagaHead, SagaState, Steps};
use amends_engine::time::Timestamp;
use bytes::Bytes;

use crate::contract::*;
use crate::error::CommitError;
use crate::record;

/// A lease that won't run out during a check.
pub const LONG: Duration = Duration::from_secs(3600);

/// A namespace.
pub fn namespace(name: &str) -> Namespace {
    Namespace::parse(name).expect("a valid name")
}

/// A definition's name.
pub fn definition(name: &str) -> DefinitionName {
    DefinitionName::parse(name).expect("a valid name")
}

/// A participant's name.
pub fn participant(name: &str) -> ParticipantName {
    ParticipantName::parse(name).expect("a valid name")
}

/// A key in the default namespace.
pub fn key(id: &str) -> SagaKey {
    key_in("default", id)
}

/// A key.
pub fn key_in(tenant: &str, id: &str) -> SagaKey {
    SagaKey { namespace: namespace(tenant), id: SagaId::parse(id).expect("a valid name") }
}

/// An op id that no other commit in this process has.
pub fn fresh_op() -> OpId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    OpId(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// A state that can be read, different for every revision.
pub fn state(key: &SagaKey, revision: u64) -> SagaState {
    let head = SagaHead {
        key: key.clone(),
        definition: definition("checkout"),
        version: Version(1),
        input: Digest::of(b"input"),
        labels: Vec::new(),
        principal: "tester".into(),
        traceparent: String::new(),
    };
    SagaState {
        head: head.into(),
        revision,
        history_length: revision,
        phase: Phase::Running,
        parked: None,
        paused: None,
        decision: None,
        cancel: None,
        acknowledgement: None,
        deadline: Timestamp(3_600_000),
        late: false,
        nondeterministic: 0,
        started_at: Timestamp(1_000),
        updated_at: Timestamp(revision),
        ended_at: None,
        steps: Steps::idle(1),
    }
}

/// A history entry that can be read.
pub fn entry(sequence: u64) -> (u64, Bytes) {
    let entry = HistoryEntry::new(sequence, Timestamp(1_000 + sequence), Change::Started);
    (sequence, record::encode_history(&entry, "node-a", Epoch(1), 1))
}

/// Who has all shards of a store.
#[derive(Debug)]
pub struct Owner<'a> {
    /// The store.
    pub store: &'a dyn Store,
    /// Its leases, by shard.
    pub leases: Vec<Lease>,
}

impl<'a> Owner<'a> {
    /// Acquires every shard for this node.
    pub async fn of(store: &'a dyn Store, node: &str) -> Self {
        let mut leases = Vec::new();
        for shard in 0..store.info().shards {
            let nonce = Nonce(fresh_op().0);
            let acquired = store.acquire(ShardId(shard), node, nonce, LONG).await;
            leases.push(acquired.expect("nobody else has the shard").lease);
        }
        Self { store, leases }
    }

    /// The lease under which this saga is written.
    pub fn lease(&self, key: &SagaKey) -> Lease {
        let shards = u16::try_from(self.leases.len()).expect("as many as there are shards");
        self.leases[usize::from(shard_of(key, shards).0)]
    }

    /// A commit of an open saga, due at 2000, started at 1000, with neither payloads nor history.
    pub fn draft(&self, key: &SagaKey, expected_revision: u64) -> Commit {
        Commit {
            lease: self.lease(key),
            key: key.clone(),
            op: fresh_op(),
            expected_revision,
            state: record::encode_state(&state(key, expected_revision.saturating_add(1))),
            payloads: Vec::new(),
            history: Vec::new(),
            due: Some(Timestamp(2_000)),
            index: IndexRow {
                status: "running",
                stuck: None,
                definition: definition("checkout"),
                version: Version(1),
                labels: Vec::new(),
                started_at: Timestamp(1_000),
                open: true,
                held_up_at: None,
                acknowledged: false,
            },
            retain_until: None,
            logs: Vec::new(),
        }
    }

    /// A commit that finishes a saga, to be kept until then.
    pub fn finish(&self, key: &SagaKey, expected_revision: u64, retain_until: u64) -> Commit {
        let mut commit = self.draft(key, expected_revision);
        commit.index.status = "completed";
        commit.index.open = false;
        commit.due = None;
        commit.retain_until = Some(Timestamp(retain_until));
        commit
    }

    /// Commits one, alone.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let mut answers = self.store.commit(vec![commit]).await;
        assert_eq!(answers.len(), 1, "one answer for one commit");
        answers.pop().expect("one answer")
    }

    /// Commits what must be written now.
    pub async fn write(&self, commit: Commit) {
        let key = commit.key.clone();
        match self.commit(commit).await {
            Ok(Committed::Now { .. }) => {}
            other => panic!("{key} should have been committed now: {other:?}"),
        }
    }

    /// A saga that must be there.
    pub async fn get(&self, key: &SagaKey) -> StoredSaga {
        self.store.get(key).await.expect("readable").unwrap_or_else(|| panic!("{key} should be there"))
    }

    /// The revision of a saga; 0: it isn't there.
    pub async fn revision(&self, key: &SagaKey) -> u64 {
        self.store.get(key).await.expect("readable").map_or(0, |saga| saga.revision)
    }
}
