//! A shard's outbox as its owner writes it: numbers its entries, and has it read for as long as the tenure lasts.
//!
//! Invariants: an entry is in the same commit as the change that it tells of; nobody is told before that commit was confirmed; where
//! nobody asked to be told there is no outbox, and no commit carries anything.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use amends_engine::saga::Saga;
use amends_engine::time::Timestamp;
use amends_store::{Append, CommitError, Lease, Log, Span, Store, StoreError};
use tokio::sync::watch;

use super::message::{Message, VERSION, of_saga, time};
use super::news::news;
use super::{Alerts, EventType, lane};
use crate::planted;
use crate::seam::Running;

/// What the owner and the readers of one outbox share, for one tenure.
pub(super) struct ShardOutbox {
    pub(super) store: Arc<dyn Store>,
    pub(super) lease: Lease,
    /// As it was when the tenure began.
    pub(super) span: Span,
    /// The number below which everything is confirmed.
    pub(super) grown: watch::Sender<u64>,
    /// How far each webhook got; 0: nobody knows yet.
    positions: Mutex<BTreeMap<String, u64>>,
    /// Below which entries are gone.
    trimmed: AtomicU64,
}

impl fmt::Debug for ShardOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardOutbox").field("lease", &self.lease).finish_non_exhaustive()
    }
}

impl ShardOutbox {
    /// A webhook has settled everything below.
    pub(super) fn note(&self, webhook: &str, below: u64) {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        positions.insert(webhook.to_owned(), below);
    }

    /// Removes what every webhook has settled.
    pub(super) async fn trim(&self) {
        let below = {
            let positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
            positions.values().min().copied().unwrap_or_default()
        };
        if below <= self.trimmed.load(Ordering::Relaxed) {
            return;
        }
        match self.store.trim_log(self.lease, Log::Outbox, below).await {
            Ok(()) => {
                self.trimmed.fetch_max(below, Ordering::Relaxed);
            }
            // Tried again with the next message, or by the next owner.
            Err(error) => tracing::debug!(shard = self.lease.shard.0, %error, "an outbox can't be trimmed"),
        }
    }
}

/// Which entries a commit carries, to be told when it is known what became of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    series: u64,
    first: u64,
    next: u64,
}

/// A shard's outbox in its owner's hands.
#[derive(Debug)]
pub(crate) struct Outbox {
    alerts: Arc<Alerts>,
    shared: Arc<ShardOutbox>,
    /// The number of the next entry.
    next: u64,
    /// Changes whenever a number has to be given again: commits that were sent before fail with it.
    series: u64,
    _lanes: Vec<Running>,
}

/// A change that is about to be committed.
pub(crate) struct Change<'a> {
    /// As it was committed before; `None`: it is the first commit.
    pub(crate) before: Option<&'a Saga>,
    pub(crate) after: &'a Saga,
    pub(crate) now: Timestamp,
}

impl Outbox {
    /// Takes up a shard's outbox, and has it read.
    pub(crate) async fn open(alerts: Arc<Alerts>, store: Arc<dyn Store>, lease: Lease) -> Result<Self, StoreError> {
        let span = store.log_span(lease.shard, Log::Outbox).await?;
        let positions = alerts.channels().iter().map(|channel| (channel.webhook.name.clone(), 0)).collect();
        let shared = Arc::new(ShardOutbox {
            store,
            lease,
            span,
            grown: watch::Sender::new(span.next),
            positions: Mutex::new(positions),
            trimmed: AtomicU64::new(span.first),
        });
        let lanes = alerts.channels().iter().map(|channel| Running::spawn(lane::run(channel.clone(), shared.clone())));
        let lanes = lanes.collect();
        Ok(Self { alerts, shared, next: span.next, series: 0, _lanes: lanes })
    }

    /// The entries that go with a change.
    pub(crate) fn entries(&mut self, change: &Change<'_>) -> (Vec<Append>, Option<Written>) {
        let head = &change.after.state.head;
        let (namespace, definition) = (head.key.namespace.as_str(), head.definition.as_str());
        let mut wanted = news(change.before, change.after);
        wanted.retain(|event| self.alerts.wants(*event, namespace, definition));
        if planted::is("stuck_without_outbox") {
            wanted.retain(|event| *event != EventType::SagaStuck);
        }
        if wanted.is_empty() {
            return (Vec::new(), None);
        }
        let first = self.next;
        let append = |event| {
            let body = self.alerts.message(event, change).encode();
            let number = self.next;
            self.next += 1;
            Append { log: Log::Outbox, number, body }
        };
        let entries = wanted.into_iter().map(append).collect();
        (entries, Some(Written { series: self.series, first, next: self.next }))
    }

    /// The commit that carried these is confirmed.
    pub(crate) fn confirmed(&self, written: Written) {
        self.shared.grown.send_if_modified(|grown| {
            let further = written.next > *grown;
            *grown = written.next.max(*grown);
            further
        });
    }

    /// The commit that carried these was not made: their numbers are given again. Those behind them were sent with numbers that
    /// now come too early; they fail too, before any commit that is sent from now on is looked at.
    pub(crate) fn failed(&mut self, written: Written, error: &CommitError) {
        if written.series != self.series {
            return;
        }
        let next = match error {
            // The store knows best.
            CommitError::StaleLog { log: Log::Outbox, next, .. } => *next,
            _ => written.first,
        };
        (self.series, self.next) = (self.series + 1, next);
    }
}

impl Alerts {
    fn message(&self, event: EventType, change: &Change<'_>) -> Message<super::message::SagaData> {
        let common = self.common();
        Message {
            version: VERSION,
            kind: event.as_str(),
            id: common.new_id(),
            timestamp: time(change.now),
            node: common.node.clone(),
            data: of_saga(event, change.before, change.after, common.settings.console_url.as_deref()),
        }
    }
}
