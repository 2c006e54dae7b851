//! What people ask for: plan, look, apply, set the rate, stop.
//!
//! Invariants: a batch runs only after somebody has applied it by its id; one that has ended or expired never runs again.

use amends_engine::ids::Namespace;
use amends_engine::saga::By;
use amends_store::ShardId;

use super::documents::{Documents, Name};
use super::error::BatchError;
use super::planner::Planning;
use super::record::{Count, Head, Item, ItemStatus, Share, Status};
use crate::cluster::{Lost, Place};
use crate::coordinator::Coordinator;

/// A batch as it stands.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What it is.
    pub head: Head,
    /// Where it stands now.
    pub status: Status,
    /// To how many it was done.
    pub done: u64,
    /// How many had moved.
    pub moved: u64,
    /// How many refused.
    pub refused: u64,
    /// What it waits for, for people; empty: nothing but its turn.
    pub note: String,
}

/// How a batch is to be carried out.
#[derive(Debug, Clone)]
pub struct Applying {
    /// Sagas per second on all nodes together; above 0, at most [`super::RATE_MAX`].
    pub rate: f64,
    /// Who applies it, and why.
    pub by: By,
}

/// A page of items, and where the next one begins: a position in the plan.
#[derive(Debug, Clone)]
pub struct Items {
    /// What was found, in the order of the plan; of those that wait, the message says for what, where it is more than their turn.
    pub items: Vec<Item>,
    /// `None`: this was the last page.
    pub next: Option<u64>,
}

impl Coordinator {
    /// Makes a plan. It changes no saga. May take a while; to be run to its end.
    pub async fn plan_batch(&self, planning: Planning) -> Result<Shown, BatchError> {
        let head = planning.make(self).await?;
        self.shown(head).await
    }

    /// How a batch stands.
    pub async fn batch(&self, namespace: &Namespace, id: &str) -> Result<Shown, BatchError> {
        let name = name(namespace, id)?;
        let found = self.batch_documents().head(&name).await?.filter(|(_, head)| head.status != Status::Draft);
        let (_, head) = found.ok_or_else(|| BatchError::NoSuchBatch(id.to_owned()))?;
        self.shown(head).await
    }

    /// A tenant's batches, the newest first, after this id; without samples and calls. Fewer than `limit`: these were the last.
    pub async fn batches(
        &self,
        namespace: &Namespace,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Shown>, Option<String>), BatchError> {
        let found = self.batch_documents().heads(Some(namespace), after, limit).await?;
        let next = if found.len() < limit { None } else { found.last().map(|(name, _)| name.id.clone()) };
        let mut shown = Vec::with_capacity(found.len());
        for (name, head) in found {
            match head {
                Ok(head) if head.status == Status::Draft => {}
                Ok(head) => shown.push(self.shown(Head { sample: Vec::new(), calls: Vec::new(), ..head }).await?),
                Err(why) => tracing::warn!(batch = name.id, why, "the record of a batch can't be read"),
            }
        }
        Ok((shown, next))
    }

    /// A batch's sagas from a position of the plan on, at most `limit`, of one status or of all.
    pub async fn batch_items(
        &self,
        namespace: &Namespace,
        id: &str,
        only: Option<ItemStatus>,
        from: u64,
        limit: usize,
    ) -> Result<Items, BatchError> {
        let head = self.batch(namespace, id).await?.head;
        let (name, documents) = (name(namespace, id)?, self.batch_documents());
        let (mut position, mut items) = (0, Vec::new());
        for Share { shard, parts, items: count } in head.shares {
            if position + count <= from {
                position += count;
                continue;
            }
            let frozen = self.frozen(shard);
            for number in 0..parts {
                let part = documents.part(&name, shard, number).await?.map(|(_, part)| part).unwrap_or_default();
                for mut item in part.items {
                    position += 1;
                    if position <= from || only.is_some_and(|only| item.status() != only) {
                        continue;
                    }
                    if items.len() == limit {
                        return Ok(Items { items, next: Some(position - 1) });
                    }
                    if let Some(lost) = frozen.as_ref().filter(|_| item.status() == ItemStatus::Waiting) {
                        item.message = lost.to_string();
                    }
                    items.push(item);
                }
            }
        }
        Ok(Items { items, next: None })
    }

