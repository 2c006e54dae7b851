//! Logs and documents of a copy: the same entries under the same numbers, and none is given again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amends_engine::time::Timestamp;
use bytes::Bytes;

use super::super::support::{Owner, fresh_op};
use super::{copied, deaf, filling};
use crate::contract::*;
use crate::error::CommitError;
use crate::memory::MemoryStore;
use crate::transfer::*;

const SHARD: ShardId = ShardId(1);

fn entry(number: u64) -> Append {
    Append { log: Log::Audit, number, body: Bytes::from(format!("entry {number}")) }
}

fn record(number: u64) -> LogRecord {
    LogRecord { number, op: OpId(u128::from(number)), body: Bytes::from(format!("entry {number}")) }
}

fn numbers(records: Vec<LogRecord>) -> Vec<u64> {
    records.into_iter().map(|it| it.number).collect()
}

/// Trimmed in front, trimmed whole, and longer than a page.
pub(super) async fn a_copied_log_goes_on_where_it_was(store: &dyn Import) {
    let clock = Arc::new(AtomicU64::new(1));
    let time = Arc::clone(&clock);
    let source = MemoryStore::new(2, Arc::new(move || Timestamp(time.load(Ordering::SeqCst))));
    let (owner, op) = (Owner::of(&source, "node-a").await, fresh_op());
    let lease = owner.leases[usize::from(SHARD.0)];
    source.append(lease, fresh_op(), (1..=299).map(entry).collect()).await.expect("accepted");
    source.append(lease, op, vec![entry(300)]).await.expect("accepted");
    source.trim_log(lease, Log::Audit, 21).await.expect("its own");
    let told = Append { log: Log::Outbox, number: 1, body: Bytes::from("told") };
    source.append(owner.leases[0], fresh_op(), vec![told]).await.expect("accepted");
    source.trim_log(owner.leases[0], Log::Outbox, 2).await.expect("its own");
    clock.store(10_000_000, Ordering::SeqCst);
    let report = copied(&source, store).await;
    let line = report.lines.iter().find(|line| line.what == "log entries").expect("they are compared");
    assert_eq!((line.source.count, line.agrees()), (280, true), "{line:?}");
    let records = store.log_records(SHARD, Log::Audit, 0, 1_000).await.expect("readable");
    assert_eq!(records, source.log_records(SHARD, Log::Audit, 0, 1_000).await.expect("readable"));
    for (shard, log) in [(SHARD, Log::Audit), (ShardId(0), Log::Outbox), (ShardId(0), Log::Audit)] {
        let span = store.log_span(shard, log).await.expect("readable");
        assert_eq!(span, source.log_span(shard, log).await.expect("readable"), "{shard:?} {log:?}");
    }
    let lease = Owner::of(store, "node-b").await.leases[usize::from(SHARD.0)];
    let again = store.append(lease, op, vec![entry(300)]).await;
    assert!(matches!(again, Ok(Committed::Duplicate { .. })), "a repeat may reach the copy: {again:?}");
    let wrong = store.append(lease, fresh_op(), vec![entry(1)]).await;
    assert!(matches!(wrong, Err(CommitError::StaleLog { next: 301, .. })), "{wrong:?}");
    store.append(lease, fresh_op(), vec![entry(301)]).await.expect("the next one");
}

/// As after a break.
pub(super) async fn putting_a_log_again_changes_nothing(store: &dyn Import) {
    let (filling, span) = (filling(), Span { first: 3, next: 6 });
    store.begin(&filling).await.expect("empty");
    for page in [vec![], vec![record(3), record(4)], vec![record(5)], vec![record(3), record(4), record(5)]] {
        store.put_log(&filling, SHARD, Log::Audit, span, page).await.expect("writable");
    }
    let records = store.log_records(SHARD, Log::Audit, 0, 10).await.expect("readable");
    assert_eq!(records, [record(3), record(4), record(5)]);
    assert_eq!(store.log_records(SHARD, Log::Audit, 4, 1).await.expect("readable"), [record(4)]);
    assert_eq!(store.log_records(ShardId(0), Log::Audit, 0, 10).await.expect("readable"), []);
}

