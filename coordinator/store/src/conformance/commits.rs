//! Commits: all or nothing, in order, once, and each rejected one alone.
//!
//! Leases are always right here (see `leases.rs`), but for one in the batch that must fail.

use amends_engine::ids::{Operation, StepIndex, Version};
use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::time::Timestamp;

use super::support::{Owner, definition, entry, fresh_op, key, key_in, state};
use crate::contract::*;
use crate::error::CommitError;
use crate::record;

const REQUEST: PayloadKey = PayloadKey::Request(StepIndex(0), Operation::Action);
const OUTPUT: PayloadKey = PayloadKey::Output(StepIndex(0), Operation::Action);

fn input() -> (PayloadKey, Payload) {
    (PayloadKey::Input, Payload::json("{\"order\":1}"))
}

/// A new saga is there with all that was committed, at revision 1.
pub async fn the_first_commit_makes_the_saga(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let request = (REQUEST, Payload::protobuf(vec![0, 1, 255]));
    let draft = owner.draft(&key, 0);
    let state = draft.state.clone();
    owner.write(Commit { payloads: vec![request.clone(), input()], history: vec![entry(0)], ..draft }).await;
    let due = Some(Timestamp(2_000));
    let payloads = vec![input(), request];
    assert_eq!(owner.get(&key).await, StoredSaga { key: key.clone(), revision: 1, state, payloads, due });
    assert_eq!(store.history(&key, 0, 10).await.expect("readable"), [entry(0)]);
}

/// Later commits replace the state, add payloads and history, and count up.
pub async fn each_commit_raises_the_revision(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    owner.write(Commit { payloads: vec![input()], history: vec![entry(0)], ..owner.draft(&key, 0) }).await;
    let output = (OUTPUT, Payload::json("{}"));
    let second =
        Commit { payloads: vec![output.clone()], history: vec![entry(1), entry(2)], due: None, ..owner.draft(&key, 1) };
    owner.write(second).await;
    let saga = owner.get(&key).await;
    assert_eq!((saga.revision, saga.due), (2, None));
    assert_eq!(record::decode_state(&saga.state).expect("as committed"), state(&key, 2));
    assert_eq!(saga.payloads, [input(), output]);
    assert_eq!(store.history(&key, 0, 10).await.expect("readable"), [entry(0), entry(1), entry(2)]);
}

/// Neither too low, nor too high, nor on a saga that isn't there; and it says what was found.
pub async fn a_wrong_revision_is_stale(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (there, missing) = (key("order-1"), key("order-2"));
    owner.write(owner.draft(&there, 0)).await;
    owner.write(owner.draft(&there, 1)).await;
    for (key, wrong, is) in [(&there, 0, 2), (&there, 1, 2), (&there, 3, 2), (&there, u64::MAX, 2), (&missing, 1, 0)] {
        match owner.commit(owner.draft(key, wrong)).await {
            Err(CommitError::Stale { expected, found }) => assert_eq!((expected, found), (wrong, is)),
            other => panic!("{key} at {wrong} should be stale: {other:?}"),
        }
        assert_eq!(owner.revision(key).await, is, "nothing was written");
    }
}

/// The same commit again is a success and changes nothing (semantics A16).
pub async fn a_repeat_is_a_duplicate(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let commit = Commit { payloads: vec![input()], history: vec![entry(0)], ..owner.draft(&key, 0) };
    owner.write(commit.clone()).await;
    let answers = store.commit(vec![commit.clone(), commit]).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Committed::Duplicate { .. }))), "{answers:?}");
    assert_eq!(owner.revision(&key).await, 1);
}

/// A re-send that comes after the next commits went out is still a duplicate (semantics A16).
pub async fn a_repeat_is_recognised_behind_later_commits(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let commits: Vec<Commit> = (0..OPS_REMEMBERED as u64).map(|revision| owner.draft(&key, revision)).collect();
    for commit in &commits {
        owner.write(commit.clone()).await;
    }
    for commit in &commits {
        let answer = owner.commit(commit.clone()).await;
        assert!(matches!(answer, Ok(Committed::Duplicate { .. })), "revision {}: {answer:?}", commit.expected_revision);
    }
    assert_eq!(owner.revision(&key).await, OPS_REMEMBERED as u64);
}

