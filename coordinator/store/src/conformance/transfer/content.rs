//! What comes out is what went in: content, numbers, repeats and reserved ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amends_engine::ids::{SagaKey, Version};
use amends_engine::payload::Payload;
use amends_engine::time::Timestamp;
use bytes::Bytes;

use super::super::listing::{by_status, walk};
use super::super::random::same_content;
use super::super::support::{LONG, Owner, definition, entry, key, namespace};
use super::{copied, filling, random_source, saga};
use crate::contract::*;
use crate::error::CommitError;
use crate::memory::MemoryStore;
use crate::transfer::*;

/// Random content, through every backend and back, from and to other numbers of shards.
pub(super) async fn a_copy_is_equal_there_and_back(store: &dyn Import) {
    let (source, _) = random_source(7).await;
    let report = copied(&*source, store).await;
    assert!(report.agrees(), "{report:?}");
    let seldom = report.lines.iter().find(|line| line.source.count == 0);
    assert!(seldom.is_none(), "the random store has nothing of a kind, so nothing is proven of it: {seldom:?}");
    let back = MemoryStore::new(5, Arc::new(|| Timestamp(3)));
    copied(store, &back).await;
    for other in [&*source as &dyn Store, &back] {
        let sagas = walk(store, &Filter::default(), 1_000).await;
        assert_eq!(sagas, walk(other, &Filter::default(), 1_000).await);
    }
    let again = MemoryStore::new(3, Arc::new(|| Timestamp(3)));
    copied(&back, &again).await;
    same_content(&*source, &again).await;
    let names: Vec<SagaKey> = walk(store, &Filter::default(), 1_000).await.into_iter().map(|saga| saga.key).collect();
    assert_eq!(store.records(&names).await.expect("readable"), source.records(&names).await.expect("readable"));
    for labels in [vec![], vec![("order".to_owned(), "1".to_owned())]] {
        let filter = Filter { labels, ..Filter::default() };
        let counts = store.count(&filter).await.expect("readable");
        assert_eq!(counts, source.count(&filter).await.expect("readable"));
    }
    let open: [u64; 2] = [open_sagas(store).await, open_sagas(&*source).await];
    assert_eq!(open[0], open[1]);
    assert_eq!(due(store).await, due(&*source).await);
    let swept: [u64; 2] = [swept(store).await, swept(&*source).await];
    assert_eq!(swept[0], swept[1], "what is over is found by its retention");
}

async fn open_sagas(store: &dyn Store) -> u64 {
    let mut sum = 0;
    for shard in (0..store.info().shards).map(ShardId) {
        sum += store.open_sagas(shard).await.expect("readable");
    }
    sum
}

async fn due(store: &dyn Store) -> Vec<(Option<Timestamp>, SagaKey)> {
    let mut all = Vec::new();
    for shard in (0..store.info().shards).map(ShardId) {
        let due = store.due(shard, None, Timestamp(u64::MAX), None, 1_000).await.expect("readable");
        all.extend(due.into_iter().map(|saga| (saga.due, saga.key)));
    }
    all.sort();
    all
}

async fn swept(store: &dyn Store) -> u64 {
    store.sweep(Timestamp(50), 1_000).await.expect("writable")
}

/// As after a break.
pub(super) async fn putting_again_changes_nothing(store: &dyn Import) {
    let (source, _) = random_source(8).await;
    let filling = filling();
    let sagas = vec![saga("order-1"), saga("order-2")];
    let definitions = source.every_definition().await.expect("readable");
    let participants = source.all_participants().await.expect("readable");
    let ids = vec![ReservedId([1; 16]), ReservedId([2; 16])];
    for added in [2, 0] {
        store.begin(&filling).await.expect("empty, or the same again");
        assert_eq!(store.put_sagas(&filling, sagas.clone()).await.expect("writable"), added);
        store.put_definitions(&filling, definitions.clone()).await.expect("writable");
        store.put_participants(&filling, participants.clone()).await.expect("writable");
        store.put_reserved(&filling, ids.clone()).await.expect("writable");
        let keys = [key("order-1"), key("order-2")];
        let records = store.records(&keys).await.expect("readable");
        assert_eq!(records, sagas.iter().cloned().map(Some).collect::<Vec<_>>());
        assert_eq!(store.every_definition().await.expect("readable"), definitions);
        assert_eq!(store.all_participants().await.expect("readable"), participants);
        assert_eq!(store.count_reserved().await.expect("readable"), 2);
        let asked = [ids[0], ReservedId([9; 16]), ids[1]];
        assert_eq!(store.are_reserved(&asked).await.expect("readable"), [true, false, true]);
        let counts = by_status(store, &Filter::default()).await;
        assert_eq!(counts, [("running".to_owned(), 2)]);
    }
    store.finish(&filling).await.expect("writable");
    store.finish(&filling).await.expect("again");
}

