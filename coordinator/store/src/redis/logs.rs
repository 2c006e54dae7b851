//! The logs of the shards: a hash each, with an entry per number.
//!
//! Numbers are judged by the scripts, with sagas by `lua/commit.lua`, alone by `lua/append.lua`. Reads are by number and cost what
//! they give, however long the log is. Invariant: what a script says about an entry is about its number, counted as it was sent.

use bytes::Bytes;
use redis::{Cmd, Value};

use super::failure::Failure;
use super::fields::from_nonce;
use super::keys::{Keys, slot_of};
use super::link::Lane;
use super::{RedisStore, values};
use crate::contract::{Append, Commit, Committed, Lease, Log, OpId, ShardId, Span};
use crate::error::{CommitError, StoreError};
use crate::transfer::LogRecord;

/// The first of the codes by which `commit.lua` says that an entry doesn't come next; the others follow, one per entry.
pub(super) const STALE_LOG: u64 = 7;

/// The same of `append.lua`.
const STALE_ALONE: u64 = 3;

/// How many entries one command reads at most: Redis does nothing else meanwhile.
const TOGETHER: u64 = 500;

/// Bytes of the op id before an entry.
pub(super) const OP: usize = 16;

/// An entry as its field's value: the op id of its write, then what it says.
pub(super) fn to_value(op: OpId, body: &[u8]) -> Vec<u8> {
    [&op.0.to_be_bytes(), body].concat()
}

/// The inverse; `None` where it is too short.
pub(super) fn from_value(mut value: Bytes) -> Option<(OpId, Bytes)> {
    let op = value.get(..OP)?.try_into().ok().map(u128::from_be_bytes)?;
    Some((OpId(op), value.split_off(OP)))
}

/// The log entries of a call with commits: none, as a rule.
pub(super) struct Entries<'c> {
    /// The logs that they are for, each once.
    pub(super) keys: Vec<String>,
    /// Commit and log, both counted from 1 as Lua does, and the entry with its commit's op id.
    entries: Vec<(usize, usize, OpId, &'c Append)>,
}

impl<'c> Entries<'c> {
    pub(super) fn of(store: &Keys, commits: &[&'c Commit]) -> Self {
        let (mut keys, mut entries) = (Vec::new(), Vec::new());
        for (commit, number) in commits.iter().zip(1..) {
            for entry in &commit.logs {
                let key = store.log(commit.lease.shard, entry.log);
                let known = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                    keys.push(key);
                    keys.len() - 1
                });
                entries.push((number, known + 1, commit.op, entry));
            }
        }
        Self { keys, entries }
    }

    /// How many, and then each as the script reads it.
    pub(super) fn put(&self, call: &mut Cmd) {
        call.arg(self.entries.len());
        for (commit, log, op, Append { number, body, .. }) in &self.entries {
            call.arg(*commit).arg(*log).arg(*number).arg(to_value(*op, body));
        }
    }
}

/// Which entry doesn't come next, counted as they were sent.
pub(super) fn stale_log(entries: &[Append], index: u64, next: u64) -> Result<CommitError, Failure> {
    let entry = usize::try_from(index).ok().and_then(|index| entries.get(index));
    let Append { log, number, .. } = entry.ok_or(Failure::Nonsense("a code that no commit has"))?;
    Ok(CommitError::StaleLog { log: *log, expected: *number, next })
}

/// See [`crate::Store::append`].
pub(super) async fn append(
    store: &RedisStore,
    lease: Lease,
    op: OpId,
    entries: &[Append],
) -> Result<Committed, CommitError> {
    if lease.shard.0 >= store.shards {
        return Err(CommitError::Fenced);
    }
    let key = store.keys.lease(lease.shard);
    let mut call = store.scripts.append.call(1 + entries.len());
    call.arg(&key);
    for entry in entries {
        call.arg(store.keys.log(lease.shard, entry.log));
    }
    call.arg(lease.epoch.0).arg(from_nonce(lease.nonce));
    for entry in entries {
        call.arg(entry.number).arg(to_value(op, &entry.body));
    }
    let answered = store.router.write(Lane::Commit, slot_of(&key), &call).await;
    store.counters.add_transaction();
    let answer =
        answered.and_then(|answer| read_appended(entries, answer)).unwrap_or_else(|failure| Err(failure.commit()));
    store.counters.add_commits(u64::from(matches!(answer, Ok(Committed::Now { .. }))));
    answer
}

