//! Reads one shard's outbox for one webhook, in order, for one tenure, and remembers how far it got.
//!
//! ```text
//!   outbox   … 17 18 19 20 21 …        below its position: settled. From there on: sent again by whoever comes next
//!                 └─ position, a document of kind `webhook`
//! ```
//!
//! Invariants: its position passes an entry only after that was settled, and entries are trimmed only below every webhook's position, so that
//! a crash at any moment repeats messages and loses none; a repeat has the same id and the same bytes.

use std::sync::Arc;
use std::time::Duration;

use amends_store::{Document, Log, StoreError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::EventType;
use super::channel::{Channel, Dropped, Parcel};
use super::folds::{Group, Item, Judged, LaneId};
use super::message::Head;
use super::outbox::ShardOutbox;
use crate::error::with_sources;
use crate::planted;
use crate::seam::sleep;

/// The kind of the documents that hold positions.
pub(crate) const KIND: &str = "webhook";
/// Most entries that are read at once.
const PAGE: usize = 32;
/// After how many settled entries the position is saved, at the latest.
const SAVE_EVERY: u64 = 32;
/// How long the store is left alone after it failed.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What a position's document says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Position {
    /// All entries below it are settled.
    below: u64,
}

/// One reader.
#[derive(Debug)]
pub(super) struct Lane {
    channel: Arc<Channel>,
    outbox: Arc<ShardOutbox>,
    id: LaneId,
    /// The next entry to be read.
    next: u64,
    /// The position as it is in the store, and the document's revision.
    saved: u64,
    revision: u64,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.channel.forget(self.id);
    }
}

/// Runs until it is aborted.
pub(super) async fn run(channel: Arc<Channel>, outbox: Arc<ShardOutbox>) {
    let id = LaneId(outbox.lease.shard, outbox.lease.epoch);
    let mut lane = Lane { channel, outbox, id, next: 0, saved: 0, revision: 0 };
    while let Err(error) = lane.begin().await {
        lane.could_not("be begun", &error);
        sleep(TRY_AGAIN).await;
    }
    loop {
        if let Err(error) = lane.read().await {
            lane.could_not("be read", &error);
            sleep(TRY_AGAIN).await;
            continue;
        }
        lane.save().await;
        lane.wait().await;
    }
}

impl Lane {
    fn document(&self) -> String {
        format!("{}.{}", self.channel.webhook.name, self.id.0.0)
    }

    fn could_not(&self, what: &str, error: &StoreError) {
        if !error.is_said_by_store() {
            let (webhook, shard) = (&self.channel.webhook.name, self.id.0.0);
            tracing::warn!(webhook, shard, error = with_sources(error), "an outbox can't {what}; trying again");
        }
    }

    /// Finds out where to go on. A webhook that is new begins with the oldest entry that is left.
    async fn begin(&mut self) -> Result<(), StoreError> {
        let known = self.outbox.store.get_document(KIND, &self.document()).await?;
        let span = self.outbox.span;
        let below = known.as_ref().map_or(span.first, |known| position(known).below);
        self.revision = known.map_or(0, |known| known.revision);
        // Past its end: the store lost what was there, and its numbers are given again.
        let start = if below > span.next { span.first } else { below.max(span.first) };
        (self.next, self.saved) = (start, if below > span.next { 0 } else { below });
        if below > span.next {
            self.put(start).await?;
        }
        self.outbox.note(&self.channel.webhook.name, start);
        Ok(())
    }

    /// Settles all that is durable by now.
    async fn read(&mut self) -> Result<(), StoreError> {
        loop {
            let until = *self.outbox.grown.borrow();
            if self.next >= until {
                self.channel.is_at(self.id, None);
                return Ok(());
            }
            let mut entries = self.outbox.store.read_log(self.id.0, Log::Outbox, self.next, PAGE).await?;
            // What its owner hasn't heard confirmed isn't told.
            entries.retain(|(number, _)| *number < until);
            let ended = entries.last().map_or(until, |(number, _)| number + 1);
            for (number, body) in entries {
                self.deliver(number, body).await;
                self.next = number + 1;
                if self.position().saturating_sub(self.saved) >= SAVE_EVERY {
                    self.save().await;
                }
            }
            self.next = ended;
        }
    }

