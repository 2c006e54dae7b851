//! Lists and counts: order, filters, and pages that stay right while the store is written.

use amends_engine::ids::{SagaKey, Version};
use amends_engine::time::Timestamp;

use super::support::{Owner, definition, key, key_in, namespace};
use crate::contract::*;
use crate::error::StoreError;

pub(super) async fn start(owner: &Owner<'_>, key: &SagaKey, at: u64, change: impl Fn(&mut IndexRow)) {
    let mut commit = owner.draft(key, 0);
    commit.index.started_at = Timestamp(at);
    change(&mut commit.index);
    owner.write(commit).await;
}

pub(super) async fn keys(store: &dyn Store, filter: &Filter) -> Vec<SagaKey> {
    let page = store.list(filter, None, 1000).await.expect("readable");
    page.items.into_iter().map(|saga| saga.key).collect()
}

/// What is counted, by status only.
pub(super) async fn by_status(store: &dyn Store, filter: &Filter) -> Vec<(String, u64)> {
    let mut counts = std::collections::BTreeMap::new();
    for (kind, count) in store.count(filter).await.expect("readable") {
        *counts.entry(kind.status).or_default() += count;
    }
    counts.into_iter().collect()
}

/// All pages of a list, one after the other.
pub(super) async fn walk(store: &dyn Store, filter: &Filter, limit: usize) -> Vec<ListedSaga> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(filter, after.as_ref(), limit).await.expect("readable");
        assert!(page.items.len() <= limit, "no more than asked for");
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

/// Newest start first; together started ones from the highest key down, namespace before id.
pub async fn the_newest_come_first(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    // "a-b" sorts before "a/…" as text, but "a" is the smaller namespace.
    let (old, tie_a, tie_ab, new) = (key("z"), key_in("a", "x"), key_in("a-b", "c"), key("b"));
    for (key, at) in [(&tie_a, 20), (&new, 30), (&old, 10), (&tie_ab, 20)] {
        start(&owner, key, at, |_| {}).await;
    }
    let expected = [new, tie_ab, tie_a, old];
    assert_eq!(keys(store, &Filter::default()).await, expected);
    let listed = store.list(&Filter::default(), None, 1).await.expect("readable").items.remove(0);
    let saga = owner.get(&expected[0]).await;
    let status = "running".to_owned();
    assert_eq!(listed, ListedSaga { key: saga.key, revision: 1, state: saga.state, status });
    for limit in 1..5 {
        let walked: Vec<SagaKey> = walk(store, &Filter::default(), limit).await.into_iter().map(|l| l.key).collect();
        assert_eq!(walked, expected, "in pages of {limit}");
    }
}