fn read_appended(entries: &[Append], answer: Value) -> Result<Result<Committed, CommitError>, Failure> {
    let (code, value): (u64, u64) = values::read(answer)?;
    Ok(match code {
        0 => Ok(Committed::Now { number: value }),
        1 => Ok(Committed::Duplicate { number: value }),
        2 => Err(CommitError::Fenced),
        code => Err(stale_log(entries, code.wrapping_sub(STALE_ALONE), value)?),
    })
}

/// See [`crate::Store::log_span`].
pub(super) async fn span(store: &RedisStore, shard: ShardId, log: Log) -> Result<Span, StoreError> {
    let key = store.keys.log(shard, log);
    let mut fields = redis::cmd("HMGET");
    fields.arg(&key).arg(&["first", "next"]);
    let answers = store.router.read(vec![(slot_of(&key), fields)]).await.map_err(Failure::store)?;
    let fields: Option<(Option<u64>, Option<u64>)> =
        answers.into_iter().next().map(values::read).transpose().map_err(Failure::store)?;
    match fields {
        Some((Some(first), Some(next))) => Ok(Span { first, next }),
        _ => Err(StoreError::Corrupt {
            what: format!(
                "the {} log of shard {} is gone: Redis lost data. Stop, and restore its appendonly files or a backup",
                log.name(),
                shard.0
            ),
            source: None,
        }),
    }
}

/// Whether no log of the store ever had an entry.
pub(super) async fn are_new(store: &RedisStore) -> Result<bool, StoreError> {
    for shard in store.all_shards() {
        for log in Log::ALL {
            if span(store, shard, log).await? != Span::NEW {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Entries from a number on, each with the op id of its write; those that aren't there are left out.
pub(super) async fn entries(
    store: &RedisStore,
    shard: ShardId,
    log: Log,
    from: u64,
    limit: usize,
) -> Result<Vec<LogRecord>, StoreError> {
    let Span { first, next } = span(store, shard, log).await?;
    let from = from.max(first);
    let to = next.min(from.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX)));
    let key = store.keys.log(shard, log);
    let mut found = Vec::new();
    let mut begin = from;
    while begin < to {
        let end = to.min(begin.saturating_add(TOGETHER));
        let mut some = redis::cmd("HMGET");
        some.arg(&key).arg((begin..end).collect::<Vec<u64>>());
        let answers = store.router.read(vec![(slot_of(&key), some)]).await.map_err(Failure::store)?;
        let entries = answers.into_iter().next().map_or(Err(Failure::Nonsense("a read has no answer")), values::parts);
        for (number, value) in (begin..end).zip(entries.map_err(Failure::store)?) {
            let Some(value) = values::bytes(value).map_err(Failure::store)? else { continue };
            let unreadable = || super::corrupt(&format!("entry {number} of shard {}'s {} log", shard.0, log.name()));
            let (op, body) = from_value(value).ok_or_else(unreadable)?;
            found.push(LogRecord { number, op, body });
        }
        begin = end;
    }
    Ok(found)
}

/// See [`crate::Store::trim_log`].
pub(super) async fn trim(store: &RedisStore, lease: Lease, log: Log, below: u64) -> Result<(), StoreError> {
    let (lease_key, key) = (store.keys.lease(lease.shard), store.keys.log(lease.shard, log));
    loop {
        let mut call = store.scripts.trim.call(2);
        call.arg(&lease_key).arg(&key).arg(lease.epoch.0).arg(from_nonce(lease.nonce)).arg(below);
        let answer = store.router.write(Lane::Record, slot_of(&key), &call).await;
        match answer.and_then(values::number).map_err(Failure::store)? {
            0 => return Err(StoreError::LeaseLost),
            1 => return Ok(()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Part of the format: never changes within it.
    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let value = to_value(OpId(0x0102), b"words");
        assert_eq!(value, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02words");
        assert_eq!(from_value(value.into()), Some((OpId(0x0102), Bytes::from("words"))));
        assert_eq!(from_value(Bytes::from(vec![0; OP])), Some((OpId(0), Bytes::new())));
        assert_eq!(from_value(Bytes::from(vec![0; OP - 1])), None);
    }
}
