//! What can only be provoked from inside: a full database, a COMMIT that fails, a panic in the writer.

use std::sync::Arc;

use amends_engine::ids::{DefinitionName, Namespace, SagaId, SagaKey, Version};
use amends_engine::time::Timestamp;
use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, ffi};

use super::group::Group;
use super::*;

fn open(dir: &std::path::Path) -> SqliteStore {
    let clock: TimeSource = Arc::new(|| Timestamp(1_000));
    SqliteStore::open(OpenOptions { dir: dir.into(), shards: Some(1), reserve_bytes: 4096, clock, for_transfer: false })
        .unwrap()
}

async fn lease(store: &SqliteStore) -> Lease {
    store.acquire(ShardId(0), "node-a", Nonce(1), Duration::from_secs(60)).await.unwrap().lease
}

fn commit(lease: Lease, id: &str, expected_revision: u64, size: usize) -> Commit {
    let key = SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse(id).unwrap() };
    Commit {
        lease,
        op: OpId(u128::from(expected_revision) << 64 | key.to_string().len() as u128),
        key,
        expected_revision,
        state: Bytes::from(vec![7; size]),
        payloads: Vec::new(),
        history: Vec::new(),
        due: None,
        index: IndexRow {
            status: "running",
            stuck: None,
            definition: DefinitionName::parse("checkout").unwrap(),
            version: Version(1),
            labels: Vec::new(),
            started_at: Timestamp(1),
            open: true,
            held_up_at: None,
            acknowledged: false,
        },
        retain_until: None,
        logs: Vec::new(),
    }
}

/// Runs SQL in the writer, in a group of its own.
async fn in_writer(
    store: &SqliteStore,
    run: impl Fn(&Connection) -> rusqlite::Result<()> + Send + 'static,
) -> Result<(), StoreError> {
    store.writer.call(move |group: &mut Group<'_>| run(group.conn).map(Ok)).await
}

/// Lets the database grow by this many pages and no more.
async fn limit_pages(store: &SqliteStore, more: i64) {
    let limit = move |conn: &Connection| {
        let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
        conn.pragma_update_and_check(None, "max_page_count", pages + more, |_| Ok(()))
    };
    in_writer(store, limit).await.unwrap();
}

#[test]
fn sqlite_has_the_mend_for_the_log_reset_bug() {
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}

#[tokio::test]
async fn the_writer_is_as_durable_as_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let durable = |conn: &Connection| {
        let journal: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let synchronous: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        assert_eq!((journal.as_str(), synchronous), ("wal", 2));
        Ok(())
    };
    in_writer(&store, durable).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_new_sagas_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let lease = lease(&store).await;
    assert!(matches!(store.commit(vec![commit(lease, "small", 0, 10)]).await[..], [Ok(Committed::Now { .. })]));
    limit_pages(&store, 0).await;
    // A whole group is refused with nothing of it written, though its first commit alone had room.
    let answers = store.commit(vec![commit(lease, "small", 1, 20), commit(lease, "large", 0, 50_000)]).await;
    // On the reserve, new sagas are refused before they take any room, so the running one goes on.
    assert!(matches!(answers[..], [Ok(Committed::Now { .. }), Err(CommitError::Full)]), "{answers:?}");
    assert!(!dir.path().join("reserve").exists());
    // A running saga for which there is no room is refused without an end to everything.
    let answers = store.commit(vec![commit(lease, "small", 2, 50_000), commit(lease, "small", 3, 10)]).await;
    assert!(matches!(answers[..], [Err(CommitError::Full), Err(CommitError::Full)]), "{answers:?}");
    assert_eq!(store.get(&commit(lease, "small", 0, 0).key).await.unwrap().unwrap().revision, 2);
    limit_pages(&store, 1_000).await;
    assert!(matches!(store.commit(vec![commit(lease, "small", 2, 50_000)]).await[..], [Ok(Committed::Now { .. })]));
    assert_eq!(*store.fatal().borrow(), None);
}

