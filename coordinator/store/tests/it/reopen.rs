//! What a data directory keeps, to whom it belongs, and how damage stays where it is.

use std::fs;
use std::path::Path;

use amends_engine::ids::{DefinitionName, Namespace, Version};
use amends_engine::time::Timestamp;
use amends_store::conformance::support::{LONG, Owner, entry, key};
use amends_store::{
    Commit, CommitError, Committed, Deprecation, Epoch, Filter, Nonce, OpenError, OpenOptions, Severity, ShardId,
    SqliteStore, Store, StoreError,
};

use crate::support::{SHARDS, options, sqlite};

#[tokio::test]
async fn leases_and_ids_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let (id, first) = (store.info().id, store.acquire(ShardId(1), "node-a", Nonce(1), LONG).await.unwrap().lease);
    drop(store);

    let store = sqlite(dir.path());
    assert_eq!(store.info().id, id);
    store.renew(first, LONG).await.expect("a restart takes nobody's lease");
    let held = store.acquire(ShardId(1), "node-b", Nonce(2), LONG).await;
    assert!(matches!(held, Err(StoreError::Held { .. })), "{held:?}");
    let next = store.acquire(ShardId(1), "node-a", Nonce(3), LONG).await.unwrap().lease;
    assert!(next.epoch > first.epoch);
}

/// A clock that was set back can't bring an old epoch back.
#[tokio::test]
async fn epochs_rise_though_the_clock_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let at = |ms: u64| OpenOptions { clock: std::sync::Arc::new(move || Timestamp(ms)), ..options(dir.path()) };
    let mut epochs = Vec::new();
    for ms in [5_000, 1_000, 9_000] {
        let store = SqliteStore::open(at(ms)).unwrap();
        assert_eq!(store.now().await.unwrap(), Timestamp(ms));
        epochs.push(store.acquire(ShardId(0), "node-a", Nonce(1), LONG).await.unwrap().lease.epoch);
    }
    assert_eq!(epochs, [Epoch(5_000), Epoch(5_001), Epoch(9_000)]);
}

/// A commit number that came down would freeze the shard.
#[tokio::test]
async fn commit_numbers_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let owner = Owner::of(&store, "node-a").await;
    let key = key("order-1");
    for revision in 0..3 {
        owner.write(owner.draft(&key, revision)).await;
    }
    let lease = owner.lease(&key);
    drop(store);

    let store = sqlite(dir.path());
    let tenures = store.tenures().await.unwrap();
    assert_eq!(tenures[usize::from(lease.shard.0)].commits, 3, "{tenures:?}");
    let again = store.acquire(lease.shard, "node-a", Nonce(9), LONG).await.unwrap();
    assert_eq!(again.commits, 3);
}

/// Makes a database of this version one of version 5.
const BEFORE_CELLS: &str = "DROP INDEX saga_cell; DROP TABLE cell; ALTER TABLE saga DROP COLUMN cell;
    CREATE INDEX saga_status ON saga (status, started_at);
    CREATE INDEX saga_stuck ON saga (stuck, started_at) WHERE stuck IS NOT NULL;
    CREATE INDEX saga_definition ON saga (definition, started_at); PRAGMA user_version = 5;";

/// The sagas of an older database are put into cells: lists and counts say what they said before, and go on from there.
#[tokio::test]
async fn sagas_of_an_older_database_are_counted_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let owner = Owner::of(&store, "node-a").await;
    for number in 0..9 {
        let mut commit = owner.draft(&key(&format!("order-{number}")), 0);
        if number % 3 == 0 {
            (commit.index.status, commit.index.stuck) = ("stuck", Some("poison"));
        }
        owner.write(commit).await;
    }
    owner.write(owner.finish(&key("order-1"), 1, 99)).await;
    let stuck = Filter { stuck: Some("poison".into()), ..Filter::default() };
    let told = async |store: &SqliteStore| {
        let counts = store.count(&Filter::default()).await.unwrap();
        (counts, store.list(&stuck, None, 10).await.unwrap())
    };
    let before = told(&store).await;
    assert_eq!((before.0.len(), before.1.items.len()), (3, 3));
    drop(store);
    database(dir.path()).execute_batch(BEFORE_CELLS).unwrap();

    let store = sqlite(dir.path());
    assert_eq!(store.check().await.unwrap(), []);
    assert_eq!(told(&store).await, before);
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.finish(&key("order-2"), 1, 99)).await;
    let counts: Vec<u64> = store.count(&Filter::default()).await.unwrap().iter().map(|(_, count)| *count).collect();
    assert_eq!(counts, [2, 4, 3]);
    assert_eq!(store.check().await.unwrap(), []);
}

