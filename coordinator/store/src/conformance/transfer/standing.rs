//! Nobody works on either side meanwhile, nothing foreign is mixed in, and what was broken off is finished.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use amends_engine::ids::ParticipantName;
use amends_engine::time::Timestamp;
use bytes::Bytes;

use super::super::support::{LONG, Owner, definition, fresh_op, key, namespace};
use super::{copied, deaf, filling, random_source, saga};
use crate::contract::*;
use crate::error::{CommitError, StoreError};
use crate::memory::MemoryStore;
use crate::transfer::*;

/// Whatever it is, it is another's.
pub(super) async fn a_store_that_holds_something_is_refused(store: &dyn Import) {
    let refused = async |what: &str| {
        let refused = store.begin(&filling()).await;
        assert!(matches!(&refused, Err(TransferError::NotEmpty { what: told }) if told.contains(what)), "{refused:?}");
        assert_eq!(store.standing().await.expect("readable"), Standing::InUse);
    };
    let name = ParticipantName::parse("payment").expect("a valid name");
    let put = store.put_participant(&namespace("team"), &name, Bytes::new(), None, "team", Timestamp(1)).await;
    put.expect("writable");
    refused("participants").await;
    let put = store.put_definition(&namespace("team"), &definition("refund"), Bytes::new(), "team", Timestamp(1)).await;
    put.expect("writable");
    refused("definitions").await;
    let owner = Owner::of(store, "node-a").await;
    owner.write(owner.finish(&key("order-1"), 0, 1)).await;
    refused("sagas").await;
    store.sweep(Timestamp(2), 10).await.expect("writable");
    refused("swept").await;
    owner.write(owner.draft(&key("order-2"), 0)).await;
}

/// Even an empty store, because its owner may write at any moment.
pub(super) async fn a_store_in_which_a_node_has_a_shard_is_refused(store: &dyn Import) {
    let acquired = store.acquire(ShardId(1), "node-a", Nonce(1), LONG).await.expect("free");
    let refused = store.begin(&filling()).await;
    assert!(matches!(&refused, Err(TransferError::Held { node, .. }) if node == "node-a"), "{refused:?}");
    let moved = Moved { to: "target".into(), address: "elsewhere".into() };
    let refused = store.mark_moved(&moved).await;
    assert!(matches!(refused, Err(TransferError::Held { .. })), "{refused:?}");
    store.renew(acquired.lease, LONG).await.expect("its lease is as it was");
    store.release(acquired.lease).await.expect("writable");
    store.begin(&filling()).await.expect("free again");
}

/// One that was heard but has no shard yet.
pub(super) async fn a_store_with_a_live_node_is_refused(store: &dyn Import) {
    let (source, _) = random_source(10).await;
    let node = NodeRecord {
        name: "node-a".into(),
        address: "http://127.0.0.1:7400".into(),
        version: "1".into(),
        started_at: Timestamp(1),
        draining: false,
        heard_at: Timestamp(0),
    };
    store.heartbeat(&node).await.expect("writable");
    let refused = copy(&*source, store, "elsewhere", &mut deaf()).await;
    assert!(matches!(&refused, Err(CopyError::Live { node, .. }) if node == "node-a"), "{refused:?}");
    store.forget_node("node-a").await.expect("writable");
    copied(&*source, store).await;
}

async fn assert_closed(store: &dyn Store, why: &str) {
    for shard in (0..store.info().shards).map(ShardId) {
        let refused = store.acquire(shard, "node-a", Nonce(1), LONG).await;
        assert!(matches!(&refused, Err(StoreError::Closed { why: told }) if told.contains(why)), "{refused:?}");
    }
}

/// It lacks sagas, and ids that must not be used again.
pub(super) async fn nobody_gets_a_shard_of_an_unfinished_copy(store: &dyn Import) {
    let filling = filling();
    store.begin(&filling).await.expect("empty");
    assert_eq!(store.standing().await.expect("readable"), Standing::Filling(filling.clone()));
    assert_closed(store, "unfinished copy").await;
    let refused = store.reopen().await;
    assert!(matches!(refused, Err(TransferError::Stands { .. })), "{refused:?}");
    store.finish(&filling).await.expect("writable");
    Owner::of(store, "node-a").await;
}

/// A lease that ran out still writes, as long as nobody took the shard: this takes it.
pub(super) async fn whoever_had_a_shard_is_fenced(store: &dyn Import) {
    let mut owner = Owner { store, leases: Vec::new() };
    for shard in (0..store.info().shards).map(ShardId) {
        let acquired = store.acquire(shard, "node-a", Nonce(fresh_op().0), Duration::ZERO).await;
        owner.leases.push(acquired.expect("free").lease);
    }
    store.begin(&filling()).await.expect("nobody has it any more");
    let answer = owner.commit(owner.draft(&key("order-1"), 0)).await;
    assert!(matches!(answer, Err(CommitError::Fenced)), "{answer:?}");
    store.finish(&filling()).await.expect("writable");
    let answer = owner.commit(owner.draft(&key("order-1"), 0)).await;
    assert!(matches!(answer, Err(CommitError::Fenced)), "{answer:?}");
}

