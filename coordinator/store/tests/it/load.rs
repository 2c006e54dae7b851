//! Many callers at once: they share syncs, and none gets another's answer.

use std::sync::Arc;

use amends_store::Committed;
use amends_store::conformance::support::{Owner, key};
use tokio::sync::Barrier;

use crate::support::sqlite;

const CALLERS: u64 = 64;
const EACH: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sync_serves_many_sagas() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(sqlite(dir.path()));
    let before = {
        let owner = Owner::of(&*store, "node-a").await;
        for saga in 0..CALLERS {
            owner.write(owner.draft(&key(&format!("order-{saga}")), 0)).await;
        }
        store.stats()
    };
    let leases = Arc::new(Owner::of(&*store, "node-a").await.leases);
    let barrier = Arc::new(Barrier::new(CALLERS as usize));
    let callers: Vec<_> = (0..CALLERS)
        .map(|saga| {
            let (store, leases, barrier) = (Arc::clone(&store), Arc::clone(&leases), Arc::clone(&barrier));
            tokio::spawn(async move {
                let owner = Owner { store: &*store, leases: leases.to_vec() };
                let key = key(&format!("order-{saga}"));
                barrier.wait().await;
                for revision in 1..=EACH {
                    let answer = owner.commit(owner.draft(&key, revision)).await;
                    assert!(matches!(answer, Ok(Committed::Now { .. })), "{answer:?}");
                }
                owner.revision(&key).await
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), EACH + 1);
    }
    let stats = store.stats();
    let (commits, transactions) = (stats.commits - before.commits, stats.transactions - before.transactions);
    assert_eq!(commits, CALLERS * EACH);
    assert!(transactions * 4 < commits, "{transactions} transactions for {commits} commits");
}

/// A repeat is no new commit, and is counted as none.
#[tokio::test]
async fn repeats_are_not_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let owner = Owner::of(&store, "node-a").await;
    let commit = owner.draft(&key("order-1"), 0);
    owner.write(commit.clone()).await;
    assert!(matches!(owner.commit(commit).await, Ok(Committed::Duplicate { .. })));
    assert_eq!(store.stats().commits, 1);
}
