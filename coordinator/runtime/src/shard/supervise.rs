//! Acquires a shard, runs a tenure, and begins again when it is lost.
//!
//! The lease only decides who tries; safety rests on epoch, nonce and revision, which the store checks at every commit
//! (semantics A7, A15). Invariant: a tenure that ends takes all its memory with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_store::{Lease, Nonce, ShardId, Store, StoreError};
use tokio::sync::{mpsc, watch};

use crate::committer::Pending;
use crate::config::RuntimeConfig;
use crate::definitions::Definitions;
use crate::floor::Floor;
use crate::participant::{Directory, ParticipantCaller};
use crate::seam::{Running, Seams, sleep};

use super::owner::{Ended, Owner};
use super::{Request, ShardEvent};

/// How long to wait before a shard that was lost or couldn't be had, or a store that didn't answer, is tried again.
pub(super) const TRY_AGAIN: Duration = Duration::from_millis(500);

/// What the tasks beside the loop need.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) floor: Arc<Floor>,
    pub(crate) definitions: Definitions,
    pub(crate) directory: Arc<Directory>,
    pub(crate) caller: Arc<dyn ParticipantCaller>,
    pub(crate) seams: Seams,
}

/// What a shard's owner needs for all its tenures.
#[derive(Debug)]
pub(crate) struct ShardContext {
    pub(crate) shard: ShardId,
    pub(crate) config: Arc<RuntimeConfig>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) seams: Seams,
    pub(crate) commits: mpsc::UnboundedSender<Pending>,
}

/// Runs a shard until the node stops.
pub(crate) async fn supervise(
    context: ShardContext,
    mut requests: mpsc::Receiver<Request>,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        let asked_at = context.seams.now();
        let nonce = Nonce(context.seams.bits());
        let acquired =
            context.shared.store.acquire(context.shard, &context.config.node, nonce, context.config.lease).await;
        let lease = match acquired {
            Ok(lease) => lease,
            Err(error) => {
                let error = crate::error::with_sources(&error);
                tracing::warn!(shard = context.shard.0, error, "the shard can't be acquired; trying again");
                pause(&mut stop).await;
                continue;
            }
        };
        tracing::debug!(shard = context.shard.0, epoch = lease.epoch.0, "acquired");
        let ended = tenure(&context, lease, asked_at, &mut requests, &mut stop).await;
        if let Err(error) = context.shared.store.release(lease).await {
            tracing::debug!(shard = context.shard.0, %error, "the lease couldn't be given back; it runs out by itself");
        }
        if ended != Ended::Stopped {
            pause(&mut stop).await;
        }
    }
}

async fn pause(stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        biased;
        _ = stop.changed() => {}
        () = sleep(TRY_AGAIN) => {}
    }
}

async fn tenure(
    context: &ShardContext,
    lease: Lease,
    asked_at: Timestamp,
    requests: &mut mpsc::Receiver<Request>,
    stop: &mut watch::Receiver<bool>,
) -> Ended {
    let (events, own) = mpsc::unbounded_channel();
    let owner = Owner {
        context,
        lease,
        residents: BTreeMap::new(),
        loading: BTreeMap::new(),
        timers: BTreeSet::new(),
        watchers: BTreeMap::new(),
        events,
        horizon: None,
        scanning: None,
        renew_at: asked_at + context.config.lease / 3,
        // Counted from before the request, so that we never believe in a lease that the store has given up.
        valid_until: asked_at + context.config.lease,
        renewing: None,
        stopping: false,
        ended: None,
    };
    owner.run(own, requests, stop).await
}

impl Owner<'_> {
    /// Renews the lease in time, and ends the tenure when it has run out by our own clock.
    pub(super) fn keep_lease(&mut self, now: Timestamp) {
        if now >= self.valid_until {
            tracing::warn!(shard = self.lease.shard.0, "the lease ran out before it could be renewed");
            self.ended = Some(Ended::Lost);
        } else if now >= self.renew_at && self.renewing.is_none() {
            let (shared, events) = (self.context.shared.clone(), self.events.clone());
            let (lease, lasts) = (self.lease, self.context.config.lease);
            let asking = Running::spawn(async move {
                let renewed = shared.store.renew(lease, lasts).await;
                // The tenure may be over; then nobody needs the answer.
                let _ = events.send(ShardEvent::Renewed(renewed));
            });
            self.renewing = Some((now, asking));
        }
    }

    pub(super) fn renewed(&mut self, result: Result<(), StoreError>) {
        let Some((asked_at, _)) = self.renewing.take() else { return };
        match result {
            Ok(()) => {
                self.valid_until = asked_at + self.context.config.lease;
                self.renew_at = asked_at + self.context.config.lease / 3;
            }
            Err(StoreError::LeaseLost) => {
                tracing::warn!(shard = self.lease.shard.0, "another node has the shard");
                self.ended = Some(Ended::Lost);
            }
            // Tried again at once by the clock, until the lease runs out by our own reckoning.
            Err(error) => {
                let error = crate::error::with_sources(&error);
                tracing::warn!(shard = self.lease.shard.0, error, "the lease couldn't be renewed");
                self.renew_at = self.context.seams.now() + TRY_AGAIN;
            }
        }
    }
}