    /// Settles one entry, or leaves it to a fold.
    async fn deliver(&mut self, number: u64, body: Bytes) {
        let Some(head) = Head::read(&body) else {
            let parcel =
                Parcel { id: format!("entry {number} of shard {}", self.id.0.0), at: self.channel.now(), body };
            return self.channel.dropped(&parcel, Dropped::Unreadable);
        };
        let Some(event) = head.event() else { return };
        if !self.channel.webhook.wants(event, &head.data.namespace, &head.data.definition) {
            return;
        }
        if planted::is("alert_trimmed_before_delivered") {
            self.next = number + 1;
            self.save().await;
        }
        let at = head.at();
        self.channel.is_at(self.id, Some(at));
        if self.is_folded(event, &head, number).await {
            return;
        }
        let behind = || self.outbox.grown.borrow().saturating_sub(number + 1);
        self.channel.settle(&Parcel { id: head.id, at, body }, behind).await;
    }

    /// Whether it became part of a fold. Waits for a fold that has the same saga, so that nothing is told out of order.
    async fn is_folded(&self, event: EventType, head: &Head, number: u64) -> bool {
        let saga = format!("{}/{}", head.data.namespace, head.data.saga);
        let group = matches!(event, EventType::SagaStuck | EventType::SagaUnstuck).then(|| {
            let cause = head.cause();
            Group {
                event,
                namespace: head.data.namespace.clone(),
                definition: head.data.definition.clone(),
                participant: cause.participant,
                reason: cause.reason,
            }
        });
        let mut changes = self.channel.changes();
        loop {
            let now = self.channel.now();
            let judged = self.channel.folds(|folds| match &group {
                group if folds.holds(&saga, group.as_ref(), now) => Judged::Wait,
                None => Judged::Alone,
                Some(group) => {
                    folds.judge(group, Item { lane: self.id, number, saga: saga.clone(), at: head.at() }, now)
                }
            });
            match judged {
                Judged::Alone => return false,
                Judged::Folded => return true,
                Judged::Wait => {
                    // The channel outlives this; an error would only mean to look again.
                    let _ = changes.changed().await;
                }
            }
        }
    }

    /// All below is settled.
    fn position(&self) -> u64 {
        self.channel.held_from(self.id).map_or(self.next, |held| held.min(self.next))
    }

    /// Remembers how far it got. Where that fails it is tried with the next entry, or the next owner repeats some.
    async fn save(&mut self) {
        let below = self.position();
        if below > self.saved
            && let Err(error) = self.put(below).await
        {
            let (webhook, shard) = (&self.channel.webhook.name, self.id.0.0);
            tracing::debug!(webhook, shard, error = with_sources(&error), "how far a webhook got can't be saved");
        }
        self.outbox.trim().await;
    }

    async fn put(&mut self, below: u64) -> Result<(), StoreError> {
        let (store, id) = (&self.outbox.store, self.document());
        // A number in JSON can't fail to be one.
        let body: Bytes = serde_json::to_vec(&Position { below }).unwrap_or_default().into();
        match store.put_document(KIND, &id, body, Some(self.revision)).await {
            Ok(revision) => (self.saved, self.revision) = (below, revision),
            // An earlier attempt of ours, or another owner by now, who got at least as far as we told it.
            Err(StoreError::Conflict { .. }) => {
                let known = store.get_document(KIND, &id).await?;
                self.saved = known.as_ref().map_or(0, |known| position(known).below);
                self.revision = known.map_or(0, |known| known.revision);
            }
            Err(error) => return Err(error),
        }
        self.outbox.note(&self.channel.webhook.name, self.saved);
        Ok(())
    }

    /// Waits until there is more to read, or to save.
    async fn wait(&mut self) {
        let mut grown = self.outbox.grown.subscribe();
        let mut changes = self.channel.changes();
        loop {
            let more = *grown.borrow_and_update() > self.next;
            if more || self.position() > self.saved {
                // A position that can't be saved must not spin.
                if !more {
                    sleep(TRY_AGAIN).await;
                }
                return;
            }
            tokio::select! {
                biased;
                _ = grown.changed() => {}
                _ = changes.changed() => {}
            }
        }
    }
}

fn position(document: &Document) -> Position {
    // One that can't be read is as good as none: what is left is sent again.
    serde_json::from_slice(&document.body).unwrap_or(Position { below: 0 })
}