/// What is changed, and how.
type Change = (&'static str, fn(&mut SagaRecord));

/// Of a put with one that differs, the others don't stay either.
pub(super) async fn other_content_is_refused_whole(store: &dyn Import) {
    let filling = filling();
    store.begin(&filling).await.expect("empty");
    let there = saga("order-1");
    store.put_sagas(&filling, vec![there.clone()]).await.expect("writable");
    let others: [Change; 10] = [
        ("revision", |saga| saga.revision += 1),
        ("state", |saga| saga.state = Bytes::from("other")),
        ("payload", |saga| saga.payloads[0].1 = Payload::protobuf("{}")),
        ("another payload", |saga| saga.payloads.clear()),
        ("history", |saga| saga.history[1].1 = Bytes::from("other")),
        ("a longer history", |saga| saga.history.push(entry(13))),
        ("remembered", |saga| saga.remembered.reverse()),
        ("due", |saga| saga.due = None),
        ("index", |saga| saga.index.labels.truncate(1)),
        ("retention", |saga| saga.retain_until = Some(Timestamp(7))),
    ];
    for (what, change) in others {
        let mut other = there.clone();
        change(&mut other);
        // In the same shard, whatever shards there are: what goes together is refused together.
        let shards = store.info().shards;
        let beside = (0..).map(|number| saga(&format!("beside-{number}")));
        let beside = beside.into_iter().find(|it| shard_of(&it.key, shards) == shard_of(&there.key, shards));
        let beside = beside.expect("there is always another");
        let refused = store.put_sagas(&filling, vec![beside.clone(), other]).await;
        assert!(
            matches!(&refused, Err(TransferError::Differs { what }) if what.contains("order-1")),
            "{what}: {refused:?}"
        );
        let records = store.records(&[there.key.clone(), beside.key]).await.expect("readable");
        assert_eq!(records, [Some(there.clone()), None], "{what}");
    }
    let (source, _) = random_source(9).await;
    let definitions = source.every_definition().await.expect("readable");
    store.put_definitions(&filling, definitions.clone()).await.expect("writable");
    let others: [fn(&mut DefinitionRecord); 2] = [
        |it| it.body = Bytes::from("other"),
        |it| it.deprecated = Some(Deprecation { at: Timestamp(1), principal: "x".into(), reason: "y".into() }),
    ];
    for change in others {
        let mut other = definitions[0].clone();
        change(&mut other);
        let refused = store.put_definitions(&filling, vec![other]).await;
        assert!(matches!(refused, Err(TransferError::Differs { .. })), "{refused:?}");
    }
    let participants = source.all_participants().await.expect("readable");
    store.put_participants(&filling, participants.clone()).await.expect("writable");
    let mut other = participants[0].clone();
    other.revision += 1;
    let refused = store.put_participants(&filling, vec![other]).await;
    assert!(matches!(refused, Err(TransferError::Differs { .. })), "{refused:?}");
    assert_eq!(store.every_definition().await.expect("readable"), definitions);
    assert_eq!(store.all_participants().await.expect("readable"), participants);
}

/// Nor made.
pub(super) async fn what_is_not_there_is_not_given(store: &dyn Import) {
    assert_eq!(store.records(&[key("order-1")]).await.expect("readable"), [None]);
    assert_eq!(store.count_reserved().await.expect("readable"), 0);
    assert_eq!(store.are_reserved(&[ReservedId([0; 16])]).await.expect("readable"), [false]);
    assert_eq!(store.every_definition().await.expect("readable"), []);
    assert_eq!(store.standing().await.expect("readable"), Standing::InUse);
}

/// Participants refuse a lower epoch than they have seen, and the source's clock may have run far ahead.
pub(super) async fn epochs_go_on_above_the_sources(store: &dyn Import) {
    let (source, clock) = random_source(11).await;
    // The year 2100.
    clock.store(4_102_444_800_000, Ordering::SeqCst);
    let acquired = source.acquire(ShardId(2), "node-a", Nonce(1), LONG).await.expect("free");
    source.release(acquired.lease).await.expect("writable");
    copied(&*source, store).await;
    for lease in Owner::of(store, "node-a").await.leases {
        assert!(lease.epoch > acquired.lease.epoch, "{lease:?} after {acquired:?}");
    }
}

/// A commit that was sent twice, and a start with an old id, may reach the copy as well.
pub(super) async fn repeats_and_swept_ids_are_still_known(store: &dyn Import) {
    let clock = Arc::new(AtomicU64::new(1));
    let time = Arc::clone(&clock);
    let source = MemoryStore::new(2, Arc::new(move || Timestamp(time.load(Ordering::SeqCst))));
    let owner = Owner::of(&source, "node-a").await;
    let (open, swept) = (key("open"), key("swept"));
    owner.write(owner.finish(&swept, 0, 1)).await;
    let sent: Vec<Commit> = (0..6).map(|revision| owner.draft(&open, revision)).collect();
    for commit in &sent {
        owner.write(commit.clone()).await;
    }
    source.sweep(Timestamp(2), 10).await.expect("writable");
    clock.store(10_000_000, Ordering::SeqCst);
    copied(&source, store).await;
    let owner = Owner::of(store, "node-b").await;
    for (index, commit) in sent.into_iter().enumerate() {
        let again = owner.commit(Commit { lease: owner.lease(&open), ..commit }).await;
        let known = index >= 6 - OPS_REMEMBERED;
        assert_eq!(matches!(again, Ok(Committed::Duplicate { .. })), known, "{index}: {again:?}");
    }
    let answer = owner.commit(owner.draft(&swept, 0)).await;
    assert!(matches!(answer, Err(CommitError::Reserved)), "{answer:?}");
    owner.write(owner.draft(&open, 6)).await;
}

/// The next version's number is above every one that was copied, and the same content is still the same version.
pub(super) async fn a_definition_goes_on_counting(store: &dyn Import) {
    let (source, _) = random_source(12).await;
    copied(&*source, store).await;
    let (tenant, name) = (namespace("default"), definition("checkout"));
    let versions = source.definition_versions(&tenant, &name).await.expect("readable");
    let highest = versions.last().expect("there are some").version;
    let same = store.put_definition(&tenant, &name, Bytes::from("two"), "team", Timestamp(99)).await.expect("writable");
    assert!(versions.contains(&same), "{same:?}");
    let next = store.put_definition(&tenant, &name, Bytes::from("new"), "team", Timestamp(99)).await.expect("writable");
    assert_eq!(next.version, Version(highest.0 + 1));
}
