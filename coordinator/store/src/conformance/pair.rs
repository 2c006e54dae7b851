//! One random call after the other, made to two stores at once.
//!
//! Few keys, few values and short times, so that calls meet each other's traces. Nothing here compares: the answers are given
//! back as text, without what two stores can't share (epochs, times). Invariant: what is called depends on the seed only,
//! and on the model's revisions, never on the answers of the store under test.

use std::time::Duration;

use amends_engine::ids::{Operation, SagaKey, StepIndex, Version};
use amends_engine::outcome::{LastOutcome, OutcomeKind, Why};
use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::saga::{OperationStatus, SagaState, StuckReason};
use amends_engine::time::Timestamp;
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::listing::walk;
use super::support::{LONG, Owner, definition, entry, key_in, namespace, participant, state};
use crate::contract::*;
use crate::error::{CommitError, StoreError};
use crate::record;

/// The tenants that are used.
pub(super) const TENANTS: [&str; 2] = ["default", "team-a"];
const PARTICIPANTS: [&str; 2] = ["payment", "account"];
/// The kinds of documents that are used.
pub(super) const KINDS: [&str; 2] = ["batch", "hold"];
const STATUSES: [&str; 4] = ["compensating", "completed", "running", "stuck"];
const NODES: [&str; 2] = ["node-a", "node-b"];

/// Both stores, and what was sent to them.
pub(super) struct Pair<'a> {
    real: Owner<'a>,
    model: Owner<'a>,
    random: SmallRng,
    sent: Vec<(Commit, Commit)>,
    next_op: u128,
}