/// A database of version 1 has no deprecations and none before version 3 numbers its commits; it gets the tables, keeps what
/// it has, passes the examination, and counts from then on.
#[tokio::test]
async fn an_older_database_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let (tenant, name) = (Namespace::default_namespace(), DefinitionName::parse("checkout").unwrap());
    let store = sqlite(dir.path());
    let first = store.put_definition(&tenant, &name, "one".into(), "team", Timestamp(1)).await.unwrap();
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    drop(store);
    let conn = database(dir.path());
    conn.execute_batch(BEFORE_CELLS).unwrap();
    conn.execute_batch(
        "DROP TABLE deprecation; DROP TABLE shard_commits; DROP TABLE reserved_digest; DROP TABLE log; \
         DROP TABLE log_entry; DROP TABLE document; DROP TABLE document_revision; PRAGMA user_version = 1",
    )
    .unwrap();
    drop(conn);

    let store = sqlite(dir.path());
    assert_eq!(store.check().await.unwrap(), []);
    assert_eq!(store.definition_versions(&tenant, &name).await.unwrap(), [first]);
    let deprecation = Deprecation { at: Timestamp(2), principal: "ops".into(), reason: "old".into() };
    let marked = store.deprecate_definition(&tenant, &name, Version(1), Some(deprecation.clone())).await.unwrap();
    assert_eq!(marked.unwrap().deprecated, Some(deprecation.clone()));
    let owner = Owner::of(&store, "node-a").await;
    let next = owner.commit(owner.draft(&key("order-1"), 1)).await.unwrap();
    assert_eq!(next, Committed::Now { number: 1 }, "the first since it is counted");
    drop(store);
    assert_eq!(database(dir.path()).pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0)).unwrap(), 6);
    let kept = sqlite(dir.path()).get_definition(&tenant, &name, None).await.unwrap();
    assert_eq!(kept.unwrap().deprecated, Some(deprecation));
}

#[tokio::test]
async fn a_second_store_on_one_directory_is_refused_by_name_and_pid() {
    let dir = tempfile::tempdir().unwrap();
    let first = sqlite(dir.path());
    let error = SqliteStore::open(options(dir.path())).expect_err("in use");
    let expected = format!(
        "the data directory {} is in use by process {}: stop that one, or choose another directory",
        dir.path().display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), expected);
    drop(first);
    sqlite(dir.path());
}

#[test]
fn the_number_of_shards_cannot_change() {
    let dir = tempfile::tempdir().unwrap();
    drop(sqlite(dir.path()));
    let other = OpenOptions { shards: Some(SHARDS + 1), ..options(dir.path()) };
    assert!(matches!(
        SqliteStore::open(other),
        Err(OpenError::OtherShards { stored, asked }) if stored == SHARDS && asked == SHARDS + 1
    ));
    let any = SqliteStore::open(OpenOptions { shards: None, ..options(dir.path()) }).unwrap();
    assert_eq!(any.info().shards, SHARDS);
    assert!(matches!(
        SqliteStore::open(OpenOptions { shards: Some(0), ..options(dir.path()) }),
        Err(OpenError::NoShards)
    ));
}

fn database(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("amends.db")).unwrap()
}

