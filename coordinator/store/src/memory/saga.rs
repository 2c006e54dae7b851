//! One saga in the memory store: what a commit does to it, and how it is read.
//!
//! Knows nothing of leases and shards' owners: `mod.rs` has judged those. Invariant: a rejected commit changes nothing.

use std::collections::{BTreeMap, VecDeque};

use amends_engine::ids::SagaKey;
use amends_engine::payload::{Digest, Payload, PayloadKey};
use amends_engine::time::Timestamp;
use bytes::Bytes;

use crate::contract::{Commit, Filter, ListedSaga, OPS_REMEMBERED, SagaKind, ShardId, StoredSaga};
use crate::error::CommitError;
use crate::narrow::{Known, Narrow};
use crate::record;
use crate::transfer::{IndexRecord, Remembered, SagaRecord};

/// What a commit that isn't rejected does to a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It changes it.
    Now,
    /// It has changed it already.
    Before,
}

/// All that is kept of one saga.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) shard: ShardId,
    pub(super) due: Option<Timestamp>,
    pub(super) index: IndexRecord,
    pub(super) retain_until: Option<Timestamp>,
    revision: u64,
    state: Bytes,
    payloads: BTreeMap<PayloadKey, Payload>,
    history: BTreeMap<u64, Bytes>,
    /// The last commits, the newest at the end.
    ops: VecDeque<Remembered>,
}

impl Row {
    /// The first commit of a saga.
    pub(super) fn create(commit: Commit, digest: Digest, fit: Result<(), CommitError>) -> Result<Self, CommitError> {
        let mut row = Self {
            shard: commit.lease.shard,
            due: None,
            index: IndexRecord::from(&commit.index),
            retain_until: None,
            revision: 0,
            state: Bytes::new(),
            payloads: BTreeMap::new(),
            history: BTreeMap::new(),
            ops: VecDeque::with_capacity(OPS_REMEMBERED),
        };
        row.update(commit, digest, fit)?;
        Ok(row)
    }

    /// A commit of a saga that is there, or its rejection. `fit`: whether its log entries come next.
    pub(super) fn update(
        &mut self,
        commit: Commit,
        digest: Digest,
        fit: Result<(), CommitError>,
    ) -> Result<Written, CommitError> {
        let remembered = Remembered::new(commit.op, &digest);
        if self.ops.contains(&remembered) {
            return Ok(Written::Before);
        }
        if commit.expected_revision != self.revision {
            return Err(CommitError::Stale { expected: commit.expected_revision, found: self.revision });
        }
        fit?;
        if let Some(key) = overwritten(&self.payloads, &commit.payloads) {
            return Err(CommitError::overwrites_payload(key));
        }
        if let Some(sequence) = overwritten(&self.history, &commit.history) {
            return Err(CommitError::overwrites_history(sequence));
        }
        self.payloads.extend(commit.payloads);
        self.history.extend(commit.history);
        self.revision += 1;
        self.state = commit.state;
        self.due = commit.due;
        self.retain_until = commit.retain_until;
        let fixed = (std::mem::take(&mut self.index.labels), self.index.started_at);
        self.index = IndexRecord { labels: fixed.0, started_at: fixed.1, ..IndexRecord::from(&commit.index) };
        if self.ops.len() == OPS_REMEMBERED {
            self.ops.pop_front();
        }
        self.ops.push_back(remembered);
        Ok(Written::Now)
    }

    /// The saga of another store, as it was there.
    pub(super) fn imported(shard: ShardId, saga: SagaRecord) -> Self {
        let SagaRecord { key: _, revision, state, payloads, history, remembered, due, index, retain_until } = saga;
        let (payloads, history, ops) =
            (payloads.into_iter().collect(), history.into_iter().collect(), remembered.into_iter().collect());
        Self { shard, due, index, retain_until, revision, state, payloads, history, ops }
    }

    /// All of it, for another store.
    pub(super) fn exported(&self, key: &SagaKey) -> SagaRecord {
        let StoredSaga { key, revision, state, payloads, due } = self.stored(key);
        SagaRecord {
            key,
            revision,
            state,
            payloads,
            history: self.history(0, usize::MAX),
            remembered: self.ops.iter().copied().collect(),
            due,
            index: self.index.clone(),
            retain_until: self.retain_until,
        }
    }

    /// The saga as [`crate::Store::get`] gives it.
    pub(super) fn stored(&self, key: &SagaKey) -> StoredSaga {
        StoredSaga {
            key: key.clone(),
            revision: self.revision,
            state: self.state.clone(),
            payloads: self.payloads.iter().map(|(key, payload)| (*key, payload.clone())).collect(),
            due: self.due,
        }
    }

    /// The saga as lists give it.
    pub(super) fn listed(&self, key: &SagaKey) -> ListedSaga {
        ListedSaga {
            key: key.clone(),
            revision: self.revision,
            state: self.state.clone(),
            status: self.index.status.clone(),
        }
    }

    /// History entries from a sequence number on.
    pub(super) fn history(&self, from: u64, limit: usize) -> Vec<(u64, Bytes)> {
        self.history.range(from..).take(limit).map(|(sequence, entry)| (*sequence, entry.clone())).collect()
    }

    /// Whether the filter lets it through.
    pub(super) fn matches(&self, key: &SagaKey, filter: &Filter) -> bool {
        let index = &self.index;
        filter.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
            && (filter.statuses.is_empty() || filter.statuses.contains(&index.status))
            && filter.definition.as_ref().is_none_or(|definition| *definition == index.definition)
            && filter.version.is_none_or(|version| version == index.version)
            && filter.stuck.as_ref().is_none_or(|stuck| Some(stuck) == index.stuck.as_ref())
            && filter.labels.iter().all(|label| index.labels.contains(label))
            && filter.held_up_at.as_ref().is_none_or(|participant| Some(participant) == index.held_up_at.as_ref())
            && !(filter.unacknowledged && index.acknowledged)
            && Narrow::of(filter).is_none_or(|narrow| narrow.passes(self.known(), &self.state))
    }

    fn known(&self) -> Known {
        let IndexRecord { open, started_at, ref stuck, .. } = self.index;
        Known { open, stuck: stuck.is_some(), started_at }
    }

    /// By what it is counted.
    pub(super) fn kind(&self) -> SagaKind {
        let IndexRecord { definition, version, status, stuck, held_up_at, .. } = self.index.clone();
        SagaKind { definition, version, status, stuck, held_up_at }
    }

    /// Whether any of its records can't be read.
    pub(super) fn is_unreadable(&self) -> bool {
        record::decode_state(&self.state).is_err()
            || self.history.values().any(|entry| record::decode_history(entry).is_err())
    }
}

/// The first of the new values that differs from one that is there, or from an earlier new one.
fn overwritten<K: Ord + Copy, V: PartialEq>(there: &BTreeMap<K, V>, new: &[(K, V)]) -> Option<K> {
    let differs = |(index, (key, value)): (usize, &(K, V))| {
        let earlier = new[..index].iter().find(|(other, _)| other == key).map(|(_, value)| value);
        there.get(key).or(earlier).is_some_and(|first| first != value).then_some(*key)
    };
    new.iter().enumerate().find_map(differs)
}
