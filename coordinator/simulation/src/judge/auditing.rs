//! Whether everything that somebody asked for is in the audit log, and the log's chains hold.
//!
//! Invariant: a change that an operator made and its entry are in one commit, whoever crashes when.

use amends_engine::history::Change;
use amends_engine::payload::Digest;
use amends_runtime::audit::{Entry, NONE, parts};
use amends_store::{Commit, Log, ShardId, Store, record};

use crate::trace::Trace;
use crate::world::World;

/// What an operator changed by this commit without an entry about it.
pub(super) fn unaccounted(commit: &Commit) -> Option<String> {
    let entries = commit.logs.iter().filter(|it| it.log == Log::Audit);
    let told = entries.filter_map(|it| parts(&it.body)).filter_map(|(_, record)| Entry::decode(&record).ok());
    let target = format!("sagas/{}", commit.key.id);
    let is_told =
        told.filter(|it| it.note.revision == commit.expected_revision + 1).any(|it| it.note.call.target == target);
    let history = commit.history.iter().filter_map(|(_, entry)| record::decode_history(entry).ok());
    let by_operator = |change: &Change| {
        matches!(
            change,
            Change::Paused | Change::Resumed | Change::Retried | Change::CancelRecorded | Change::ForceStopped
        )
    };
    let missing = history.map(|it| it.entry.change).find(|change| by_operator(change) && !is_told)?;
    Some(format!("{missing:?} at revision {} is in no entry", commit.expected_revision + 1))
}

impl World {
    /// Whether the chains in the store hold.
    pub(crate) async fn check_logs(&self) {
        for shard in (0..self.store.info().shards).map(ShardId) {
            let log = self.store.read_log(shard, Log::Audit, 1, usize::MAX).await.unwrap_or_default();
            let mut last = NONE;
            for (number, body) in log {
                check(
                    &self.trace,
                    shard,
                    number,
                    last,
                    parts(&body).map(|(previous, record)| (previous, record.to_vec())),
                );
                last = Digest::of(&body);
            }
        }
    }
}

fn check(trace: &Trace, shard: ShardId, number: u64, last: Digest, found: Option<(Digest, Vec<u8>)>) {
    let problem = match found.map(|(previous, record)| (previous, Entry::decode(&record))) {
        Some((previous, _)) if previous != last => "it doesn't carry the digest of the one before".to_owned(),
        Some((_, Ok(entry))) if (entry.shard, entry.number) != (shard, number) => "it is another's".to_owned(),
        Some((_, Ok(_))) => return,
        Some((_, Err(error))) => error.to_string(),
        None => "it is too short".to_owned(),
    };
    trace.violated("audit", format!("entry {number} of shard {}: {problem}", shard.0));
}
