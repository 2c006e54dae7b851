//! Finds batches that run, and lets a worker carry each out on this node. One on every node.
//!
//! Costs one list of marks a second, which is empty while no batch runs. It also removes what is over: a week after its end.
//! Invariants: one worker for a batch on a node; a mark is taken away only from a batch that was seen not to run after it was made.

use std::collections::BTreeMap;
use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_store::ShardId;
use tokio::sync::Notify;

use super::documents::{Documents, Name};
use super::error::BatchError;
use super::record::{Head, Status};
use super::worker::Worker;
use crate::cluster::Place;
use crate::coordinator::Coordinator;
use crate::seam::{Running, sleep};

/// How often marks are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How often what is over is looked for.
const SWEEP: Duration = Duration::from_secs(3600);
/// How long a batch is kept after its end.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Heads per page of a sweep.
const PAGE: usize = 100;

/// Wakes the search on this node: somebody has just applied a batch here.
#[derive(Debug, Default)]
pub(crate) struct Nudge(Notify);

impl Nudge {
    pub(crate) fn nudge(&self) {
        self.0.notify_one();
    }

    async fn nudged(&self) {
        self.0.notified().await;
    }
}

/// Runs until it is aborted.
pub(crate) async fn run(coordinator: Coordinator, nudge: std::sync::Arc<Nudge>) {
    let documents = Documents::new(coordinator.store().clone());
    let mut workers: BTreeMap<Name, Running> = BTreeMap::new();
    let mut said = false;
    // Nobody waits for the first one: a node that has just started has better things to do.
    let mut swept_at = coordinator.seams().now();
    loop {
        tokio::select! {
            biased;
            () = nudge.nudged() => {}
            () = sleep(LOOK) => {}
        }
        workers.retain(|_, worker| !worker.is_finished());
        match look(&coordinator, &documents, &mut workers).await {
            Ok(()) => said = false,
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    let error = crate::error::with_sources(&error);
                    tracing::warn!(error, "batches that run can't be looked for; trying again");
                }
            }
        }
        let now = coordinator.seams().now();
        if now.since(swept_at) >= SWEEP && coordinator.place_of(ShardId(0)) == Place::Here {
            swept_at = now;
            if let Err(error) = sweep(&documents, now).await {
                let error = crate::error::with_sources(&error);
                tracing::warn!(error, "batches that are over can't be removed; trying again later");
            }
        }
    }
}

async fn look(
    coordinator: &Coordinator,
    documents: &Documents,
    workers: &mut BTreeMap<Name, Running>,
) -> Result<(), BatchError> {
    for (name, mark) in documents.running().await? {
        if workers.contains_key(&name) {
            continue;
        }
        let runs = documents.head(&name).await?.is_some_and(|(_, head)| head.status == Status::Running);
        if runs {
            let worker = Worker::new(coordinator.clone(), name.clone());
            workers.insert(name, Running::spawn(worker.run()));
        } else {
            documents.unmark(&name, mark).await?;
        }
    }
    Ok(())
}

/// Removes what was over a week ago, and marks again what runs: its mark may have got lost with whoever applied it.
pub(crate) async fn sweep(documents: &Documents, now: Timestamp) -> Result<(), BatchError> {
    let mut after: Option<Name> = None;
    loop {
        let from = after.as_ref().map(Name::text);
        let heads = documents.heads(None, from.as_deref(), PAGE).await?;
        for (name, head) in &heads {
            match head {
                Ok(head) if is_over(head, now) => documents.remove(name).await?,
                Ok(head) if head.status == Status::Running && documents.marked(name).await? == 0 => {
                    documents.mark(name).await?;
                }
                Ok(_) => {}
                Err(why) => tracing::warn!(batch = name.id, why, "the record of a batch can't be read; it is kept"),
            }
        }
        if heads.len() < PAGE {
            return Ok(());
        }
        after = heads.into_iter().next_back().map(|(name, _)| name);
    }
}

fn is_over(head: &Head, now: Timestamp) -> bool {
    head.over_at().is_some_and(|at| now >= at + KEPT)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use amends_engine::ids::Namespace;
    use amends_store::{MemoryStore, Store};

    use super::*;
    use crate::batch::record::tests::head;
    use crate::batch::record::{Count, Part};

    async fn all(store: &dyn Store) -> usize {
        let mut all = 0;
        for kind in ["batch", "batch-part", "batch-running"] {
            all += store.list_documents(kind, None, 1000).await.map_or(0, |found| found.len());
        }
        all
    }

    #[tokio::test]
    async fn what_is_over_is_kept_a_week_and_then_gone_with_all_its_parts() -> Result<(), BatchError> {
        let store = Arc::new(MemoryStore::new(1, Arc::new(|| Timestamp(0))));
        let documents = Documents::new(store.clone());
        let named = |number: u8| Name { namespace: Namespace::default_namespace(), id: format!("{number:020x}") };
        let ended = |status, at| Head { status, ended_at: Some(Timestamp(at)), expires_at: Timestamp(5), ..head() };
        let heads =
            [ended(Status::Done, 10), ended(Status::Stopped, 20), ended(Status::Planned, 5), ended(Status::Running, 0)];
        for (number, head) in (0..).zip(&heads) {
            let name = named(number);
            documents.add_head(&name, head).await?;
            documents.put_part(&name, (0, 0), &Part::default(), 0).await?;
            documents.put_count(&name, 0, Count::default()).await?;
        }
        sweep(&documents, Timestamp(4) + KEPT).await?;
        assert_eq!(all(&*store).await, 4 * 3 + 1, "all are kept, and what runs is marked again");
        sweep(&documents, Timestamp(10) + KEPT).await?;
        let left = documents.heads(None, None, 10).await?;
        assert_eq!(left.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), [named(1), named(3)]);
        assert_eq!(all(&*store).await, 2 * 3 + 1);
        Ok(())
    }
}
