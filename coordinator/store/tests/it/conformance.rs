//! The conformance suite on the store in memory and on SQLite, and long random runs of one against the other.

use amends_store::conformance::random::{differential, same_content};
use amends_store::conformance::support::{Owner, key};
use amends_store::conformance::{CHECKS, run_all};

use crate::support::{memory, sqlite};

#[tokio::test]
async fn memory_keeps_every_promise() {
    run_all(async || memory()).await;
}

#[tokio::test]
async fn sqlite_keeps_every_promise() {
    for check in CHECKS {
        // Printed only when a check fails: which one it was.
        println!("{check:?}");
        let dir = tempfile::tempdir().unwrap();
        (check.run)(&sqlite(dir.path())).await;
    }
}

#[tokio::test]
async fn sqlite_agrees_with_memory_under_many_seeds_and_after_a_restart() {
    for seed in 100..120 {
        let dir = tempfile::tempdir().unwrap();
        let model = differential(&sqlite(dir.path()), seed, 300).await;
        same_content(&sqlite(dir.path()), &*model).await;
    }
}

/// The suite itself must be able to fail: a store that forgets what it was told is found out.
#[tokio::test]
#[should_panic(expected = "the first is the store's answer")]
async fn a_store_that_differs_is_found_out() {
    let store = memory();
    let owner = Owner::of(&store, "node-a").await;
    let key = key("order-1");
    owner.write(owner.draft(&key, 0)).await;
    differential(&store, 1, 400).await;
}
