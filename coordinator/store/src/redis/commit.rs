//! Group commit: many commits of many sagas and shards in one script call, or on a Cluster in one per shard.
//!
//! The judging is the script's (`lua/commit.lua`); here calls are put together and answers taken apart. A saga is at most once in a
//! call, so that the script can judge all before it writes any. Invariant: every commit has one answer, in the order given; what
//! a failed call said about is unknown, unless the failure itself is certain.

use std::collections::{BTreeMap, BTreeSet};

use amends_engine::ids::SagaKey;
use redis::{Cmd, Value};

use super::RedisStore;
use super::failure::Failure;
use super::fields::{from_nonce, from_payload, from_time, history_field, label_texts, labels, op_of, payload_field};
use super::keys::{SHARD_KEYS, slot_of};
use super::link::Lane;
use super::logs::{Entries, STALE_LOG, stale_log};
use super::values;
use crate::cell::Cell;
use crate::contract::{Commit, Committed, Lease, ShardId, shard_of};
use crate::error::CommitError;
use crate::transfer::ReservedId;

/// How many commits one call carries at most: Redis does nothing else meanwhile.
const CALL: usize = 512;

/// How many bytes of states, payloads and history one call carries at most, unless a single commit has more.
const CALL_BYTES: usize = 4 * 1024 * 1024;

type Answer = Result<Committed, CommitError>;

/// See [`crate::Store::commit`].
pub(super) async fn commit(store: &RedisStore, commits: Vec<Commit>) -> Vec<Answer> {
    let mut answers: Vec<Option<Answer>> = commits.iter().map(|_| None).collect();
    for (index, commit) in commits.iter().enumerate() {
        if shard_of(&commit.key, store.shards) != commit.lease.shard {
            answers[index] = Some(Err(CommitError::WrongShard));
        }
    }
    let mut left: Vec<usize> = (0..commits.len()).filter(|index| answers[*index].is_none()).collect();
    while !left.is_empty() {
        let (now, later) = wave(&commits, left);
        left = later;
        let calls = calls(store, &commits, now);
        let sent = futures::future::join_all(calls.iter().map(|call| send(store, &commits, call))).await;
        for (call, result) in calls.iter().zip(sent) {
            for (index, answer) in call.iter().zip(result) {
                answers[*index] = Some(answer);
            }
        }
    }
    let answered: Vec<Answer> = answers.into_iter().map(|answer| answer.unwrap_or_else(no_answer)).collect();
    let written = answered.iter().filter(|answer| matches!(answer, Ok(Committed::Now { .. }))).count();
    store.counters.add_commits(written as u64);
    answered
}

fn no_answer() -> Answer {
    Err(Failure::Nonsense("a commit has no answer").commit())
}

/// The commits that can go now: of each shard those up to a saga that is there already. That one builds on the first, and what
/// comes behind it on its number and on its log entries.
fn wave(commits: &[Commit], left: Vec<usize>) -> (Vec<usize>, Vec<usize>) {
    let (mut sagas, mut waiting): (BTreeSet<&SagaKey>, BTreeSet<ShardId>) = Default::default();
    left.into_iter().partition(|index| {
        let Commit { key, lease, .. } = &commits[*index];
        let goes = !waiting.contains(&lease.shard) && sagas.insert(key);
        if !goes {
            waiting.insert(lease.shard);
        }
        goes
    })
}

/// What goes together in one call: on a Cluster only what is in one slot.
fn calls(store: &RedisStore, commits: &[Commit], wave: Vec<usize>) -> Vec<Vec<usize>> {
    let mut calls: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for index in wave {
        let of = if store.router.is_cluster() { commits[index].lease.shard.0 } else { 0 };
        calls.entry(of).or_default().push(index);
    }
    calls.into_values().flat_map(|call| cut(commits, &call)).collect()
}