/// Each field narrows by itself and together with others.
pub async fn every_filter_narrows(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (plain, other) = (key("plain"), key_in("other", "tenant"));
    let (stuck, labelled) = (key("stuck"), key("labelled"));
    let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    start(&owner, &plain, 1, |_| {}).await;
    start(&owner, &other, 2, |_| {}).await;
    start(&owner, &stuck, 3, |index| {
        index.status = "stuck";
        index.stuck = Some("poison");
        index.labels = labels(&[("order", "1")]);
    })
    .await;
    start(&owner, &labelled, 4, |index| {
        index.definition = definition("refund");
        index.version = Version(2);
        index.labels = labels(&[("customer", "c"), ("order", "1")]);
    })
    .await;
    let all = || Filter::default();
    let cases: [(Filter, Vec<&SagaKey>); 14] = [
        (all(), vec![&labelled, &stuck, &other, &plain]),
        (Filter { namespace: Some(namespace("other")), ..all() }, vec![&other]),
        (Filter { statuses: vec!["stuck".into()], ..all() }, vec![&stuck]),
        (Filter { statuses: vec!["unheard-of".into()], ..all() }, vec![]),
        (Filter { definition: Some(definition("refund")), ..all() }, vec![&labelled]),
        (Filter { version: Some(Version(1)), ..all() }, vec![&stuck, &other, &plain]),
        (Filter { stuck: Some("poison".into()), ..all() }, vec![&stuck]),
        (Filter { stuck: Some("key_reused".into()), ..all() }, vec![]),
        (Filter { labels: labels(&[("order", "1")]), ..all() }, vec![&labelled, &stuck]),
        (Filter { labels: labels(&[("order", "1"), ("customer", "c")]), ..all() }, vec![&labelled]),
        (Filter { labels: labels(&[("order", "1"), ("order", "2")]), ..all() }, vec![]),
        (Filter { labels: labels(&[("order", "1")]), statuses: vec!["stuck".into()], ..all() }, vec![&stuck]),
        (Filter { stuck: Some("poison".into()), labels: labels(&[("order", "1")]), ..all() }, vec![&stuck]),
        (
            Filter { statuses: vec!["running".into()], definition: Some(definition("checkout")), ..all() },
            vec![&other, &plain],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(keys(store, &filter).await.iter().collect::<Vec<_>>(), expected, "{filter:?}");
        let counted: u64 = store.count(&filter).await.expect("readable").iter().map(|(_, count)| count).sum();
        assert_eq!(counted, expected.len() as u64, "{filter:?}");
    }
}

/// Several statuses are one list in one order, whichever order they are named in.
pub async fn statuses_are_any_of(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let words = ["running", "stuck", "completed"];
    let started: Vec<SagaKey> = (0..9).map(|number| key(&format!("order-{number}"))).collect();
    for (at, key) in (0_u64..).zip(&started) {
        start(&owner, key, at, |index| index.status = words[at as usize % 3]).await;
    }
    let expected: Vec<&SagaKey> =
        started.iter().enumerate().filter(|(at, _)| at % 3 != 1).map(|(_, key)| key).rev().collect();
    let filter =
        Filter { statuses: ["completed", "running", "completed"].map(str::to_owned).to_vec(), ..Filter::default() };
    for limit in [1, 2, 4, 100] {
        let found = walk(store, &filter, limit).await;
        assert_eq!(found.iter().map(|saga| &saga.key).collect::<Vec<_>>(), expected, "in pages of {limit}");
    }
    assert_eq!(by_status(store, &filter).await, [("completed".to_owned(), 3), ("running".to_owned(), 3)]);
}

/// What was there when the walk began is given exactly once, whatever starts or finishes meanwhile.
pub async fn pages_stay_right_while_sagas_come_and_go(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let there: Vec<SagaKey> = (0..10).map(|number| key(&format!("order-{number}"))).collect();
    for key in &there {
        start(&owner, key, 50, |_| {}).await;
    }
    let (mut found, mut after) = (Vec::new(), None);
    for round in 0.. {
        let page = store.list(&Filter::default(), after.as_ref(), 3).await.expect("readable");
        found.extend(page.items.into_iter().map(|saga| saga.key));
        // One newer, one older than the cursor, and one of those already given is finished.
        start(&owner, &key(&format!("new-{round}")), 90, |_| {}).await;
        let done = found.last().expect("a page isn't empty here").clone();
        owner.write(owner.finish(&done, 1, 99)).await;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    found.sort();
    assert_eq!(found, there);
}

/// The page that ends a list has no next one, also when it is full.
pub async fn a_last_page_says_so(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let page = store.list(&Filter::default(), None, 2).await.expect("readable");
    assert_eq!(page, Page { items: Vec::new(), next: None });
    for (at, id) in ["a", "b"].into_iter().enumerate() {
        start(&owner, &key(id), at as u64, |_| {}).await;
    }
    let page = store.list(&Filter::default(), None, 2).await.expect("readable");
    assert_eq!((page.items.len(), page.next), (2, None));
    let page = store.list(&Filter::default(), None, 1).await.expect("readable");
    assert_eq!(page.next, Some(Cursor { started_at: Timestamp(1), key: key("b") }));
}

/// Counted by the status of the last commit, in the order of the words.
pub async fn counts_are_by_status(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let count = async |filter: &Filter| by_status(store, filter).await;
    assert_eq!(count(&Filter::default()).await, []);
    for number in 0..4 {
        start(&owner, &key(&format!("order-{number}")), number, |_| {}).await;
    }
    owner.write(owner.finish(&key("order-1"), 1, 99)).await;
    let expected = [("completed".to_owned(), 1), ("running".to_owned(), 3)];
    assert_eq!(count(&Filter::default()).await, expected);
    let mine = Filter { namespace: Some(namespace("default")), ..Filter::default() };
    assert_eq!(count(&mine).await, expected);
    let running = Filter { statuses: vec!["running".into()], ..Filter::default() };
    assert_eq!(count(&running).await, expected[1..]);
}

/// What stays behind on which version: the unfinished of one definition and tenant.
pub async fn open_sagas_are_counted_by_version(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let counts = async |name: &str| store.count_open(&namespace("default"), &definition(name)).await.expect("readable");
    assert_eq!(counts("checkout").await, []);
    for (id, version, status, name) in [
        ("a", 2, "running", "checkout"),
        ("b", 10, "stuck", "checkout"),
        ("c", 2, "running", "checkout"),
        ("d", 2, "stuck", "checkout"),
        ("e", 2, "running", "refund"),
        ("f", 2, "running", "checkout"),
    ] {
        let change = |index: &mut IndexRow| {
            (index.version, index.status, index.definition) = (Version(version), status, definition(name));
        };
        start(&owner, &key(id), 1, change).await;
    }
    start(&owner, &key_in("other", "a"), 1, |index| index.definition = definition("checkout")).await;
    owner.write(owner.finish(&key("f"), 1, 99)).await;
    let expected = [(2, "running", 2), (2, "stuck", 1), (10, "stuck", 1)];
    let expected = expected.map(|(version, status, count)| (Version(version), status.to_owned(), count));
    assert_eq!(counts("checkout").await, expected);
    assert_eq!(counts("nothing").await, []);
}

/// Every kind of unfinished saga, with the number of the last commit that is counted.
pub async fn a_census_counts_what_a_shard_has_open_at_its_number(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let shards = store.info().shards;
    let census = async || store.census(ShardId(0)).await.expect("readable");
    assert_eq!(census().await, Census::default());
    let keys: Vec<SagaKey> = (0..)
        .map(|number| key(&format!("order-{number}")))
        .filter(|key| shard_of(key, shards) == ShardId(0))
        .take(5)
        .collect();
    for (key, (status, stuck, version)) in keys.iter().zip([
        ("running", None, 1),
        ("running", None, 2),
        ("stuck", Some("poison"), 1),
        ("stuck", Some("key_reused"), 1),
        ("running", None, 1),
    ]) {
        start(&owner, key, 5, |index| (index.status, index.stuck, index.version) = (status, stuck, Version(version)))
            .await;
    }
    owner.write(owner.finish(&keys[4], 1, 99)).await;
    let expected = [("running", None, 2), ("stuck", Some("key_reused"), 1), ("stuck", Some("poison"), 1)];
    let found = census().await;
    assert_eq!(found.commits, 6);
    let kinds: Vec<_> = found.open.iter().map(|one| (one.status.as_str(), one.stuck.as_deref(), one.count)).collect();
    assert_eq!(kinds, expected);
    let beyond = ShardId(shards);
    assert!(matches!(store.census(beyond).await, Err(StoreError::NoSuchShard { .. })));
}

/// By the time of its start, whatever its definition; one that moved to another status counts there.
pub async fn the_oldest_open_saga_is_found_by_status(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let shards = store.info().shards;
    let oldest = async |status: &str| store.oldest_open(ShardId(0), status).await.expect("readable").map(|at| at.0);
    assert_eq!(oldest("running").await, None);
    let keys: Vec<SagaKey> = (0..)
        .map(|number| key(&format!("order-{number}")))
        .filter(|key| shard_of(key, shards) == ShardId(0))
        .take(4)
        .collect();
    for (key, (at, status, name)) in keys.iter().zip([
        (30, "running", "checkout"),
        (20, "running", "refund"),
        (10, "stuck", "checkout"),
        (5, "running", "checkout"),
    ]) {
        start(&owner, key, at, |index| (index.status, index.definition) = (status, definition(name))).await;
    }
    assert_eq!((oldest("running").await, oldest("stuck").await, oldest("paused").await), (Some(5), Some(10), None));
    owner.write(owner.finish(&keys[3], 1, 99)).await;
    assert_eq!(oldest("running").await, Some(20), "a finished one is not open");
    if shards > 1 {
        assert_eq!(store.oldest_open(ShardId(1), "running").await.expect("readable"), None);
    }
}