/// Of a put with one that differs, the others don't stay either.
pub(super) async fn other_entries_are_refused_whole(store: &dyn Import) {
    let (filling, span) = (filling(), Span { first: 1, next: 4 });
    let closed = store.put_log(&filling, SHARD, Log::Audit, span, vec![record(1)]).await;
    assert!(matches!(closed, Err(TransferError::Stands { standing: Standing::InUse })), "{closed:?}");
    store.begin(&filling).await.expect("empty");
    store.put_log(&filling, SHARD, Log::Audit, span, vec![record(1)]).await.expect("writable");
    for other in [LogRecord { op: OpId(9), ..record(1) }, LogRecord { body: Bytes::from("other"), ..record(1) }] {
        let refused = store.put_log(&filling, SHARD, Log::Audit, span, vec![record(2), other]).await;
        let expected = "entry 1 in the audit log of shard 1";
        assert!(matches!(&refused, Err(TransferError::Differs { what }) if what == expected), "{refused:?}");
    }
    let longer = store.put_log(&filling, SHARD, Log::Audit, Span { next: 5, ..span }, vec![record(2)]).await;
    assert!(matches!(longer, Err(TransferError::Differs { .. })), "{longer:?}");
    assert_eq!(numbers(store.log_records(SHARD, Log::Audit, 0, 10).await.expect("readable")), [1]);
}

/// A log can't be another shard's, so a target with too few of them isn't filled.
pub(super) async fn a_log_without_its_shard_is_refused(store: &dyn Import) {
    let clock = Arc::new(AtomicU64::new(1));
    let time = Arc::clone(&clock);
    let shards = store.info().shards + 1;
    let source = MemoryStore::new(shards, Arc::new(move || Timestamp(time.load(Ordering::SeqCst))));
    let owner = Owner::of(&source, "node-a").await;
    source.append(owner.leases[usize::from(shards) - 1], fresh_op(), vec![entry(1)]).await.expect("accepted");
    clock.store(10_000_000, Ordering::SeqCst);
    let refused = copy(&source, store, "elsewhere", &mut deaf()).await;
    let expected = format!("the source has logs of {shards} shards and the target has only {}", shards - 1);
    assert!(
        matches!(&refused, Err(CopyError::Target(error)) if error.to_string().starts_with(&expected)),
        "{refused:?}"
    );
    assert_eq!(source.standing().await.expect("readable"), Standing::InUse, "it can still be served from");
}

/// Later ones are higher than any that was copied.
pub(super) async fn copied_documents_keep_their_revisions(store: &dyn Import) {
    let source = MemoryStore::new(1, Arc::new(|| Timestamp(1)));
    for number in 0..200 {
        let kind = if number % 2 == 0 { "batch" } else { "batch-part" };
        source.put_document(kind, &format!("{number}"), Bytes::from("words"), Some(0)).await.expect("writable");
    }
    let last = source.put_document("hold", "a,b", Bytes::new(), Some(0)).await.expect("writable");
    let report = copied(&source, store).await;
    let line = report.lines.iter().find(|line| line.what == "documents").expect("they are compared");
    assert_eq!((line.source.count, line.agrees()), (201, true), "{line:?}");
    assert_eq!(store.document_kinds().await.expect("readable"), ["batch", "batch-part", "hold"]);
    for kind in ["batch", "batch-part", "hold"] {
        let documents = store.list_documents(kind, None, 1_000).await.expect("readable");
        assert_eq!(documents, source.list_documents(kind, None, 1_000).await.expect("readable"));
    }
    assert!(store.delete_document("hold", "a,b", Some(last)).await.expect("as it was"));
    assert_eq!(store.document_kinds().await.expect("readable"), ["batch", "batch-part"]);
    assert!(store.put_document("hold", "a,b", Bytes::new(), Some(0)).await.expect("writable") > last);
}

/// Evidence of another store must not be mixed in.
pub(super) async fn a_store_with_logs_or_documents_is_not_empty(store: &dyn Import) {
    let documents = filling();
    store.put_document("hold", "a", Bytes::new(), None).await.expect("writable");
    let refused = store.begin(&documents).await;
    assert!(matches!(&refused, Err(TransferError::NotEmpty { what }) if what == "documents"), "{refused:?}");
    store.delete_document("hold", "a", None).await.expect("writable");
    let owner = Owner::of(store, "node-a").await;
    store.append(owner.leases[0], fresh_op(), vec![entry(1)]).await.expect("accepted");
    for lease in owner.leases {
        store.release(lease).await.expect("its own");
    }
    let refused = store.begin(&documents).await;
    assert!(matches!(&refused, Err(TransferError::NotEmpty { what }) if what == "logs"), "{refused:?}");
}
