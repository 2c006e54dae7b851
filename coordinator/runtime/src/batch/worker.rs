//! Carries out one batch on this node: the parts of the shards that it owns, one after the other, at its part of the rate.
//!
//! ```text
//!   every second: head ─► rate, or stop
//!   a pass: counts ─► own shards that aren't through ─► parts ─► items ─► owner ─► results into the part ─► count
//! ```
//!
//! Invariants: a part is written at the revision that it was read at, so that of two nodes that take a shard for theirs one drops
//! its results and asks again, which changes nothing; a count is always the sum of all parts; only when all counts together are all
//! items is a batch done.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use amends_store::ShardId;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::{Mutex, watch};

use super::documents::{Documents, Name};
use super::error::BatchError;
use super::item::{Settled, carry_out};
use super::pace::Pace;
use super::record::{Count, Head, Item, ItemStatus, Part, Share, Status};
use crate::cluster::Place;
use crate::coordinator::Coordinator;
use crate::seam::sleep;

/// How often a batch's head is looked at, and how long a node rests that has nothing to do for it.
const LOOK: Duration = Duration::from_secs(1);
/// Sagas that are asked for at the same time.
const TOGETHER: usize = 32;
/// Results that a part is written for.
const RESULTS: usize = 64;
/// The longest time that results wait to be written.
const WRITE: Duration = Duration::from_secs(1);

/// What a batch's head says about how to go on.
#[derive(Debug, Clone, PartialEq)]
struct Control {
    head: Option<Head>,
    /// This node's part of the rate.
    rate: f64,
}

/// One batch on this node.
pub(crate) struct Worker {
    coordinator: Coordinator,
    documents: Documents,
    name: Name,
    pace: Mutex<Pace>,
}

impl Worker {
    pub(crate) fn new(coordinator: Coordinator, name: Name) -> Self {
        let documents = Documents::new(coordinator.store().clone());
        let pace = Mutex::new(Pace::new(coordinator.seams().now()));
        Self { coordinator, documents, name, pace }
    }

    /// Works until the batch is done, stopped, or gone.
    pub(crate) async fn run(self) {
        let (control, seen) = watch::channel(Control { head: None, rate: 0.0 });
        tokio::select! {
            biased;
            () = self.work(seen) => {}
            () = self.look(&control) => {}
        }
    }

    /// Tells every second what the head says.
    async fn look(&self, control: &watch::Sender<Control>) {
        loop {
            match self.documents.head(&self.name).await {
                Ok(found) => {
                    let head = found.map(|(_, head)| head);
                    let rate = head.as_ref().map_or(0.0, |head| head.rate) / self.coordinator.living() as f64;
                    control.send_replace(Control { head, rate });
                }
                Err(error) => self.failed(&error),
            }
            sleep(LOOK).await;
        }
    }

    fn failed(&self, error: &BatchError) {
        let error = crate::error::with_sources(error);
        tracing::warn!(batch = self.name.id, error, "a batch isn't getting on; trying again");
    }