/// An op id alone proves nothing: with other content it is another commit, judged by its revision.
pub async fn the_same_op_with_other_content_is_no_duplicate(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let first = owner.draft(&key, 0);
    owner.write(first.clone()).await;
    let other = record::encode_state(&state(&key, 99));
    let answer = owner.commit(Commit { state: other.clone(), ..first.clone() }).await;
    assert!(matches!(answer, Err(CommitError::Stale { expected: 0, found: 1 })), "{answer:?}");
    owner.write(Commit { state: other.clone(), expected_revision: 1, ..first }).await;
    assert_eq!(owner.get(&key).await.state, other);
}

/// Fenced, stale and contradicting commits don't disturb their neighbours.
pub async fn a_rejected_commit_fails_alone(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let keys: Vec<_> = (0..6).map(|number| key(&format!("order-{number}"))).collect();
    owner.write(Commit { payloads: vec![input()], ..owner.draft(&keys[3], 0) }).await;
    let mut batch: Vec<Commit> = keys.iter().map(|key| owner.draft(key, 0)).collect();
    batch[1].lease.epoch = Epoch(1);
    batch[2].expected_revision = 7;
    batch[3].expected_revision = 1;
    batch[3].payloads = vec![(PayloadKey::Input, Payload::json("other"))];
    batch[4].lease.nonce = Nonce(0);
    let answers = store.commit(batch).await;
    assert_eq!(answers.len(), 6);
    assert!(matches!(answers[0], Ok(Committed::Now { .. })), "{answers:?}");
    assert!(matches!(answers[1], Err(CommitError::Fenced)), "{answers:?}");
    assert!(matches!(answers[2], Err(CommitError::Stale { expected: 7, found: 0 })), "{answers:?}");
    assert!(matches!(answers[3], Err(CommitError::Overwrite { .. })), "{answers:?}");
    assert!(matches!(answers[4], Err(CommitError::Fenced)), "{answers:?}");
    assert!(matches!(answers[5], Ok(Committed::Now { .. })), "{answers:?}");
    for (key, revision) in keys.iter().zip([1, 0, 0, 1, 0, 1]) {
        assert_eq!(owner.revision(key).await, revision, "{key}");
    }
}

/// Commits of a batch are written in its order, so one can build on another.
pub async fn one_saga_may_be_twice_in_a_batch(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let answers = store.commit(vec![owner.draft(&key, 0), owner.draft(&key, 1), owner.draft(&key, 1)]).await;
    assert!(matches!(answers[..2], [Ok(Committed::Now { .. }), Ok(Committed::Now { .. })]), "{answers:?}");
    assert!(matches!(answers[2], Err(CommitError::Stale { expected: 1, found: 2 })), "{answers:?}");
    assert_eq!(owner.revision(&key).await, 2);
}

/// Nothing in, nothing out.
pub async fn an_empty_batch_is_answered(store: &dyn Store) {
    assert!(store.commit(Vec::new()).await.is_empty());
}

/// The same bytes again are harmless, others are refused and leave nothing of their commit.
pub async fn payloads_are_written_once(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    owner.write(Commit { payloads: vec![input()], ..owner.draft(&key, 0) }).await;
    owner.write(Commit { payloads: vec![input()], ..owner.draft(&key, 1) }).await;
    let contradictions = [Payload::json("{\"order\":2}"), Payload::protobuf("{\"order\":1}")];
    for other in contradictions {
        let payloads = vec![(OUTPUT, Payload::json("1")), (PayloadKey::Input, other)];
        let answer = owner.commit(Commit { payloads, history: vec![entry(5)], ..owner.draft(&key, 2) }).await;
        assert!(matches!(answer, Err(CommitError::Overwrite { .. })), "{answer:?}");
    }
    let saga = owner.get(&key).await;
    assert_eq!((saga.revision, saga.payloads), (2, vec![input()]));
    assert!(store.history(&key, 0, 10).await.expect("readable").is_empty());
}

