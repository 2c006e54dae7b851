//! A disk that is really full: a small tmpfs in a mount namespace of its own.
//!
//! The test starts itself again inside `unshare`, with a user namespace too, so that it needs no root.

use std::process::Command;

use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::time::Timestamp;
use amends_store::conformance::support::{Owner, key};
use amends_store::{CommitError, Committed, OpenOptions, SqliteStore, Store as _};

const DIR: &str = "AMENDS_TEST_FULL_DISK_DIR";

#[test]
fn running_sagas_finish_on_the_reserve() {
    on_a_small_disk("child");
}

#[test]
fn a_store_opens_on_a_full_disk() {
    on_a_small_disk("opening");
}

fn on_a_small_disk(child: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script =
        format!("mount -t tmpfs -o size=16m tmpfs \"$1\" && exec \"$0\" --exact full_disk::{child} --nocapture");
    let status = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-ec", &script])
        .args([std::env::current_exe().unwrap().as_os_str(), dir.path().as_os_str()])
        .env(DIR, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
}

/// The child on the small disk. Does nothing in an ordinary test run, where nobody has named a directory.
#[tokio::test]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let clock = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(1_000));
    let time = std::sync::Arc::clone(&clock);
    let store = SqliteStore::open(OpenOptions {
        reserve_bytes: 4 * 1024 * 1024,
        clock: std::sync::Arc::new(move || Timestamp(time.load(std::sync::atomic::Ordering::SeqCst))),
        ..OpenOptions::new(dir.as_str())
    })
    .unwrap();
    let owner = Owner::of(&store, "node-a").await;

    let ballast = dir.clone() + "/ballast";
    std::fs::write(&ballast, vec![1; 4 * 1024 * 1024]).unwrap();
    let mut started = Vec::new();
    let refused = loop {
        let key = key(&format!("order-{}", started.len()));
        let input = (PayloadKey::Input, Payload::json(vec![b'x'; 100_000]));
        match owner.commit(amends_store::Commit { payloads: vec![input], ..owner.draft(&key, 0) }).await {
            Ok(Committed::Now { .. }) => started.push(key),
            other => break other,
        }
    };
    assert!(matches!(refused, Err(CommitError::Full)), "{refused:?}");
    assert!(started.len() > 10, "{}", started.len());
    assert!(!std::path::Path::new(&dir).join("reserve").exists());

    // Each running saga takes its steps; a new one is still refused.
    for key in &started {
        owner.write(owner.draft(key, 1)).await;
        owner.write(owner.finish(key, 2, 99)).await;
    }
    let refused = owner.commit(owner.draft(&key("late"), 0)).await;
    assert!(matches!(refused, Err(CommitError::Full)), "{refused:?}");
    assert_eq!(store.check().await.unwrap().len(), 1, "only the reserve is missing");

    std::fs::remove_file(ballast).unwrap();
    clock.store(60_000, std::sync::atomic::Ordering::SeqCst);
    owner.write(owner.draft(&key("late"), 0)).await;
    assert_eq!(store.check().await.unwrap(), []);
    assert_eq!(*store.fatal().borrow(), None);
    println!("started {}, all finished on the reserve", started.len());
}

/// A restart while the disk is full. Does nothing in an ordinary test run.
#[tokio::test]
async fn opening() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let open =
        || SqliteStore::open(OpenOptions { reserve_bytes: 4 * 1024 * 1024, ..OpenOptions::new(dir.clone() + "/data") });
    let running = key("running");
    let store = open().unwrap();
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&running, 0)).await;
    drop(store);
    let mut ballast = std::fs::File::create(dir.clone() + "/ballast").unwrap();
    while std::io::Write::write(&mut ballast, &[1; 512]).is_ok() {}

    // Whoever is started to finish what is under way must be able to, on what was kept for that.
    let store = open().unwrap();
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&running, 1)).await;
    let refused = owner.commit(owner.draft(&key("late"), 0)).await;
    assert!(matches!(refused, Err(CommitError::Full)), "{refused:?}");
    owner.write(owner.finish(&running, 2, 99)).await;
    assert_eq!(*store.fatal().borrow(), None);
}