/// What is remembered of the database goes back with it: a lease given in a group that was undone is no lease.
#[tokio::test]
async fn a_group_that_is_undone_takes_its_leases_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = lease(&store).await;
    let undone = |group: &mut Group<'_>| {
        let taken = tenure::acquire(group, ShardId(0), "node-a", Nonce(2), Duration::from_secs(60))?;
        assert!(taken.is_ok());
        Err::<Result<(), StoreError>, _>(failure(ffi::SQLITE_FULL))
    };
    assert!(matches!(store.writer.call(undone).await, Err(StoreError::Refused(_))));
    store.renew(first, Duration::from_secs(60)).await.expect("still the current one");
}

fn failure(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
}

async fn assert_dead(store: &SqliteStore, lease: Lease) {
    let fatal = store.fatal().borrow().clone().expect("told");
    assert!(fatal.message.contains("must be restarted"), "{fatal:?}");
    let answers = store.commit(vec![commit(lease, "after", 0, 10), commit(lease, "after", 1, 10)]).await;
    assert!(matches!(answers[..], [Err(CommitError::Ambiguous(_)), Err(CommitError::Ambiguous(_))]), "{answers:?}");
    assert!(matches!(store.renew(lease, Duration::ZERO).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn an_io_error_ends_the_store_and_leaves_the_rest_ambiguous() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let lease = lease(&store).await;
    let broken = in_writer(&store, |_| Err(failure(ffi::SQLITE_IOERR_FSYNC))).await;
    assert!(matches!(broken, Err(StoreError::Unavailable(_))), "{broken:?}");
    assert_dead(&store, lease).await;
    let findings = store.check().await.unwrap();
    assert!(findings.iter().any(|finding| finding.severity == Severity::Error), "{findings:?}");
}

/// The statements were fine, the COMMIT wasn't: nobody knows, and nobody may say otherwise.
#[tokio::test]
async fn a_failing_commit_makes_every_member_ambiguous() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let lease = lease(&store).await;
    let trap = |conn: &Connection| {
        conn.execute_batch(
            "CREATE TEMP TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TEMP TABLE child (parent REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
             INSERT INTO child VALUES (1);",
        )
    };
    let error = in_writer(&store, trap).await.expect_err("its COMMIT fails");
    let source = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(source.contains("FOREIGN KEY"), "{source}");
    assert_dead(&store, lease).await;
}

#[tokio::test]
async fn a_panic_in_the_writer_is_told_and_answered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let lease = lease(&store).await;
    let panicked = in_writer(&store, |_| panic!("on purpose")).await;
    assert!(matches!(panicked, Err(StoreError::Unavailable(_))), "{panicked:?}");
    let mut fatal = store.fatal();
    fatal.wait_for(Option::is_some).await.expect("told");
    assert_dead(&store, lease).await;
}

/// Another program with a write lock delays us and makes nothing of ours unknown for good.
#[tokio::test]
async fn a_foreign_write_lock_is_no_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let lease = lease(&store).await;
    in_writer(&store, |conn| conn.busy_timeout(Duration::ZERO)).await.unwrap();
    let other = Connection::open(dir.path().join("amends.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answers = store.commit(vec![commit(lease, "order", 0, 10)]).await;
    assert!(matches!(answers[..], [Err(CommitError::Ambiguous(_))]), "{answers:?}");
    assert_eq!(*store.fatal().borrow(), None);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(store.commit(vec![commit(lease, "order", 0, 10)]).await[..], [Ok(Committed::Now { .. })]));
}

#[test]
fn what_is_damage_and_what_is_not() {
    let corrupt = [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB].map(failure).map(readers::store_error);
    assert!(corrupt.iter().all(|error| matches!(error, StoreError::Corrupt { .. })), "{corrupt:?}");
    let busy = failure(ffi::SQLITE_BUSY);
    assert_eq!(busy.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    assert!(matches!(readers::store_error(busy), StoreError::Unavailable(_)));
}