/// A put that comes late, when the store has been opened already, would bring back what was swept since.
pub(super) async fn nothing_is_put_into_a_store_that_is_in_use(store: &dyn Import) {
    let filling = filling();
    let other = Filling { epoch: Epoch(8), ..filling.clone() };
    for begun in [false, true] {
        if begun {
            store.begin(&filling).await.expect("empty");
        }
        let refused = store.put_sagas(&other, vec![saga("order-1")]).await;
        assert!(matches!(refused, Err(TransferError::Stands { .. })), "{refused:?}");
        let refused = store.put_reserved(&other, vec![ReservedId([1; 16])]).await;
        assert!(matches!(refused, Err(TransferError::Stands { .. })), "{refused:?}");
        let refused = store.put_definitions(&other, Vec::new()).await;
        assert!(matches!(refused, Err(TransferError::Stands { .. })), "{refused:?}");
        let refused = store.put_participants(&other, Vec::new()).await;
        assert!(matches!(refused, Err(TransferError::Stands { .. })), "{refused:?}");
    }
    assert_eq!(store.count(&Filter::default()).await.expect("readable"), []);
}

/// Two live copies would do everything twice.
pub(super) async fn a_moved_store_gives_no_shard_until_it_is_reopened(store: &dyn Import) {
    let owner = Owner::of(store, "node-a").await;
    for lease in &owner.leases {
        store.release(*lease).await.expect("writable");
    }
    let moved = Moved { to: "target".into(), address: "redis://elsewhere:6379".into() };
    for _ in 0..2 {
        store.mark_moved(&moved).await.expect("nobody has a shard");
        assert_eq!(store.standing().await.expect("readable"), Standing::Moved(moved.clone()));
    }
    let other = store.mark_moved(&Moved { to: "another".into(), ..moved.clone() }).await;
    assert!(matches!(other, Err(TransferError::Stands { .. })), "{other:?}");
    let filled = store.begin(&filling()).await;
    assert!(matches!(filled, Err(TransferError::Stands { .. })), "{filled:?}");
    assert_closed(store, "redis://elsewhere:6379").await;
    for _ in 0..2 {
        store.reopen().await.expect("writable");
    }
    Owner::of(store, "node-a").await;
}

/// It would mix two times of one store.
pub(super) async fn a_copy_of_an_older_source_is_refused(store: &dyn Import) {
    let (source, clock) = random_source(13).await;
    let tenures = source.tenures().await.expect("readable");
    let epoch = tenures.iter().map(|tenure| tenure.epoch).max().expect("it was used");
    store.begin(&Filling { source: source.info().id, epoch }).await.expect("empty");
    // Served from once more, and stopped.
    let acquired = source.acquire(ShardId(0), "node-a", Nonce(1), Duration::from_secs(1)).await.expect("free");
    clock.fetch_add(60_000, Ordering::SeqCst);
    assert!(acquired.lease.epoch > epoch);
    let refused = copy(&*source, store, "elsewhere", &mut deaf()).await;
    assert!(matches!(refused, Err(CopyError::Outdated)), "{refused:?}");
    assert_eq!(source.standing().await.expect("readable"), Standing::InUse);
}

/// Broken off behind the source's mark, before the target was opened; and called again when all was done.
pub(super) async fn a_copy_that_was_done_is_only_finished(store: &dyn Import) {
    let (source, _) = random_source(14).await;
    let epochs = source.tenures().await.expect("readable");
    let epoch = epochs.iter().map(|tenure| tenure.epoch).max().expect("it was used");
    let filling = Filling { source: source.info().id, epoch };
    store.begin(&filling).await.expect("empty");
    let moved = Moved { to: store.info().id, address: "elsewhere".into() };
    source.mark_moved(&moved).await.expect("nobody has a shard");
    for _ in 0..2 {
        let copied = copy(&*source, store, "elsewhere", &mut deaf()).await.expect("an earlier run had come that far");
        assert_eq!(copied, Copied::Before);
        assert_eq!(store.standing().await.expect("readable"), Standing::InUse);
    }
    let third = MemoryStore::new(1, Arc::new(|| Timestamp(1)));
    let refused = copy(&*source, &third, "elsewhere", &mut deaf()).await;
    assert!(matches!(refused, Err(CopyError::SourceStands(Standing::Moved(_)))), "{refused:?}");
}

/// What is in the target besides, or otherwise, is found, and neither store changes how it stands.
pub(super) async fn a_difference_is_found_and_nothing_is_opened(store: &dyn Import) {
    let (source, _) = random_source(15).await;
    let epochs = source.tenures().await.expect("readable");
    let epoch = epochs.iter().map(|tenure| tenure.epoch).max().expect("it was used");
    let filling = Filling { source: source.info().id, epoch };
    store.begin(&filling).await.expect("empty");
    store.put_sagas(&filling, vec![saga("a-stranger")]).await.expect("writable");
    store.put_reserved(&filling, vec![ReservedId([7; 16])]).await.expect("writable");
    let report = match copy(&*source, store, "elsewhere", &mut deaf()).await {
        Err(CopyError::Differ(report)) => report,
        other => panic!("should have been found: {other:?}"),
    };
    let differ: Vec<&str> = report.lines.iter().filter(|line| !line.agrees()).map(|line| line.what).collect();
    assert_eq!(differ, ["sagas", "reserved ids"]);
    assert_eq!(source.standing().await.expect("readable"), Standing::InUse);
    assert_eq!(store.standing().await.expect("readable"), Standing::Filling(filling));
}

/// The source is marked first: where that fails, the target must not be open already.
pub(super) async fn a_target_stays_closed_when_its_source_cannot_be_marked(store: &dyn Import) {
    let (source, _) = random_source(16).await;
    source.acquire(ShardId(0), "node-a", Nonce(1), LONG).await.expect("free");
    let refused = copy(&*source, store, "elsewhere", &mut deaf()).await;
    assert!(matches!(refused, Err(CopyError::Target(TransferError::Held { .. }))), "{refused:?}");
    assert!(matches!(store.standing().await.expect("readable"), Standing::Filling(_)), "both may be served from");
}