/// Calls of a size that doesn't hold up others for long.
fn cut(commits: &[Commit], call: &[usize]) -> Vec<Vec<usize>> {
    let (mut calls, mut bytes) = (vec![Vec::new()], 0);
    for index in call {
        let size = size(&commits[*index]);
        let full = calls.last().is_some_and(|last| last.len() == CALL || !last.is_empty() && bytes + size > CALL_BYTES);
        if full {
            calls.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        calls.last_mut().into_iter().for_each(|last| last.push(*index));
    }
    calls
}

fn size(commit: &Commit) -> usize {
    let payloads: usize = commit.payloads.iter().map(|(_, payload)| payload.bytes.len()).sum();
    let logs: usize = commit.logs.iter().map(|entry| entry.body.len()).sum();
    commit.state.len() + payloads + logs + commit.history.iter().map(|(_, entry)| entry.len()).sum::<usize>()
}

async fn send(store: &RedisStore, commits: &[Commit], call: &[usize]) -> Vec<Answer> {
    let commits: Vec<&Commit> = call.iter().map(|index| &commits[*index]).collect();
    let Some(first) = commits.first() else { return Vec::new() };
    let slot = slot_of(&store.keys.lease(first.lease.shard));
    let answered = store.router.write(Lane::Commit, slot, &compose(store, &commits)).await;
    store.counters.add_transaction();
    match answered.and_then(|answer| read(&commits, answer)) {
        Ok(answers) => answers,
        Err(failure) => {
            tracing::debug!(%failure, commits = commits.len(), "a call with commits failed");
            commits.iter().map(|_| Err(failure.commit())).collect()
        }
    }
}

/// The call: keys by lease, keys by saga, and then what `take` in the script reads.
fn compose(store: &RedisStore, commits: &[&Commit]) -> Cmd {
    let mut lanes: Vec<Lease> = Vec::new();
    let lane_of: Vec<usize> = commits.iter().map(|commit| lane(&mut lanes, commit.lease)).collect();
    let logs = Entries::of(&store.keys, commits);
    let mut call = store.scripts.commit.call(lanes.len() * SHARD_KEYS + commits.len() + logs.keys.len());
    for lease in &lanes {
        call.arg(&store.keys.shard(lease.shard));
    }
    for commit in commits {
        call.arg(store.keys.saga(commit.lease.shard, &commit.key));
    }
    call.arg(&logs.keys);
    call.arg(lanes.len()).arg(commits.len()).arg(u8::from(store.guard.is_tight()));
    logs.put(&mut call);
    for lease in &lanes {
        call.arg(lease.epoch.0).arg(from_nonce(lease.nonce));
    }
    for (commit, lane) in commits.iter().zip(lane_of) {
        put(&mut call, commit, lane);
    }
    call
}

/// The place of a lease among the call's, counted from 1 as Lua does.
fn lane(lanes: &mut Vec<Lease>, lease: Lease) -> usize {
    match lanes.iter().position(|known| *known == lease) {
        Some(index) => index + 1,
        None => {
            lanes.push(lease);
            lanes.len()
        }
    }
}

fn put(call: &mut Cmd, commit: &Commit, lane: usize) {
    let Commit { key, expected_revision, state, payloads, history, due, index, retain_until, .. } = commit;
    call.arg(lane).arg(key.namespace.as_str()).arg(key.id.as_str());
    call.arg(*expected_revision).arg(expected_revision.saturating_add(1));
    let is_first = *expected_revision == 0;
    // Whether the id is free, and what never changes, is asked of the first commit only.
    call.arg(&op_of(commit)[..])
        .arg(if is_first { ReservedId::of(key).0.to_vec() } else { Vec::new() })
        .arg(&state[..]);
    call.arg(due.map(|due| due.0.to_string()).unwrap_or_default()).arg(Cell::text(&key.namespace, index));
    call.arg(retain_until.map(from_time).unwrap_or_default()).arg(from_time(index.started_at));
    let texts = is_first.then(|| label_texts(&index.labels)).filter(|texts| !texts.is_empty());
    call.arg(if is_first { labels(&index.labels) } else { String::new() })
        .arg(payloads.len() + history.len() + usize::from(texts.is_some()));
    // All fields, then all values, so that the script hands the fields on as they stand.
    for (key, _) in payloads {
        call.arg(payload_field(*key));
    }
    for (sequence, _) in history {
        call.arg(history_field(*sequence));
    }
    if texts.is_some() {
        call.arg("names");
    }
    for (_, payload) in payloads {
        call.arg(&from_payload(payload)[..]);
    }
    for (_, entry) in history {
        call.arg(&entry[..]);
    }
    if let Some(texts) = texts {
        call.arg(texts);
    }
}

fn read(commits: &[&Commit], answer: Value) -> Result<Vec<Answer>, Failure> {
    let mut parts = values::parts(answer)?;
    commits.iter().map(|commit| read_one(commit, &mut parts)).collect()
}

fn read_one(commit: &Commit, parts: &mut impl Iterator<Item = Value>) -> Result<Answer, Failure> {
    let (code, value) = (values::number(values::next(parts)?)?, values::number(values::next(parts)?)?);
    Ok(match code {
        0 => Ok(Committed::Now { number: value }),
        1 => Ok(Committed::Duplicate { number: value }),
        2 => Err(CommitError::Fenced),
        3 => Err(CommitError::Stale { expected: commit.expected_revision, found: value }),
        4 => Err(CommitError::Reserved),
        5 => Err(overwrites(commit, value)),
        6 => Err(CommitError::Full),
        code => Err(stale_log(&commit.logs, code.wrapping_sub(STALE_LOG), value)?),
    })
}

/// Which of the values that are written once would get other bytes, counted as they were sent.
fn overwrites(commit: &Commit, index: u64) -> CommitError {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    if let Some((key, _)) = commit.payloads.get(index) {
        return CommitError::overwrites_payload(*key);
    }
    let entry = commit.history.get(index.saturating_sub(commit.payloads.len()));
    CommitError::overwrites_history(entry.map_or(0, |(sequence, _)| *sequence))
}