#[test]
fn files_of_others_and_of_newer_versions_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path()).execute_batch("CREATE TABLE theirs (a)").unwrap();
    let before = fs::read(dir.path().join("amends.db")).unwrap();
    assert!(matches!(SqliteStore::open(options(dir.path())), Err(OpenError::Foreign { .. })));
    assert_eq!(fs::read(dir.path().join("amends.db")).unwrap(), before);

    fs::write(dir.path().join("amends.db"), "this is no database at all, whatever its name says".repeat(100)).unwrap();
    assert!(matches!(SqliteStore::open(options(dir.path())), Err(OpenError::Foreign { .. })));

    let dir = tempfile::tempdir().unwrap();
    drop(sqlite(dir.path()));
    database(dir.path()).pragma_update(None, "user_version", 7).unwrap();
    let error = SqliteStore::open(options(dir.path())).expect_err("newer");
    assert!(matches!(error, OpenError::TooNew { found: 7, newest: 6, .. }), "{error}");
}

/// One saga's damage is found, reported, and no other saga's trouble.
#[tokio::test]
async fn a_damaged_saga_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    let owner = Owner::of(&store, "node-a").await;
    let keys: Vec<_> = ["whole", "state", "payload", "history", "name"].map(key).to_vec();
    for key in &keys {
        let input = (amends_engine::payload::PayloadKey::Input, amends_engine::payload::Payload::json("{}"));
        owner.write(Commit { payloads: vec![input], history: vec![entry(0)], ..owner.draft(key, 0) }).await;
    }
    assert_eq!(store.check().await.unwrap(), []);
    drop(store);
    database(dir.path())
        .execute_batch(
            "UPDATE saga SET state = x'0102' WHERE id = 'state';
             UPDATE payload SET encoding = 77 WHERE saga = (SELECT saga FROM saga WHERE id = 'payload');
             UPDATE history SET entry = x'00' WHERE saga = (SELECT saga FROM saga WHERE id = 'history');
             UPDATE saga SET id = 'na/me' WHERE id = 'name';",
        )
        .unwrap();

    let store = sqlite(dir.path());
    let findings = store.check().await.unwrap();
    assert_eq!(
        findings.iter().map(|finding| finding.severity).collect::<Vec<_>>(),
        [Severity::Error, Severity::Warning],
        "{findings:?}"
    );
    assert!(findings[0].message.starts_with("1 saga states can't be read"), "{findings:?}");
    assert!(findings[0].message.ends_with("(among them default/state)"), "{findings:?}");
    assert!(findings[1].message.contains("default/history"), "{findings:?}");

    let mut due = Vec::new();
    for shard in (0..SHARDS).map(ShardId) {
        due.extend(store.due(shard, None, Timestamp(u64::MAX), None, 10).await.unwrap());
    }
    let readable = |saga: &amends_store::StoredSaga| amends_store::record::decode_state(&saga.state).is_ok();
    let mut found: Vec<_> = due.iter().map(|saga| (saga.key.id.as_str(), readable(saga))).collect();
    found.sort();
    assert_eq!(found, [("history", true), ("payload", false), ("state", false), ("whole", true)]);
    let listed = store.list(&Filter::default(), None, 10).await.unwrap();
    assert_eq!(listed.items.len(), 4);
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&keys[0], 1)).await;
}

/// Neither the wrong settings of a file nor what others do to it go unnoticed.
#[tokio::test]
async fn changes_from_outside_are_findings() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path());
    fs::remove_file(dir.path().join("reserve")).unwrap();
    database(dir.path()).execute_batch("DROP INDEX saga_cell").unwrap();
    let findings = store.check().await.unwrap();
    assert_eq!(
        findings.iter().map(|finding| finding.severity).collect::<Vec<_>>(),
        [Severity::Error, Severity::Warning],
        "{findings:?}"
    );
    assert!(findings[0].message.starts_with("saga_cell is missing"), "{findings:?}");
    assert!(findings[1].message.contains("the reserve"), "{findings:?}");
}

/// After the store is gone nothing pretends to have been written.
#[tokio::test]
async fn a_commit_to_a_closing_store_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(sqlite(dir.path()));
    let owner = Owner::of(&*store, "node-a").await;
    let commit = owner.draft(&key("order-1"), 0);
    let other = std::sync::Arc::clone(&store);
    let pending = tokio::spawn(async move { other.commit(vec![commit]).await });
    drop(owner);
    drop(store);
    let answers = pending.await.unwrap();
    assert!(matches!(answers[..], [Ok(_)] | [Err(CommitError::Ambiguous(_))]), "{answers:?}");
}
