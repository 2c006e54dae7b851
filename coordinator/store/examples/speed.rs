//! Transitions per second on this machine's disk, by batch size and by callers. Asserts nothing: figures aren't tests.
//!
//! `make bench-store` for the embedded store; `make bench-store STORE=redis` for a Redis of its own, synced at each commit and
//! each second.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring program, not a part of the crate")]

use std::sync::Arc;
use std::time::Instant;

use amends_engine::ids::{Operation, SagaKey, StepIndex};
use amends_engine::payload::{Digest, Payload, PayloadKey};
use amends_engine::saga::{OperationState, OperationStatus, SagaState, StepState};
use amends_engine::time::Timestamp;
use amends_redis_lab::{Server, Settings};
use amends_store::conformance::support::{Owner, entry, key, state};
use amends_store::redis::{Address, Durability, RedisOptions};
use amends_store::{Commit, Committed, OpenOptions, RedisStore, SqliteStore, Store, record};

#[tokio::main]
async fn main() {
    if std::env::args().any(|word| word == "redis") {
        for (fsync, durability) in [("always", Durability::Strict), ("everysec", Durability::Relaxed)] {
            println!("appendfsync {fsync}");
            by_batch(async || redis(fsync, durability).await).await;
        }
        return;
    }
    by_batch(async || sqlite()).await;
    by_callers().await;
}

/// A store with what it stands in, which goes with it.
type Standing<S> = (S, Box<dyn std::any::Any>);

fn sqlite() -> Standing<SqliteStore> {
    let dir = tempfile::tempdir().unwrap();
    (SqliteStore::open(OpenOptions::new(dir.path())).unwrap(), Box::new(dir))
}

async fn redis(fsync: &str, durability: Durability) -> Standing<RedisStore> {
    let server = Server::start(&Settings::strict().with("appendfsync", fsync).with("maxmemory", "2147483648"));
    let options = RedisOptions::new(Address::parse(&server.url()).unwrap());
    (RedisStore::open(RedisOptions { durability, ..options }).await.unwrap(), Box::new(server))
}

/// Commits of one saga: its start and three steps.
const COMMITS: u64 = 4;

/// The state of a three-step saga in the middle of its way.
fn realistic(key: &SagaKey, revision: u64) -> SagaState {
    let operation = OperationState {
        status: OperationStatus::Succeeded,
        attempt: 1,
        begun_at: Some(Timestamp(1_760_000_000_000)),
        quiet_at: Some(Timestamp(1_760_000_005_000)),
        request: Some(Digest::of(b"request")),
        output: Some(Digest::of(b"output")),
        ..OperationState::IDLE
    };
    let step = StepState { action: operation, ..StepState::IDLE };
    SagaState {
        steps: vec![step; 3].into(),
        updated_at: Timestamp(1_760_000_000_000 + revision),
        ..state(key, revision)
    }
}

fn transition(owner: &Owner<'_>, key: &SagaKey, revision: u64) -> Commit {
    let step = |number: u64| StepIndex(u16::try_from(number).unwrap());
    let payload = || Payload::json(vec![b'x'; 128]);
    let mut commit =
        if revision + 1 < COMMITS { owner.draft(key, revision) } else { owner.finish(key, revision, 1 << 42) };
    commit.state = record::encode_state(&realistic(key, revision + 1));
    commit.due = commit.index.open.then_some(Timestamp(1_760_000_005_000));
    commit.index.started_at = Timestamp(1_760_000_000_000);
    commit.history = vec![entry(revision)];
    commit.payloads = vec![if revision == 0 {
        (PayloadKey::Input, payload())
    } else {
        (PayloadKey::Output(step(revision - 1), Operation::Action), payload())
    }];
    if revision + 1 < COMMITS {
        commit.payloads.push((PayloadKey::Request(step(revision), Operation::Action), payload()));
    }
    commit
}

async fn by_batch<S: Store>(make: impl AsyncFn() -> Standing<S>) {
    println!("batch   transitions/s (one caller; insert and three updates per saga, 1-2 payloads of 128 bytes each)");
    for (batch, sagas) in [(1, 1_000), (8, 4_000), (64, 16_000), (256, 32_000)] {
        let (store, _standing) = make().await;
        let owner = Owner::of(&store, "node-a").await;
        let keys: Vec<SagaKey> = (0..sagas).map(|number| key(&format!("order-{number:08}"))).collect();
        let rounds = (0..COMMITS).flat_map(|revision| keys.chunks(batch).map(move |keys| (revision, keys)));
        let mut batches: Vec<Vec<Commit>> =
            rounds.map(|(revision, keys)| keys.iter().map(|key| transition(&owner, key, revision)).collect()).collect();
        let begun = Instant::now();
        for commits in batches.drain(..) {
            let answers = store.commit(commits).await;
            assert!(answers.iter().all(|answer| matches!(answer, Ok(Committed::Now { .. }))));
        }
        let rate = (sagas * COMMITS) as f64 / begun.elapsed().as_secs_f64();
        println!("{batch:>5}   {rate:>8.0}");
    }
}

async fn by_callers() {
    println!("callers transitions/s (each commits one at a time)");
    for callers in [1_u64, 16, 64, 256] {
        let (store, _standing) = sqlite();
        let store = Arc::new(store);
        let leases = Owner::of(&*store, "node-a").await.leases;
        let each = 8_000 / callers.max(16);
        let begun = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let (store, leases) = (Arc::clone(&store), leases.clone());
                tokio::spawn(async move {
                    let owner = Owner { store: &*store, leases };
                    for number in 0..each {
                        let key = key(&format!("order-{caller}-{number}"));
                        for revision in 0..COMMITS {
                            owner.write(transition(&owner, &key, revision)).await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let rate = (callers * each * COMMITS) as f64 / begun.elapsed().as_secs_f64();
        println!("{callers:>7} {rate:>8.0}   {:?}", store.stats());
    }
}
