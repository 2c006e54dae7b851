//! A backup made while the store is written to holds one moment, whole; and what a restore refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amends_store::conformance::support::{LONG, Owner, fresh_op, key};
use amends_store::sqlite::{BackupError, backup, restore};
use amends_store::{Append, Commit, Log, Nonce, OpenError, OpenOptions, ShardId, Span, SqliteStore, Store as _};

use crate::support::{options, sqlite};

/// How many backups are made while sagas are started.
const BACKUPS: u64 = 5;

fn opened(dir: &Path) -> SqliteStore {
    SqliteStore::open(OpenOptions { shards: None, ..options(dir) }).expect("a restored store")
}

async fn filled(dir: &Path) {
    let store = sqlite(dir);
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_busy_store_has_all_that_was_answered_before() {
    let (dir, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = sqlite(dir.path());
    let id = store.info().id;
    let owner = Owner::of(&store, "node-a").await;
    let highest = owner.leases.iter().map(|lease| lease.epoch).max().unwrap();
    let answered = Arc::new(AtomicU64::new(0));
    let making = tokio::task::spawn_blocking({
        let answered = answered.clone();
        let (dir, files) = (dir.path().to_owned(), files.path().to_owned());
        move || {
            let mut made = Vec::new();
            for number in 0..BACKUPS {
                // The writer has something new to be found.
                let before = answered.load(Ordering::SeqCst);
                while answered.load(Ordering::SeqCst) == before {
                    assert!(Arc::strong_count(&answered) > 1, "the writer has failed");
                    std::thread::yield_now();
                }
                let (before, file) = (answered.load(Ordering::SeqCst), files.join(format!("{number}.db")));
                made.push((before, backup(&dir, &file).expect("a backup"), file));
            }
            made
        }
    });
    let mut number = 0;
    while !making.is_finished() {
        let key = key(&format!("order-{number:06}"));
        owner.write(owner.draft(&key, 0)).await;
        owner.write(owner.draft(&key, 1)).await;
        number += 1;
        answered.store(number, Ordering::SeqCst);
    }
    let made = making.await.unwrap();
    assert!(made.first().unwrap().1.sagas < made.last().unwrap().1.sagas, "nothing was written meanwhile");
    for (before, said, file) in made {
        assert!(said.sagas >= before && said.open == said.sagas, "{before} answered, {said:?}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let restored = tempfile::tempdir().unwrap();
        assert_eq!(restore(&file, restored.path()).unwrap(), said);
        let store = opened(restored.path());
        assert_eq!(store.info().id, id);
        for number in 0..said.sagas {
            let found = store.get(&key(&format!("order-{number:06}"))).await.unwrap().expect("no gap");
            let whole = if number < before { found.revision == 2 } else { (1..=2).contains(&found.revision) };
            assert!(whole, "order {number} of {before}: revision {}", found.revision);
        }
        assert_eq!(store.check().await.unwrap(), []);
        // Whoever had the store when it was backed up is gone, and participants know its epoch.
        let lease = store.acquire(ShardId(0), "node-a", Nonce(9), LONG).await.unwrap().lease;
        assert!(lease.epoch > highest, "{lease:?} after {highest:?}");
    }
}

/// Evidence and what is paused are as much a part of the store as its sagas.
#[tokio::test]
async fn a_backup_has_logs_and_documents() {
    let (dir, files, restored) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = sqlite(dir.path());
    let owner = Owner::of(&store, "node-a").await;
    let entry = |number: u64| Append { log: Log::Audit, number, body: format!("entry {number}").into() };
    owner.write(Commit { logs: vec![entry(1)], ..owner.draft(&key("order-1"), 0) }).await;
    let lease = owner.lease(&key("order-1"));
    store.append(lease, fresh_op(), vec![entry(2), entry(3)]).await.unwrap();
    store.trim_log(lease, Log::Audit, 2).await.unwrap();
    store.put_document("hold", "shop,checkout", "why".into(), Some(0)).await.unwrap();
    let file = files.path().join("backup.db");
    backup(dir.path(), &file).unwrap();
    store.append(lease, fresh_op(), vec![entry(4)]).await.unwrap();
    restore(&file, restored.path()).unwrap();
    let other = opened(restored.path());
    let entries = other.read_log(lease.shard, Log::Audit, 0, 10).await.unwrap();
    assert_eq!(entries, [(2, "entry 2".into()), (3, "entry 3".into())]);
    assert_eq!(other.log_span(lease.shard, Log::Audit).await.unwrap(), Span { first: 2, next: 4 });
    let documents = other.list_documents("hold", None, 10).await.unwrap();
    assert_eq!(documents, store.list_documents("hold", None, 10).await.unwrap());
    assert_eq!(other.check().await.unwrap(), []);
}

#[tokio::test]
async fn nothing_is_written_over() {
    let (dir, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (file, part) = (files.path().join("backup.db"), files.path().join("backup.db.part"));
    let none = backup(dir.path(), &file).unwrap_err();
    assert!(matches!(none, BackupError::Open(OpenError::Missing { .. })), "{none}");
    filled(dir.path()).await;
    fs::write(&part, "what a killed attempt has left").unwrap();
    backup(dir.path(), &file).expect("a killed attempt doesn't matter");
    assert!(!part.exists());
    assert!(matches!(backup(dir.path(), &file), Err(BackupError::Occupied { .. })));
    assert!(matches!(restore(&file, dir.path()), Err(BackupError::Occupied { .. })), "a store is there");
    // SQLite would play this log into the restored database.
    fs::remove_file(dir.path().join("amends.db")).unwrap();
    fs::write(dir.path().join("amends.db-wal"), "the log of another database").unwrap();
    let refused = restore(&file, dir.path()).unwrap_err();
    assert!(matches!(&refused, BackupError::Occupied { path } if path.ends_with("amends.db-wal")), "{refused}");
}

#[tokio::test]
async fn a_folder_that_a_process_has_is_left_alone() {
    let (dir, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = files.path().join("backup.db");
    let _store = sqlite(dir.path());
    backup(dir.path(), &file).expect("it only reads");
    let refused = restore(&file, dir.path()).unwrap_err();
    assert!(matches!(refused, BackupError::Open(OpenError::InUse { .. })), "{refused}");
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused_and_leaves_no_store() {
    let (dir, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(dir.path()).await;
    let file = files.path().join("backup.db");
    backup(dir.path(), &file).unwrap();
    let whole = fs::read(&file).unwrap();
    let refusal = |bytes: &[u8]| {
        let (target, file) = (files.path().join("restored"), files.path().join("tried.db"));
        fs::write(&file, bytes).unwrap();
        let error = restore(&file, &target).unwrap_err();
        assert!(!target.exists(), "{error}");
        error
    };
    let mut overwritten = whole.clone();
    let pages = overwritten.len() / 4096;
    overwritten[4096..pages * 4096].fill(0x5a);
    let mut newer = whole.clone();
    // `user_version` in SQLite's file header.
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    for damaged in [&whole[..whole.len() / 2], &overwritten] {
        let error = refusal(damaged);
        assert!(matches!(error, BackupError::Damaged { .. }), "{error:?}");
    }
    let error = refusal(&newer);
    assert!(matches!(error, BackupError::Open(OpenError::TooNew { found: 99, .. })), "{error:?}");
    let error = refusal(b"");
    assert!(matches!(error, BackupError::Open(OpenError::Foreign { .. })), "{error:?}");
    let error = refusal(b"the shopping list of somebody, which is long enough to be looked at as a database file, or so one would think");
    assert!(matches!(error, BackupError::Damaged { .. }), "{error:?}");
}
