//! What lists and counts narrow by beside status and definition, counts that are exact after every kind of move, and lists that
//! are read while sagas move.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use amends_engine::ids::SagaKey;
use amends_engine::outcome::{LastOutcome, OutcomeKind, Why};
use amends_engine::saga::{OperationStatus, StuckReason};
use amends_engine::time::Timestamp;
use futures::future::join;

use super::listing::{keys, start, walk};
use super::support::{Owner, definition, key, participant, state};
use crate::contract::*;
use crate::record;

fn held_up(name: &str) -> Filter {
    Filter { held_up_at: Some(participant(name)), ..Filter::default() }
}

/// By participant, alone and with others; one that moves on is found there no more.
pub async fn where_a_saga_is_held_up_narrows(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (moving, stuck, retrying) = (key("moving"), key("stuck"), key("retrying"));
    start(&owner, &moving, 1, |_| {}).await;
    start(&owner, &stuck, 2, |index| {
        (index.status, index.stuck) = ("stuck", Some("retries_exhausted"));
        index.held_up_at = Some(participant("payment"));
    })
    .await;
    start(&owner, &retrying, 3, |index| index.held_up_at = Some(participant("payment"))).await;
    assert_eq!(keys(store, &held_up("payment")).await, [retrying.clone(), stuck.clone()]);
    assert_eq!(keys(store, &held_up("stock")).await, []);
    let both = Filter { stuck: Some("retries_exhausted".into()), ..held_up("payment") };
    assert_eq!(keys(store, &both).await, std::slice::from_ref(&stuck));
    owner.write(owner.draft(&retrying, 1)).await;
    assert_eq!(keys(store, &held_up("payment")).await, [stuck]);
    assert_eq!(keys(store, &Filter::default()).await.len(), 3);
}

/// One that somebody has acknowledged is left out only where that is asked for, and may be so no longer.
pub async fn what_is_acknowledged_can_be_left_out(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (one, other) = (key("one"), key("other"));
    start(&owner, &one, 1, |index| index.held_up_at = Some(participant("payment"))).await;
    start(&owner, &other, 2, |_| {}).await;
    let mut commit = owner.draft(&one, 1);
    commit.index.acknowledged = true;
    commit.index.held_up_at = Some(participant("payment"));
    owner.write(commit).await;
    let open = Filter { unacknowledged: true, ..Filter::default() };
    assert_eq!(keys(store, &open).await, std::slice::from_ref(&other));
    assert_eq!(keys(store, &held_up("payment")).await, std::slice::from_ref(&one));
    let counts = store.count(&Filter::default()).await.expect("readable");
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 2);
    owner.write(owner.draft(&one, 2)).await;
    assert_eq!(keys(store, &open).await, [other, one]);
}

/// The text in any case; age since it is stuck, else since its start; nothing that has ended.
pub async fn errors_and_ages_narrow_the_unfinished(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (fine, failed, stuck, ended) = (key("fine"), key("failed"), key("stuck"), key("ended"));
    start(&owner, &fine, 10, |_| {}).await;
    for (id, at, since) in [(&failed, 20, None), (&stuck, 30, Some(500)), (&ended, 40, None)] {
        let mut commit = owner.draft(id, 0);
        commit.index.started_at = Timestamp(at);
        let mut state = state(id, 1);
        let why = Why::new("UNAVAILABLE", "Kontostand überschritten");
        state.steps[0].action.last = Some(LastOutcome { kind: OutcomeKind::NotSent, why, at: Timestamp(5) });
        if let Some(since) = since {
            let reason = StuckReason::RetriesExhausted;
            state.steps[0].action.status = OperationStatus::Stuck { reason, since: Timestamp(since) };
            (commit.index.status, commit.index.stuck) = ("stuck", Some(reason.as_str()));
        }
        commit.state = record::encode_state(&state);
        owner.write(commit).await;
    }
    let error = |text: &str| Filter { error: Some(text.to_owned()), ..Filter::default() };
    let since = |at: u64| Filter { waiting_since: Some(Timestamp(at)), ..Filter::default() };
    let finished = Commit { state: record::encode_state(&state(&ended, 2)), ..owner.finish(&ended, 1, 999) };
    assert_eq!(keys(store, &error("kontostand Ü")).await, [ended.clone(), stuck.clone(), failed.clone()]);
    owner.write(finished).await;
    for (filter, expected) in [
        (error("kontostand Ü"), vec![&stuck, &failed]),
        (error("unavailable: k"), vec![&stuck, &failed]),
        (error("no such text"), vec![]),
        (Filter { statuses: vec!["stuck".into()], ..error("konto") }, vec![&stuck]),
        (since(9), vec![]),
        (since(10), vec![&fine]),
        (since(20), vec![&failed, &fine]),
        (since(499), vec![&failed, &fine]),
        (since(500), vec![&stuck, &failed, &fine]),
        (since(u64::MAX), vec![&stuck, &failed, &fine]),
        (Filter { error: Some("konto".into()), ..since(20) }, vec![&failed]),
        (Filter { stuck: Some("retries_exhausted".into()), ..since(500) }, vec![&stuck]),
        (Filter { stuck: Some("retries_exhausted".into()), ..since(499) }, vec![]),
    ] {
        let found: Vec<SagaKey> = walk(store, &filter, 1).await.into_iter().map(|saga| saga.key).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
        let counts = store.count(&filter).await.expect("readable");
        let counted: u64 = counts.iter().map(|(_, count)| count).sum();
        assert_eq!(counted, expected.len() as u64, "{filter:?}");
        assert!(counts.iter().all(|(_, count)| *count > 0), "{counts:?}");
    }
}