/// History entries likewise.
pub async fn history_is_written_once(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    owner.write(Commit { history: vec![entry(0)], ..owner.draft(&key, 0) }).await;
    let other = vec![entry(1), (0, entry(7).1)];
    let answer = owner.commit(Commit { payloads: vec![input()], history: other, ..owner.draft(&key, 1) }).await;
    assert!(matches!(answer, Err(CommitError::Overwrite { .. })), "{answer:?}");
    owner.write(Commit { history: vec![entry(0), entry(1)], ..owner.draft(&key, 1) }).await;
    assert_eq!(store.history(&key, 0, 10).await.expect("readable"), [entry(0), entry(1)]);
    assert!(owner.get(&key).await.payloads.is_empty(), "nothing stayed of the refused commit");
}

/// A commit that contradicts itself makes no saga, and the id can be used after it.
pub async fn a_rejected_new_saga_leaves_nothing(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let payloads = vec![input(), (OUTPUT, Payload::json("1")), (OUTPUT, Payload::json("2"))];
    let answer = owner.commit(Commit { payloads, history: vec![entry(0)], ..owner.draft(&key, 0) }).await;
    assert!(matches!(answer, Err(CommitError::Overwrite { .. })), "{answer:?}");
    assert_eq!(store.get(&key).await.expect("readable"), None);
    owner.write(owner.draft(&key, 0)).await;
    assert!(owner.get(&key).await.payloads.is_empty());
}

/// A saga can't be written under another shard's lease, however right that is.
pub async fn the_shard_must_be_the_sagas_own(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let own = owner.lease(&key);
    for lease in owner.leases.iter().filter(|lease| lease.shard != own.shard) {
        let answer = owner.commit(Commit { lease: *lease, ..owner.draft(&key, 0) }).await;
        assert!(matches!(answer, Err(CommitError::WrongShard)), "{answer:?}");
    }
    assert_eq!(owner.revision(&key).await, 0);
}

/// Later commits may move a saga to another status or version, but never change how it is ordered or found.
pub async fn labels_and_start_are_fixed_at_the_first_commit(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let label = |value: &str| vec![("order".to_owned(), value.to_owned())];
    let mut first = owner.draft(&key, 0);
    first.index.labels = label("1");
    owner.write(first).await;
    let mut second = owner.draft(&key, 1);
    second.index =
        IndexRow { labels: label("2"), started_at: Timestamp(9), version: Version(2), ..second.index.clone() };
    second.index.definition = definition("other");
    owner.write(second).await;
    let by = |labels| Filter {
        labels,
        version: Some(Version(2)),
        definition: Some(definition("other")),
        ..Filter::default()
    };
    let page = store.list(&by(label("1")), None, 10).await.expect("readable");
    assert_eq!(page.items.len(), 1, "found by its first label");
    assert!(store.list(&by(label("2")), None, 10).await.expect("readable").items.is_empty());
    let before = Cursor { started_at: Timestamp(1_000), key };
    let page = store.list(&Filter::default(), Some(&before), 10).await.expect("readable");
    assert!(page.items.is_empty(), "its place in the order is the first one");
}

/// Pages of history begin where they are asked to and are no longer than asked for.
pub async fn history_comes_in_pages(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    owner.write(Commit { history: (0..5).map(entry).collect(), ..owner.draft(&key, 0) }).await;
    owner.write(Commit { history: (5..8).map(entry).collect(), ..owner.draft(&key, 1) }).await;
    for (from, limit, expected) in [(0, 3, 0..3), (3, 3, 3..6), (6, 3, 6..8), (8, 3, 8..8), (0, 0, 0..0)] {
        let page = store.history(&key, from, limit).await.expect("readable");
        assert_eq!(page, expected.map(entry).collect::<Vec<_>>(), "from {from}");
    }
}

/// Absence is an answer, not an error.
pub async fn what_is_missing_is_not_there(store: &dyn Store) {
    assert_eq!(store.get(&key("order-1")).await.expect("readable"), None);
    assert!(store.history(&key("order-1"), 0, 10).await.expect("readable").is_empty());
}

/// One id in two namespaces is two sagas (semantics A9).
pub async fn namespaces_are_apart(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (a, b) = (key_in("team-a", "order-1"), key_in("team-b", "order-1"));
    owner.write(Commit { op: fresh_op(), ..owner.draft(&a, 0) }).await;
    assert_eq!(owner.revision(&b).await, 0);
    owner.write(owner.draft(&b, 0)).await;
    owner.write(owner.draft(&b, 1)).await;
    assert_eq!((owner.revision(&a).await, owner.revision(&b).await), (1, 2));
}
