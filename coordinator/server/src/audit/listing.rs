//! Reading the logs: one shard as its chain has it, or all of them merged, newest first.
//!
//! A page goes on exactly where the one before ended, in every shard, so that entries that come meanwhile shift nothing: times
//! never go back within a shard. Invariant: however few entries match, one request looks at no more than [`LOOKED_AT_MAX`].

use std::collections::VecDeque;

use amends_engine::payload::Digest;
use amends_engine::time::Timestamp;
use amends_runtime::audit::{AuditResult, Entry, parts};
use amends_store::{Log, ShardId, Store, StoreError};
use bytes::Bytes;
use futures::future::try_join_all;

/// Most entries that are looked at for one page.
const LOOKED_AT_MAX: usize = 10_000;
/// Entries that are read at a time of one shard: few at first, since there are many shards.
const FIRST: u64 = 16;
const MORE: u64 = 256;

/// Which entries to list; empty fields don't narrow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Only this tenant's, and what concerns all.
    pub(crate) namespace: String,
    /// Only about this.
    pub(crate) target: String,
    /// Only by this principal.
    pub(crate) principal: String,
    /// Only this method.
    pub(crate) method: String,
    /// Only of this batch.
    pub(crate) batch: String,
    /// Only with this result.
    pub(crate) result: Option<AuditResult>,
    /// Not before.
    pub(crate) from: Option<Timestamp>,
    /// Before.
    pub(crate) until: Option<Timestamp>,
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        let is = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        let call = &entry.note.call;
        (call.namespace.is_empty() || is(&self.namespace, &call.namespace))
            && is(&self.target, &call.target)
            && is(&self.principal, &call.principal)
            && is(&self.method, &call.method)
            && is(&self.batch, &call.batch)
            && self.result.is_none_or(|result| result == entry.note.result)
            && self.from.is_none_or(|from| entry.note.at >= from)
            && self.until.is_none_or(|until| entry.note.at < until)
    }
}

/// An entry with what holds it in its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chained {
    /// Its number.
    pub(crate) number: u64,
    /// What it says; `None` where this version can't read it.
    pub(crate) entry: Option<Entry>,
    /// The digest of the one before.
    pub(crate) previous: Digest,
    /// Its own.
    pub(crate) digest: Digest,
    /// As it was written.
    pub(crate) record: Bytes,
}

fn read((number, body): (u64, Bytes)) -> Chained {
    let digest = Digest::of(&body);
    let (previous, record) = parts(&body).unwrap_or((Digest([0; 32]), body));
    Chained { number, entry: Entry::decode(&record).ok(), previous, digest, record }
}

/// A page, and where the next one begins; `None`: there is none.
pub(crate) type Page<T> = (Vec<(ShardId, Chained)>, Option<T>);

/// Entries of one shard from a number on, the oldest first.
pub(crate) async fn list_shard(
    store: &dyn Store,
    shard: ShardId,
    filter: &Filter,
    from: u64,
    size: usize,
) -> Result<Page<u64>, StoreError> {
    let (mut next, mut page, mut looked_at) = (from, Vec::new(), 0);
    while page.len() < size && looked_at < LOOKED_AT_MAX {
        let read_now = store.read_log(shard, Log::Audit, next, size - page.len()).await?;
        let Some((last, _)) = read_now.last() else { return Ok((page, None)) };
        (next, looked_at) = (last + 1, looked_at + read_now.len());
        let entries = read_now.into_iter().map(read);
        page.extend(
            entries.filter(|it| it.entry.as_ref().is_none_or(|entry| filter.takes(entry))).map(|it| (shard, it)),
        );
    }
    Ok((page, Some(next)))
}

/// What is left of one shard, going down.
#[derive(Debug)]
struct Left {
    shard: ShardId,
    /// The first entry that there is.
    first: u64,
    /// Entries below this number haven't been read.
    below: u64,
    /// Those that have, the newest first.
    read: VecDeque<Chained>,
}

impl Left {
    async fn fill(&mut self, store: &dyn Store, count: u64) -> Result<(), StoreError> {
        if !self.read.is_empty() || self.below <= self.first {
            return Ok(());
        }
        let from = self.first.max(self.below.saturating_sub(count));
        let count = usize::try_from(self.below - from).unwrap_or(usize::MAX);
        let entries = store.read_log(self.shard, Log::Audit, from, count).await?;
        self.read = entries.into_iter().map(read).rev().collect();
        // What is missing in between was trimmed meanwhile.
        self.below = from;
        Ok(())
    }

    /// When its newest one was written that wasn't given yet.
    fn newest(&self) -> Option<Timestamp> {
        // One that can't be read comes first, and is passed over.
        self.read.front().map(|it| it.entry.as_ref().map_or(Timestamp(u64::MAX), |entry| entry.note.at))
    }

    /// Where the next page goes on.
    fn position(&self) -> u64 {
        self.read.front().map_or(self.below, |it| it.number + 1)
    }
}

/// Entries of all shards, the newest first, below these positions; without any: from the newest one.
pub(crate) async fn list_all(
    store: &dyn Store,
    filter: &Filter,
    positions: Option<&[u64]>,
    size: usize,
) -> Result<Page<Vec<u64>>, StoreError> {
    let open = (0..store.info().shards).map(ShardId).map(async |shard| {
        let span = store.log_span(shard, Log::Audit).await?;
        let below = positions.and_then(|it| it.get(usize::from(shard.0)).copied()).unwrap_or(span.next).min(span.next);
        let mut left = Left { shard, first: span.first, below, read: VecDeque::new() };
        left.fill(store, FIRST).await?;
        Ok::<_, StoreError>(left)
    });
    let mut shards = try_join_all(open).await?;
    let (mut page, mut looked_at) = (Vec::new(), 0);
    while page.len() < size && looked_at < LOOKED_AT_MAX {
        // Of two at one time, that of the higher shard: any order will do that stays.
        let newest =
            shards.iter_mut().filter(|left| left.newest().is_some()).max_by_key(|left| (left.newest(), left.shard));
        let Some(left) = newest else { return Ok((page, None)) };
        let Some(found) = left.read.pop_front() else { continue };
        looked_at += 1;
        if let Some(entry) = &found.entry {
            if filter.from.is_some_and(|from| entry.note.at < from) {
                // All that is left of it is older.
                (left.read, left.below) = (VecDeque::new(), left.first);
                continue;
            }
            if filter.takes(entry) {
                page.push((left.shard, found));
            }
        }
        left.fill(store, MORE).await?;
    }
    let is_over = shards.iter().all(|left| left.newest().is_none());
    Ok((page, (!is_over).then(|| shards.iter().map(Left::position).collect())))
}

#[cfg(test)]
mod tests;