/// After sagas began, moved, were finished and swept, every kind has the count of a shadow.
pub async fn counts_are_exact_by_kind(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let mut shadow: BTreeMap<SagaKey, SagaKind> = BTreeMap::new();
    for round in 0..4_u64 {
        for number in 0..12_u64 {
            let id = key(&format!("order-{number}"));
            let mut commit = owner.draft(&id, round);
            commit.index.started_at = Timestamp(number);
            commit.index.definition = definition(["checkout", "refund"][number as usize % 2]);
            commit.index.held_up_at = [None, Some(participant("payment"))][(number + round) as usize % 2].clone();
            if (number + round).is_multiple_of(3) {
                (commit.index.status, commit.index.stuck) = ("stuck", Some("poison"));
            }
            if round == 3 && number.is_multiple_of(2) {
                commit = Commit { index: commit.index, ..owner.finish(&id, round, number) };
                (commit.index.status, commit.index.open, commit.index.stuck) = ("completed", false, None);
            }
            let IndexRow { definition, version, status, stuck, held_up_at, .. } = commit.index.clone();
            let (status, stuck) = (status.to_owned(), stuck.map(str::to_owned));
            shadow.insert(id, SagaKind { definition, version, status, stuck, held_up_at });
            owner.write(commit).await;
        }
        let mut expected: BTreeMap<SagaKind, u64> = BTreeMap::new();
        shadow.values().for_each(|kind| *expected.entry(kind.clone()).or_default() += 1);
        let counts = store.count(&Filter::default()).await.expect("readable");
        assert_eq!(counts, expected.into_iter().collect::<Vec<_>>(), "round {round}");
    }
    let swept = store.sweep(Timestamp(4), 2).await.expect("writable");
    let counts = store.count(&Filter::default()).await.expect("readable");
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 12 - swept);
}

/// While all sagas move from cell to cell without a pause, whoever reads page by page gets each exactly once, in order: those of
/// a filter that they pass all the time, in whichever cell they are.
pub async fn pages_stay_right_while_sagas_move(store: &dyn Store) {
    const SAGAS: u64 = 60;
    let owner = Owner::of(store, "node-a").await;
    let started: Vec<SagaKey> = (0..SAGAS).map(|number| key(&format!("order-{number:02}"))).collect();
    for (at, key) in (0_u64..).zip(&started) {
        start(&owner, key, at, |_| {}).await;
    }
    start(&owner, &key("of-another"), 30, |index| index.definition = definition("refund")).await;
    let expected: Vec<SagaKey> = started.iter().rev().cloned().collect();
    let filter = Filter { definition: Some(definition("checkout")), ..Filter::default() };
    let done = AtomicBool::new(false);
    let moving = async {
        for revision in 1.. {
            if done.load(Ordering::Relaxed) {
                return revision;
            }
            let commit = |(number, key): (u64, &SagaKey)| {
                let mut commit = owner.draft(key, revision);
                // Into another cell each time, and in every round into one that there wasn't before.
                let place = format!("participant-{}", (number + revision) % 5 + revision / 2 * 5);
                commit.index.held_up_at = Some(participant(&place));
                commit
            };
            let commits = (0..).zip(&started).map(commit).collect();
            assert!(store.commit(commits).await.iter().all(Result::is_ok));
            // A store that never waits would let nobody read.
            tokio::task::yield_now().await;
        }
        0
    };
    let reading = async {
        for limit in [7, 1, 23, 5, 60, 3, 11] {
            let found: Vec<SagaKey> = walk(store, &filter, limit).await.into_iter().map(|saga| saga.key).collect();
            assert_eq!(found, expected, "in pages of {limit}");
            let counts = store.count(&filter).await.expect("readable");
            assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), SAGAS);
        }
        done.store(true, Ordering::Relaxed);
    };
    join(moving, reading).await;
}
