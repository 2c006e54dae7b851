//! Logs and documents of the embedded store across restarts, and damage that is found.

use std::path::Path;

use amends_store::conformance::support::{Owner, fresh_op, key};
use amends_store::{Append, Commit, CommitError, Committed, Log, Severity, ShardId, Span, Store};

use crate::support::sqlite;

const SHARD: ShardId = ShardId(0);

fn audit(number: u64) -> Append {
    Append { log: Log::Audit, number, body: format!("entry {number}").into() }
}

/// Appends entries to the audit log of the first shard, one by one.
async fn fill(store: &dyn Store, owner: &Owner<'_>, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        store.append(owner.leases[0], fresh_op(), vec![audit(number)]).await.expect("accepted");
    }
}

fn database(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("amends.db")).unwrap()
}

/// A number that came back would be evidence for two things.
#[tokio::test]
async fn numbers_are_never_given_again_after_a_trim_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let owner = Owner::of(&store, "node-a").await;
    fill(&store, &owner, 1..=4).await;
    store.trim_log(owner.leases[0], Log::Audit, u64::MAX).await.unwrap();
    drop(store);

    let store = sqlite(dir.path());
    assert_eq!(store.log_span(SHARD, Log::Audit).await.unwrap(), Span { first: 5, next: 5 });
    let owner = Owner::of(&store, "node-a").await;
    let answer = store.append(owner.leases[0], fresh_op(), vec![audit(1)]).await;
    assert!(matches!(answer, Err(CommitError::StaleLog { next: 5, .. })), "{answer:?}");
    fill(&store, &owner, 5..=6).await;
    drop(store);

    let store = sqlite(dir.path());
    let entries = store.read_log(SHARD, Log::Audit, 0, 10).await.unwrap();
    assert_eq!(entries, [(5, "entry 5".into()), (6, "entry 6".into())]);
    assert_eq!(store.check().await.unwrap(), []);
}

/// What is kept of a repeat is kept across a restart too.
#[tokio::test]
async fn a_repeat_is_recognised_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let owner = Owner::of(&store, "node-a").await;
    let (op, commit) = (fresh_op(), Commit { logs: vec![audit(1)], ..owner.draft(&key("order-1"), 0) });
    let lease = owner.lease(&key("order-1"));
    owner.write(commit.clone()).await;
    store.append(lease, op, vec![audit(2)]).await.unwrap();
    drop(store);

    let store = sqlite(dir.path());
    let again = store.append(lease, op, vec![audit(2)]).await.unwrap();
    assert_eq!(again, Committed::Duplicate { number: 2 });
    let again = store.commit(vec![commit]).await;
    assert!(matches!(again[..], [Ok(Committed::Duplicate { number: 2 })]), "{again:?}");
    assert_eq!(store.log_span(lease.shard, Log::Audit).await.unwrap(), Span { first: 1, next: 3 });
}

#[tokio::test]
async fn documents_survive_a_restart_and_their_revisions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let first = store.put_document("hold", "shop,checkout", "why".into(), Some(0)).await.unwrap();
    let gone = store.put_document("hold", "shop,refund", "why".into(), Some(0)).await.unwrap();
    assert!(store.delete_document("hold", "shop,refund", Some(gone)).await.unwrap());
    drop(store);

    let store = sqlite(dir.path());
    let kept = store.list_documents("hold", None, 10).await.unwrap();
    assert_eq!(kept.iter().map(|it| (it.id.as_str(), it.revision)).collect::<Vec<_>>(), [("shop,checkout", first)]);
    let next = store.put_document("hold", "shop,refund", "again".into(), Some(0)).await.unwrap();
    assert!(next > gone, "{next} was given before");
}

/// An entry that is missing is evidence that is missing.
#[tokio::test]
async fn a_gap_in_a_log_is_damage() {
    for (damage, found) in [
        ("DELETE FROM log_entry WHERE number = 3", 4),
        ("DELETE FROM log_entry WHERE number = 1", 4),
        ("DELETE FROM log_entry WHERE number = 5", 4),
        ("UPDATE log_entry SET number = 9 WHERE number = 5", 4),
        ("DELETE FROM log_entry", 0),
        ("DELETE FROM log", 5),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = sqlite(dir.path());
        let owner = Owner::of(&store, "node-a").await;
        fill(&store, &owner, 1..=5).await;
        assert_eq!(store.check().await.unwrap(), []);
        drop(store);
        database(dir.path()).execute_batch(damage).unwrap();
        let findings = sqlite(dir.path()).check().await.unwrap();
        let [finding] = &findings[..] else { panic!("{damage}: {findings:?}") };
        assert_eq!(finding.severity, Severity::Error, "{damage}: {findings:?}");
        let expected = format!("the audit log of shard 0 has {found} entries");
        assert!(finding.message.starts_with(&expected), "{damage}: {findings:?}");
    }
}

/// A clean run has no entries, and pays nothing for those who have. With entries it is still one sync.
#[tokio::test]
async fn a_commit_is_one_transaction_with_entries_or_without() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let owner = Owner::of(&store, "node-a").await;
    let key = key("order-1");
    let before = store.stats().transactions;
    for revision in 0..5 {
        owner.write(owner.draft(&key, revision)).await;
    }
    for number in 1..=5 {
        owner.write(Commit { logs: vec![audit(number)], ..owner.draft(&key, 4 + number) }).await;
    }
    assert_eq!((store.stats().transactions - before, store.stats().commits), (10, 10));
    drop(store);
    let spans: i64 = database(dir.path()).query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
    assert_eq!(spans, 1, "only the log that has entries has a row");
}