impl<'a> Pair<'a> {
    /// Acquires every shard of both.
    pub(super) async fn new(real: &'a dyn Store, model: &'a dyn Store, seed: u64) -> Self {
        Self {
            real: Owner::of(real, NODES[0]).await,
            model: Owner::of(model, NODES[0]).await,
            random: SmallRng::seed_from_u64(seed),
            sent: Vec::new(),
            next_op: 1 << 64,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.random_range(0..bound)
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())]
    }

    fn key(&mut self) -> SagaKey {
        let (tenant, number) = (self.pick(&TENANTS), self.below(12));
        key_in(tenant, &format!("order-{number}"))
    }

    /// One random call to both; the answers as text.
    pub(super) async fn step(&mut self) -> (String, String) {
        match self.below(24) {
            20 => self.append().await,
            21 => self.read_or_trim().await,
            22 | 23 => self.document().await,
            0..8 => self.commits().await,
            8 => self.acquire().await,
            9 => self.renew_or_release().await,
            10 => self.sweep().await,
            11 | 12 => self.due().await,
            13..16 => self.list().await,
            16 => self.register().await,
            _ => self.get().await,
        }
    }

    async fn commits(&mut self) -> (String, String) {
        let mut pairs = Vec::new();
        for _ in 0..=self.below(3) {
            pairs.push(self.commit().await);
        }
        self.sent.extend(pairs.iter().cloned());
        let (real, model): (Vec<Commit>, Vec<Commit>) = pairs.into_iter().unzip();
        (commit_words(self.real.store.commit(real).await), commit_words(self.model.store.commit(model).await))
    }

    async fn commit(&mut self) -> (Commit, Commit) {
        if !self.sent.is_empty() && self.one_in(5) {
            let recent = self.sent.len().saturating_sub(20);
            let resent = self.random.random_range(recent..self.sent.len());
            return self.sent[resent].clone();
        }
        let key = self.key();
        let is = self.model.revision(&key).await;
        let expected = if self.one_in(6) { self.below(4) } else { is };
        let mut real = self.draft(&key, expected);
        if self.one_in(4) {
            real.logs = self.entries(real.lease.shard).await;
        }
        let mut model = Commit { lease: self.model.lease(&key), ..real.clone() };
        if self.one_in(12) {
            real.lease.nonce = Nonce(7);
            model.lease.nonce = Nonce(7);
        }
        (real, model)
    }

    fn draft(&mut self, key: &SagaKey, expected: u64) -> Commit {
        let mut commit = self.real.draft(key, expected);
        self.next_op += 1;
        commit.op = OpId(self.next_op);
        let mut content = state(key, expected + 1);
        content.nondeterministic = self.random.random();
        commit.index.status = self.pick(&STATUSES);
        commit.index.stuck = (commit.index.status == "stuck").then_some("poison");
        commit.index.held_up_at = self.one_in(2).then(|| participant(self.pick(&PARTICIPANTS)));
        commit.index.acknowledged = self.one_in(4);
        self.fail(&mut content, commit.index.stuck.is_some());
        commit.state = record::encode_state(&content);
        commit.index.open = commit.index.status != "completed";
        commit.index.definition = definition(self.pick(&["checkout", "refund"]));
        commit.index.version = Version(1 + u32::from(self.one_in(3)));
        commit.index.started_at = Timestamp(self.below(5));
        commit.index.labels = vec![("order".into(), self.below(3).to_string())];
        commit.due = (!self.one_in(4)).then(|| Timestamp(self.below(6)));
        commit.retain_until = (!self.one_in(3)).then(|| Timestamp(self.below(100)));
        let operation = self.pick(&[Operation::Action, Operation::Compensate]);
        let step = StepIndex(self.pick(&[0, 1]));
        // Seldom other bytes for a key that has some.
        let bytes = if self.one_in(8) { "other" } else { "same" };
        let slot = self.pick(&[PayloadKey::Input, PayloadKey::Request(step, operation)]);
        commit.payloads = vec![(slot, Payload::json(bytes)), (PayloadKey::Output(step, operation), Payload::json("1"))];
        commit.history = vec![entry(expected)];
        commit
    }

    /// Sometimes the step has failed, and for a stuck saga it is since when.
    fn fail(&mut self, content: &mut SagaState, stuck: bool) {
        let at = Timestamp(self.below(2_000));
        let why = Why::new("UNAVAILABLE", "no answer");
        let action = &mut content.steps[0].action;
        action.last = self.one_in(2).then_some(LastOutcome { kind: OutcomeKind::NotSent, why, at });
        if stuck {
            action.status = OperationStatus::Stuck { reason: StuckReason::RetriesExhausted, since: at };
        }
    }

    /// Entries for a shard's logs as they stand in the model, seldom with a wrong number.
    async fn entries(&mut self, shard: ShardId) -> Vec<Append> {
        let mut entries: Vec<Append> = Vec::new();
        for _ in 0..self.below(3) {
            let log = self.pick(&Log::ALL);
            let next = self.model.store.log_span(shard, log).await.expect("readable").next;
            let before = entries.iter().filter(|entry| entry.log == log).count() as u64;
            let number = if self.one_in(10) { self.below(9) } else { next + before };
            entries.push(Append { log, number, body: Bytes::from(self.pick(&["", "one", "two"])) });
        }
        entries
    }

    async fn append(&mut self) -> (String, String) {
        let shard = self.random.random_range(0..self.real.leases.len());
        let entries = self.entries(self.real.leases[shard].shard).await;
        // Seldom one that was there: a repeat where the words are the same, too.
        self.next_op += 1;
        let op = OpId(if self.one_in(5) { self.next_op - 1 } else { self.next_op });
        let mut words = Vec::new();
        for owner in [&self.real, &self.model] {
            words.push(commit_words(vec![owner.store.append(owner.leases[shard], op, entries.clone()).await]));
        }
        two(words)
    }

    async fn read_or_trim(&mut self) -> (String, String) {
        let shard = self.random.random_range(0..self.real.leases.len());
        let (log, trims, number, limit) = (self.pick(&Log::ALL), self.one_in(3), self.below(12), self.pick(&[1, 100]));
        let mut words = Vec::new();
        for Owner { store, leases } in [&self.real, &self.model] {
            let lease = leases[shard];
            let trimmed = if trims { store.trim_log(lease, log, number).await } else { Ok(()) };
            let trimmed = trimmed.map_err(|error| store_words(&error));
            let entries = store.read_log(lease.shard, log, number, limit).await.expect("readable");
            let span = store.log_span(lease.shard, log).await.expect("readable");
            words.push(format!("{trimmed:?} {entries:?} {span:?}"));
        }
        two(words)
    }

    async fn document(&mut self) -> (String, String) {
        let (kind, id) = (self.pick(&KINDS), self.pick(&["a", "b", "c"]));
        let (puts, deletes, body) = (self.one_in(2), self.one_in(4), Bytes::from(self.pick(&["one", "two"])));
        let there = self.model.store.get_document(kind, id).await.expect("readable");
        let expected = (!self.one_in(3)).then(|| there.map_or(0, |document| document.revision));
        let expected = if self.one_in(6) { Some(self.below(20)) } else { expected };
        let mut words = Vec::new();
        for Owner { store, .. } in [&self.real, &self.model] {
            let word = |error: StoreError| store_words(&error);
            words.push(match (puts, deletes) {
                (true, _) => format!("{:?}", store.put_document(kind, id, body.clone(), expected).await.map_err(word)),
                (_, true) => format!("{:?}", store.delete_document(kind, id, expected).await.map_err(word)),
                _ => format!("{:?}", store.list_documents(kind, Some(id), 1).await.map_err(word)),
            });
        }
        two(words)
    }

    async fn acquire(&mut self) -> (String, String) {
        let shard = self.random.random_range(0..self.real.leases.len());
        let (node, nonce) = (self.pick(&NODES), Nonce(self.random.random()));
        // Over at once, or not before the test is.
        let lease_for = self.pick(&[Duration::ZERO, LONG]);
        let mut words = Vec::new();
        for owner in [&mut self.real, &mut self.model] {
            let lease = &mut owner.leases[shard];
            let answer = owner.store.acquire(lease.shard, node, nonce, lease_for).await;
            words.push(match &answer {
                Ok(acquired) => format!("taken at {}", acquired.commits),
                Err(error) => store_words(error),
            });
            *lease = answer.map_or(*lease, |acquired| acquired.lease);
        }
        two(words)
    }

    async fn renew_or_release(&mut self) -> (String, String) {
        let shard = self.random.random_range(0..self.real.leases.len());
        let (release, lease_for) = (self.one_in(3), self.pick(&[Duration::ZERO, LONG]));
        let mut words = Vec::new();
        for owner in [&self.real, &self.model] {
            let lease = owner.leases[shard];
            let answer =
                if release { owner.store.release(lease).await } else { owner.store.renew(lease, lease_for).await };
            words.push(answer.map_or_else(|error| store_words(&error), |()| "done".to_owned()));
        }
        two(words)
    }

    async fn sweep(&mut self) -> (String, String) {
        let (now, limit) = (Timestamp(self.below(40)), self.pick(&[1, 100]));
        let mut words = Vec::new();
        for owner in [&self.real, &self.model] {
            words.push(format!("{:?}", owner.store.sweep(now, limit).await.expect("writable")));
        }
        two(words)
    }

    async fn due(&mut self) -> (String, String) {
        let shard = ShardId(self.random.random_range(0..self.real.store.info().shards));
        let after = self.one_in(2).then(|| Timestamp(self.below(6)));
        let until = Timestamp(self.below(8));
        let resume = self.one_in(2).then(|| (Timestamp(self.below(6)), self.key()));
        let limit = self.pick(&[1, 3, 100]);
        let mut words = Vec::new();
        for owner in [&self.real, &self.model] {
            let due = owner.store.due(shard, after, until, resume.clone(), limit).await.expect("readable");
            words.push(format!("{due:?}"));
        }
        two(words)
    }

    async fn list(&mut self) -> (String, String) {
        let filter = Filter {
            namespace: self.one_in(3).then(|| namespace(self.pick(&TENANTS))),
            statuses: (0..self.below(3)).map(|_| self.pick(&STATUSES).to_owned()).collect(),
            definition: self.one_in(3).then(|| definition(self.pick(&["checkout", "refund"]))),
            version: self.one_in(4).then(|| Version(1 + u32::from(self.one_in(2)))),
            stuck: self.one_in(5).then(|| "poison".to_owned()),
            labels: (0..self.below(2)).map(|_| ("order".to_owned(), self.below(3).to_string())).collect(),
            held_up_at: self.one_in(4).then(|| participant(self.pick(&PARTICIPANTS))),
            unacknowledged: self.one_in(4),
            error: self.one_in(8).then(|| self.pick(&["Answer", "unheard-of"]).to_owned()),
            waiting_since: self.one_in(8).then(|| Timestamp(self.below(2_000))),
        };
        let limit = self.pick(&[1, 2, 5, 100]);
        let mut words = Vec::new();
        for owner in [&self.real, &self.model] {
            let counts = owner.store.count(&filter).await.expect("readable");
            words.push(format!("{filter:?}: {counts:?} {:?}", walk(owner.store, &filter, limit).await));
        }
        two(words)
    }

    async fn register(&mut self) -> (String, String) {
        let tenant = namespace(self.pick(&TENANTS));
        let body = Bytes::from(self.pick(&["a", "b", "c"]));
        let (name, now) = (definition(self.pick(&["checkout", "refund"])), Timestamp(self.below(100)));
        let participant = participant(self.pick(&PARTICIPANTS));
        let expected = self.one_in(2).then(|| self.below(4));
        let mut words = Vec::new();
        for owner in [&self.real, &self.model] {
            let defined = owner.store.put_definition(&tenant, &name, body.clone(), "team", now).await;
            let put = owner.store.put_participant(&tenant, &participant, body.clone(), expected, "team", now).await;
            let put = put.map_err(|error| store_words(&error));
            words.push(format!("{:?} {put:?}", defined.expect("writable")));
        }
        two(words)
    }

    async fn get(&mut self) -> (String, String) {
        let (key, from, limit) = (self.key(), self.below(3), self.pick(&[1, 100]));
        let mut words = Vec::new();
        for owner in [&self.real, &self.model] {
            let saga = owner.store.get(&key).await.expect("readable");
            let history = owner.store.history(&key, from, limit).await.expect("readable");
            words.push(format!("{saga:?} {history:?}"));
        }
        two(words)
    }
}

fn two(words: Vec<String>) -> (String, String) {
    let [real, model] = <[String; 2]>::try_from(words).expect("one answer each");
    (real, model)
}

fn commit_words(answers: Vec<Result<Committed, CommitError>>) -> String {
    let words = answers.into_iter().map(|answer| match answer {
        Ok(committed) => format!("{committed:?}"),
        Err(CommitError::Ambiguous(source)) => panic!("a healthy store knows: {source}"),
        Err(error) => error.to_string(),
    });
    words.collect::<Vec<_>>().join("; ")
}

/// Without the times, which differ.
fn store_words(error: &StoreError) -> String {
    match error {
        StoreError::Held { node, until: _ } => format!("held by {node}"),
        StoreError::LeaseLost | StoreError::Conflict { .. } | StoreError::NoSuchShard { .. } => error.to_string(),
        StoreError::Unavailable(_)
        | StoreError::Refused(_)
        | StoreError::Closed { .. }
        | StoreError::Frozen(_)
        | StoreError::Corrupt { .. } => panic!("a healthy store answers: {error}"),
    }
}