    async fn work(&self, mut control: watch::Receiver<Control>) {
        // The sender is in the other half of the same select: it can't be gone.
        let _ = control.changed().await;
        loop {
            let running = control.borrow_and_update().head.clone().filter(|head| head.status == Status::Running);
            let Some(head) = running else { return };
            match self.pass(&head, &control).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => self.failed(&error),
            }
            sleep(LOOK).await;
        }
    }

    /// Works through this node's shards once; true when all is done everywhere.
    async fn pass(&self, head: &Head, control: &watch::Receiver<Control>) -> Result<bool, BatchError> {
        let counts: BTreeMap<u32, Count> = self.documents.counts(&self.name).await?.into_iter().collect();
        for share in &head.shares {
            let settled = counts.get(&share.shard).map_or(0, |count| count.settled());
            if self.is_here(share.shard) && settled < share.items {
                self.share(head, share, control).await?;
            }
        }
        let counts = self.documents.counts(&self.name).await?;
        let all = counts.into_iter().map(|(_, count)| count).fold(Count::default(), Count::and);
        if all.settled() < head.planned {
            return Ok(false);
        }
        self.finish().await?;
        Ok(true)
    }

    async fn finish(&self) -> Result<(), BatchError> {
        let mark = self.documents.marked(&self.name).await?;
        let now = self.coordinator.seams().now();
        let ended = self.documents.change_head(&self.name, |head| {
            if head.status == Status::Running {
                head.status = Status::Done;
                head.ended_at = Some(now);
            }
            Ok(())
        });
        if ended.await?.status == Status::Done {
            self.documents.unmark(&self.name, mark).await?;
            tracing::info!(batch = self.name.id, "a batch is done");
        }
        Ok(())
    }

    /// All parts of one shard.
    async fn share(&self, head: &Head, share: &Share, control: &watch::Receiver<Control>) -> Result<(), BatchError> {
        let mut count = Count::default();
        let mut told = Count::default();
        for number in 0..share.parts {
            let Some((revision, mut part)) = self.documents.part(&self.name, share.shard, number).await? else {
                let why = format!("part {number} of shard {} is missing", share.shard);
                return Err(BatchError::Unreadable { id: self.name.id.clone(), why });
            };
            if crate::planted::is("batch_starts_again") {
                part.items.iter_mut().for_each(|item| item.settle(ItemStatus::Waiting, String::new()));
            }
            let at = At { shard: share.shard, number, before: count };
            if Count::of(&part.items).settled() < part.items.len() as u64 {
                self.part(head, &at, &mut part, revision, control).await?;
            }
            count = count.and(Count::of(&part.items));
            // While it goes on people want to see it, and a part that was written by a node that is gone isn't counted yet.
            if count != told && number + 1 < share.parts {
                self.documents.put_count(&self.name, share.shard, count).await?;
                told = count;
            }
        }
        self.documents.put_count(&self.name, share.shard, count).await
    }

    /// The items of one part that still wait.
    async fn part(
        &self,
        head: &Head,
        at: &At,
        part: &mut Part,
        mut revision: u64,
        control: &watch::Receiver<Control>,
    ) -> Result<(), BatchError> {
        let mut waiting: VecDeque<usize> = VecDeque::new();
        waiting.extend(
            part.items
                .iter()
                .enumerate()
                .filter(|(_, item)| item.status() == ItemStatus::Waiting)
                .map(|(index, _)| index),
        );
        let mut under_way = FuturesUnordered::new();
        let (mut fresh, mut written_at) = (0, self.coordinator.seams().now());
        loop {
            let wait = WRITE.saturating_sub(self.coordinator.seams().now().since(written_at));
            let is_time = tokio::select! {
                biased;
                Some((index, settled)) = under_way.next() => {
                    fresh += usize::from(settle(part, index, settled));
                    fresh >= RESULTS
                }
                () = sleep(wait), if fresh > 0 => true,
                is_next = self.turn(at.shard, control.clone()), if !waiting.is_empty() && under_way.len() < TOGETHER => {
                    match waiting.pop_front().filter(|_| is_next) {
                        Some(index) => under_way.push(self.ask(head, index, part.items[index].clone())),
                        None => waiting.clear(),
                    }
                    false
                }
                else => break,
            };
            if is_time {
                revision = self.write(at, part, revision).await?;
                (fresh, written_at) = (0, self.coordinator.seams().now());
            }
        }
        if fresh > 0 {
            self.write(at, part, revision).await?;
        }
        Ok(())
    }

    async fn ask(&self, head: &Head, index: usize, item: Item) -> (usize, Settled) {
        (index, carry_out(&self.coordinator, &self.name, head, &item).await)
    }

    /// Writes a part's results, and how far its shard is with them; gives the part's new revision.
    async fn write(&self, at: &At, part: &Part, revision: u64) -> Result<u64, BatchError> {
        let written = self.documents.put_part(&self.name, (at.shard, at.number), part, revision).await?;
        // Another node takes the shard for its own: what is asked there again was done here already, as the history says.
        let revision = written.ok_or_else(|| BatchError::Contended(self.name.id.clone()))?;
        self.documents.put_count(&self.name, at.shard, at.before.and(Count::of(&part.items))).await?;
        Ok(revision)
    }

    fn is_here(&self, shard: u32) -> bool {
        u16::try_from(shard).is_ok_and(|shard| self.coordinator.place_of(ShardId(shard)) == Place::Here)
    }

    /// Waits for the next saga's turn; false where there is none any more, or none here.
    async fn turn(&self, shard: u32, mut control: watch::Receiver<Control>) -> bool {
        let mut pace = self.pace.lock().await;
        loop {
            if !self.is_here(shard) {
                return false;
            }
            let rate = {
                let now = control.borrow_and_update();
                if now.head.as_ref().is_none_or(|head| head.status != Status::Running) {
                    return false;
                }
                now.rate
            };
            let Err(wait) = pace.take(rate, self.coordinator.seams().now()) else { return true };
            tokio::select! {
                biased;
                changed = control.changed() => if changed.is_err() { return false },
                () = sleep(wait) => {}
            }
        }
    }
}

/// Writes down what became of an item; false where its turn has to come again.
fn settle(part: &mut Part, index: usize, settled: Settled) -> bool {
    match (part.items.get_mut(index), settled) {
        (Some(item), Some((status, message))) => {
            item.settle(status, message);
            true
        }
        _ => false,
    }
}

/// Which part, and how much of its shard was settled in the parts before it.
struct At {
    shard: u32,
    number: u32,
    before: Count,
}
