//! Retention: what is finished goes when its time is over; nothing else ever does (anomalies 22 and 27, semantics A9).

use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::time::Timestamp;

use super::support::{Owner, entry, key};
use crate::contract::*;
use crate::error::CommitError;

async fn sweep(store: &dyn Store, now: u64, limit: usize) -> u64 {
    store.sweep(Timestamp(now), limit).await.expect("writable")
}

/// With its payloads, history and labels, and not a millisecond early.
pub async fn what_is_over_is_swept(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let mut first = owner.draft(&key, 0);
    first.payloads = vec![(PayloadKey::Input, Payload::json("{}"))];
    first.history = vec![entry(0)];
    first.index.labels = vec![("order".into(), "1".into())];
    owner.write(first).await;
    owner.write(owner.finish(&key, 1, 100)).await;
    assert_eq!(sweep(store, 99, 10).await, 0);
    assert_eq!(owner.revision(&key).await, 2);
    assert_eq!(sweep(store, 100, 10).await, 1);
    assert_eq!(store.get(&key).await.expect("readable"), None);
    assert!(store.history(&key, 0, 10).await.expect("readable").is_empty());
    let labelled = Filter { labels: vec![("order".into(), "1".into())], ..Filter::default() };
    for filter in [labelled, Filter::default()] {
        assert!(store.list(&filter, None, 10).await.expect("readable").items.is_empty());
        assert_eq!(store.count(&filter).await.expect("readable"), []);
    }
    assert_eq!(sweep(store, 100, 10).await, 0, "sweeping again is harmless");
}

/// Whatever its retention says, and however long it has been parked.
pub async fn the_unfinished_is_never_swept(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (due, parked, kept) = (key("due"), key("parked"), key("kept"));
    owner.write(Commit { retain_until: Some(Timestamp(1)), ..owner.draft(&due, 0) }).await;
    owner.write(Commit { retain_until: Some(Timestamp(1)), due: None, ..owner.draft(&parked, 0) }).await;
    owner.write(Commit { retain_until: None, ..owner.finish(&kept, 0, 1) }).await;
    assert_eq!(sweep(store, u64::MAX, 10).await, 0);
    for key in [&due, &parked, &kept] {
        assert_eq!(owner.revision(key).await, 1, "{key}");
    }
}

/// A second saga under a swept id would get the first one's stored replies (semantics A9).
pub async fn a_swept_id_stays_reserved(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (swept, other) = (key("order-1"), key("order-2"));
    owner.write(owner.finish(&swept, 0, 1)).await;
    assert_eq!(sweep(store, 2, 10).await, 1);
    let answer = owner.commit(owner.draft(&swept, 0)).await;
    assert!(matches!(answer, Err(CommitError::Reserved)), "{answer:?}");
    let answer = owner.commit(owner.draft(&swept, 1)).await;
    assert!(matches!(answer, Err(CommitError::Stale { expected: 1, found: 0 })), "{answer:?}");
    owner.write(owner.draft(&other, 0)).await;
    let answer = owner.commit(owner.draft(&swept, 0)).await;
    assert!(matches!(answer, Err(CommitError::Reserved)), "still: {answer:?}");
}

/// No more than asked for, those first whose time was over first.
pub async fn a_limit_is_kept(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    for number in 0..5 {
        owner.write(owner.finish(&key(&format!("order-{number}")), 0, 10 - number)).await;
    }
    assert_eq!(sweep(store, 100, 0).await, 0);
    assert_eq!(sweep(store, 100, 2).await, 2);
    assert_eq!(owner.revision(&key("order-4")).await, 0);
    assert_eq!(owner.revision(&key("order-0")).await, 1);
    assert_eq!(sweep(store, 100, 10).await, 3);
}

/// Whatever its status: unfinished, parked, or ended and not swept yet. Participants sweep their own rows by it.
pub async fn the_oldest_start_counts_every_saga_that_is_still_there(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let oldest = async || store.oldest_start().await.expect("readable").map(|at| at.0);
    assert_eq!(oldest().await, None);
    let started = |commit: Commit, at| {
        let index = IndexRow { started_at: Timestamp(at), ..commit.index };
        Commit { index, ..commit }
    };
    let (running, parked, ended) = (key("running"), key("parked"), key("ended"));
    owner.write(started(owner.draft(&running, 0), 30)).await;
    assert_eq!(oldest().await, Some(30));
    owner.write(started(Commit { due: None, ..owner.draft(&parked, 0) }, 20)).await;
    owner.write(started(owner.finish(&ended, 0, 50), 10)).await;
    assert_eq!(oldest().await, Some(10));
    assert_eq!(sweep(store, 50, 10).await, 1);
    assert_eq!(oldest().await, Some(20), "the parked one stays");
}
