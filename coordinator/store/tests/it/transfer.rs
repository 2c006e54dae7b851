//! Copies: the promises on memory and SQLite, a copy that is broken off anywhere, and what can't be copied.

use std::future::{Future as _, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::Poll;

use amends_engine::time::Timestamp;
use amends_store::conformance::random::same_content;
use amends_store::conformance::support::{Owner, entry, key};
use amends_store::conformance::transfer::{CHECKS, random_source};
use amends_store::transfer::*;
use amends_store::*;

use crate::support::{SHARDS, memory, options, sqlite};

#[tokio::test]
async fn memory_keeps_the_promises_of_a_copy() {
    for check in CHECKS {
        eprintln!("{check:?}");
        (check.run)(&memory()).await;
    }
}

#[tokio::test]
async fn sqlite_keeps_the_promises_of_a_copy() {
    for check in CHECKS {
        eprintln!("{check:?}");
        let dir = tempfile::tempdir().unwrap();
        (check.run)(&sqlite(dir.path())).await;
    }
}

fn for_transfer(dir: &Path) -> OpenOptions {
    OpenOptions { for_transfer: true, ..options(dir) }
}

/// The future is dropped at its n-th wait, for every n until it gets to its end: whatever a kill may hit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_broken_off_anywhere_goes_on_and_ends_right() {
    let (source, clock) = random_source(20).await;
    let owner = Owner::of(&*source, "node-c").await;
    for number in 0..300 {
        owner.write(owner.draft(&key(&format!("many-{number}")), 0)).await;
    }
    clock.fetch_add(2 * 3_600_000, Ordering::SeqCst);
    let mut breaks = 0;
    loop {
        // Another target each time, and the source as it was: what is moved can't be copied again.
        source.reopen().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let target = sqlite(dir.path());
        let broken = break_off(&*source, &target, breaks).await;
        drop(target);
        let target = SqliteStore::open(for_transfer(dir.path())).unwrap();
        let standings = [source.standing().await.unwrap(), target.standing().await.unwrap()];
        let both = standings.iter().all(|standing| *standing == Standing::InUse);
        assert!(!both || total(&target).await.is_empty(), "both may be served from, broken off at wait {breaks}");
        copy(&*source, &target, "elsewhere", &mut |_| {}).await.unwrap();
        drop(target);
        let target = OpenOptions { shards: None, ..options(dir.path()) };
        let target = SqliteStore::open(target).expect("it may be served from");
        assert_eq!(total(&target).await, total(&*source).await);
        let keys: Vec<_> = target
            .list(&Filter::default(), None, 1_000)
            .await
            .unwrap()
            .items
            .into_iter()
            .map(|saga| saga.key)
            .collect();
        assert_eq!(target.records(&keys).await.unwrap(), source.records(&keys).await.unwrap());
        assert_eq!(target.count_reserved().await.unwrap(), source.count_reserved().await.unwrap());
        if !broken {
            break;
        }
        breaks += 1;
    }
    assert!(breaks > 5, "a copy waits oftener than {breaks} times");
}

async fn total(store: &dyn Store) -> Vec<(SagaKind, u64)> {
    store.count(&Filter::default()).await.unwrap()
}

/// Whether the copy was broken off at its n-th wait; otherwise it has come to its end.
async fn break_off(source: &dyn Export, target: &dyn Import, waits: usize) -> bool {
    let mut deaf = |_| {};
    let mut copying = pin!(copy(source, target, "elsewhere", &mut deaf));
    let mut waited = 0;
    poll_fn(|context| match copying.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(ended.map(|_| false).unwrap()),
        Poll::Pending if waited == waits => Poll::Ready(true),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn what_is_damaged_is_not_left_out_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let owner = Owner::of(&store, "node-a").await;
    for id in ["whole", "other"] {
        let input = (amends_engine::payload::PayloadKey::Input, amends_engine::payload::Payload::json("{}"));
        owner.write(Commit { payloads: vec![input], history: vec![entry(0)], ..owner.draft(&key(id), 0) }).await;
    }
    drop(store);
    let damage =
        |sql: &str| rusqlite::Connection::open(dir.path().join("amends.db")).unwrap().execute_batch(sql).unwrap();
    damage("UPDATE saga SET id = 'na/me' WHERE id = 'other'");
    let error = copy(&SqliteStore::open(for_transfer(dir.path())).unwrap(), &memory(), "elsewhere", &mut |_| {}).await;
    assert!(matches!(error, Err(CopyError::Unreadable { missing: 1 })), "{error:?}");
    damage("UPDATE saga SET id = 'other' WHERE id = 'na/me'; UPDATE payload SET encoding = 77");
    let error = copy(&SqliteStore::open(for_transfer(dir.path())).unwrap(), &memory(), "elsewhere", &mut |_| {}).await;
    assert!(matches!(error, Err(CopyError::Source(StoreError::Corrupt { .. }))), "{error:?}");
    // A state that nobody can read is bytes like any others: its saga is parked there as it is here.
    damage("UPDATE payload SET encoding = 1; UPDATE saga SET state = x'0102' WHERE id = 'other'");
    let target = MemoryStore::new(SHARDS, std::sync::Arc::new(|| Timestamp(1)));
    let source = SqliteStore::open(for_transfer(dir.path())).unwrap();
    copy(&source, &target, "elsewhere", &mut |_| {}).await.unwrap();
    same_content(&source, &target).await;
}

#[tokio::test]
async fn a_moved_folder_is_not_served_from_and_says_where_it_went() {
    let dir = tempfile::tempdir().unwrap();
    let missing = SqliteStore::open(for_transfer(dir.path())).expect_err("nothing is there").to_string();
    assert!(missing.starts_with("there is no store in ") && !dir.path().join("amends.db").exists(), "{missing}");
    let source = sqlite(dir.path());
    // Killed while it had every shard: its folder is free all the same.
    Owner::of(&source, "node-a").await;
    drop(source);
    let source = SqliteStore::open(for_transfer(dir.path())).unwrap();
    copy(&source, &memory(), "redis://elsewhere:6379", &mut |_| {}).await.unwrap();
    drop(source);
    let error = SqliteStore::open(options(dir.path())).expect_err("moved").to_string();
    for expected in ["was moved to redis://elsewhere:6379", "amends store reopen", "twice"] {
        assert!(error.contains(expected), "{error}");
    }
    SqliteStore::open(for_transfer(dir.path())).unwrap().reopen().await.unwrap();
    Owner::of(&sqlite(dir.path()), "node-a").await;
}
