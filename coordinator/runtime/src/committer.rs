//! Group commit: while one batch is being made durable, the next collects.
//!
//! One loop for all shards of a node, because one fsync can serve them all. It decides nothing and keeps nothing. Invariants:
//! every commit is answered exactly once, to the shard that sent it, or the shard is gone; a group or append is begun only after
//! the one before it was answered, because `cluster/marks.rs` takes a shard's number that comes out of order for a loss.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_engine::ids::SagaKey;
use amends_store::{Append, Commit, CommitError, Committed, Lease, OpId, Store};
use tokio::sync::mpsc;

use crate::shard::ShardEvent;

/// A commit on its way, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) commit: Commit,
    pub(crate) answer_to: mpsc::UnboundedSender<ShardEvent>,
}

/// Entries of a shard's logs on their way that belong to no saga. They take the same road as commits, since both count the
/// shard's commits, and whoever hears the numbers must hear them rise.
#[derive(Debug)]
pub(crate) struct Appending {
    pub(crate) lease: Lease,
    pub(crate) op: OpId,
    pub(crate) entries: Vec<Append>,
    pub(crate) answer_to: mpsc::UnboundedSender<ShardEvent>,
}

/// Something to be made durable.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are commits, and are moved once")]
pub(crate) enum Write {
    Commit(Pending),
    Append(Appending),
}

type Answers = Vec<(SagaKey, Result<Committed, CommitError>)>;

/// Runs until every sender is gone.
pub(crate) async fn run(store: Arc<dyn Store>, mut queue: mpsc::UnboundedReceiver<Write>, group_max: usize) {
    let mut group = Vec::with_capacity(group_max);
    while queue.recv_many(&mut group, group_max).await > 0 {
        let mut commits = Vec::with_capacity(group.len());
        let mut owners = Vec::with_capacity(group.len());
        let mut appends = Vec::new();
        for write in group.drain(..) {
            let Pending { commit, answer_to } = match write {
                Write::Commit(pending) => pending,
                Write::Append(append) => {
                    appends.push(append);
                    continue;
                }
            };
            owners.push((commit.lease, commit.key.clone(), answer_to));
            commits.push(commit);
        }
        let results = store.commit(commits).await;
        let mut answers: BTreeMap<Lease, (mpsc::UnboundedSender<ShardEvent>, Answers)> = BTreeMap::new();
        for ((lease, key, answer_to), result) in owners.into_iter().zip(results) {
            if matches!(result, Err(CommitError::Fenced)) {
                // Said here, because the tenure that sent it is mostly over by now.
                tracing::warn!(shard = lease.shard.0, epoch = lease.epoch.0, saga = %key, "a late write was fenced off by the store");
            }
            let entry = answers.entry(lease).or_insert_with(|| (answer_to, Vec::new()));
            entry.1.push((key, result));
        }
        for (answer_to, results) in answers.into_values() {
            // A shard that is gone has dropped its memory; the store is the truth for whoever comes next.
            let _ = answer_to.send(ShardEvent::Committed(results));
        }
        for Appending { lease, op, entries, answer_to } in appends {
            let _ = answer_to.send(ShardEvent::Appended(store.append(lease, op, entries).await));
        }
    }
}