    /// Begins to carry out a plan, or goes on with one that was stopped. One that runs already is given as it is: a repeat.
    pub async fn apply_batch(&self, namespace: &Namespace, id: &str, applying: Applying) -> Result<Shown, BatchError> {
        let (name, documents, now) = (name(namespace, id)?, self.batch_documents(), self.seams().now());
        let head = documents.change_head(&name, |head| {
            match head.status_at(now) {
                Status::Draft => return Err(BatchError::NoSuchBatch(id.to_owned())),
                Status::Expired => return Err(BatchError::Expired(id.to_owned())),
                Status::Done => return Err(BatchError::Done(id.to_owned())),
                Status::Running => return Ok(()),
                Status::Planned | Status::Stopped => {}
            }
            head.status = Status::Running;
            head.applied_by.clone_from(&applying.by.principal);
            head.apply_reason.clone_from(&applying.by.reason);
            head.applied_at = head.applied_at.or(Some(now));
            head.ended_at = None;
            head.rate = applying.rate;
            Ok(())
        });
        let head = head.await?;
        // Also where it ran already: whoever applied it may have gone away before this.
        documents.mark(&name).await?;
        self.nudge_batches();
        self.shown(head).await
    }

    /// Makes a batch that runs slower or faster.
    pub async fn set_batch_rate(&self, namespace: &Namespace, id: &str, rate: f64) -> Result<Shown, BatchError> {
        let (name, documents, now) = (name(namespace, id)?, self.batch_documents(), self.seams().now());
        let head = documents.change_head(&name, |head| {
            match head.status_at(now) {
                Status::Running => head.rate = rate,
                Status::Draft => return Err(BatchError::NoSuchBatch(id.to_owned())),
                other => return Err(BatchError::NotRunning { id: id.to_owned(), status: other.as_str() }),
            }
            Ok(())
        });
        self.shown(head.await?).await
    }

    /// Stops a batch where it stands, or throws a plan away. One that has ended already stays as it is.
    pub async fn stop_batch(&self, namespace: &Namespace, id: &str) -> Result<Shown, BatchError> {
        let (name, documents, now) = (name(namespace, id)?, self.batch_documents(), self.seams().now());
        let mark = documents.marked(&name).await?;
        let head = documents.change_head(&name, |head| {
            match head.status_at(now) {
                Status::Draft => return Err(BatchError::NoSuchBatch(id.to_owned())),
                Status::Planned => {
                    head.expires_at = now;
                    head.ended_at = Some(now);
                }
                Status::Running => {
                    head.status = Status::Stopped;
                    head.ended_at = Some(now);
                }
                Status::Stopped | Status::Done | Status::Expired => {}
            }
            Ok(())
        });
        let head = head.await?;
        if mark != 0 && head.status != Status::Running {
            documents.unmark(&name, mark).await?;
        }
        self.shown(head).await
    }

    fn batch_documents(&self) -> Documents {
        Documents::new(self.store().clone())
    }

    async fn shown(&self, head: Head) -> Result<Shown, BatchError> {
        let name = Name { namespace: head.namespace.clone(), id: head.id.clone() };
        let status = head.status_at(self.seams().now());
        // A plan that nobody applied has none, and needn't be asked for.
        let counts = match head.applied_at {
            Some(_) => self.batch_documents().counts(&name).await?,
            None => Vec::new(),
        };
        let all = counts.iter().map(|(_, count)| *count).fold(Count::default(), Count::and);
        let note = if status == Status::Running { self.remark(&head, &counts) } else { String::new() };
        Ok(Shown { status, done: all.done, moved: all.moved, refused: all.refused, note, head })
    }

    /// What a batch that runs waits for, but for its turns.
    fn remark(&self, head: &Head, counts: &[(u32, Count)]) -> String {
        let left = |share: &Share| {
            let settled = counts.iter().find(|(shard, _)| *shard == share.shard).map_or(0, |(_, it)| it.settled());
            share.items.saturating_sub(settled)
        };
        let frozen: Vec<(u64, Lost)> = head
            .shares
            .iter()
            .filter_map(|share| Some((left(share), self.frozen(share.shard)?)))
            .filter(|(left, _)| *left > 0)
            .collect();
        let sagas: u64 = frozen.iter().map(|(left, _)| left).sum();
        frozen.first().map_or_else(String::new, |(_, lost)| {
            format!("{sagas} sagas wait in {} frozen shards; one of them: {lost}", frozen.len())
        })
    }

    fn frozen(&self, shard: u32) -> Option<Lost> {
        match self.place_of(ShardId(u16::try_from(shard).ok()?)) {
            Place::Frozen(lost) => Some(lost),
            Place::Here | Place::At { .. } | Place::Nowhere => None,
        }
    }
}

fn name(namespace: &Namespace, id: &str) -> Result<Name, BatchError> {
    Name::new(namespace, id).ok_or_else(|| BatchError::NoSuchBatch(id.to_owned()))
}
