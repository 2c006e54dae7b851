//! Reads sagas back: one that was asked for, or all that are due soon.
//!
//! Runs beside the owner's loop and reports to it. Invariant: a record that can't be read stops nobody else; it is reported
//! and left alone. What is loaded takes the normal road: [`Event::Loaded`] first, then whatever else there is to do.

use amends_engine::event::Event;
use amends_engine::ids::SagaKey;
use amends_engine::time::Timestamp;
use amends_store::{ShardId, StoredSaga};
use tokio::sync::{mpsc, oneshot};

use crate::error::RequestError;
use crate::seam::{Running, sleep};
use crate::stored::{Revived, report_unreadable, revive};

use super::ShardEvent;
use super::admission::Admissions;
use super::owner::{Ended, Owner};
use super::resident::{Resident, Work};
use super::supervise::{Shared, TRY_AGAIN};

/// Sagas per page of a scan.
const PAGE: usize = 64;

/// A scan waits while so many commits are under way: what was taken over is written before more of it is read, so that a
/// million sagas aren't in memory at once.
const COMMITS_MAX: usize = 256;

/// A saga that is being read, and what waits for it.
#[derive(Debug)]
pub(crate) struct Loading {
    pub(crate) waiting: Vec<Work>,
    /// What it had in participants' queues while it slept.
    pub(crate) admissions: Admissions,
    #[expect(dead_code, reason = "kept so that it ends with the tenure")]
    pub(crate) reading: Running,
}

/// A scan of the due index that is under way.
#[derive(Debug)]
pub(crate) struct Scanning {
    pub(crate) until: Timestamp,
    #[expect(dead_code, reason = "kept so that it ends with the tenure")]
    pub(crate) reading: Running,
}

impl Owner<'_> {
    /// Asks for one saga, for this work; the answer comes as [`ShardEvent::Loaded`].
    pub(super) fn load(&mut self, key: SagaKey, waiting: Vec<Work>, admissions: Admissions) {
        let (shared, events) = (self.context.shared.clone(), self.events.clone());
        let asked = key.clone();
        let reading = Running::spawn(async move {
            let loaded = loop {
                match load_one(&shared, &key).await {
                    // That says nothing about the saga, and giving up would lose the answers that wait for it.
                    Err(RequestError::Unavailable(_)) if !events.is_closed() => sleep(TRY_AGAIN).await,
                    loaded => break loaded,
                }
            };
            // The tenure may be over; then nobody needs the answer.
            let _ = events.send(ShardEvent::Loaded { key, loaded });
        });
        self.loading.insert(asked, Loading { waiting, admissions, reading });
    }

    pub(super) fn loaded(&mut self, key: &SagaKey, loaded: Result<Option<Box<Revived>>, RequestError>) {
        let loading = self.loading.remove(key);
        let (waiting, admissions) = loading.map(|it| (it.waiting, it.admissions)).unwrap_or_default();
        match loaded {
            Ok(Some(loaded)) => self.take_in(*loaded, waiting, admissions),
            Ok(None) => waiting.into_iter().for_each(|work| match work {
                // Somebody asked for the saga just before it was to be started.
                Work::Start(start) => self.start(*start),
                work @ Work::Apply { .. } => work.refuse(|| RequestError::NoSuchSaga(key.clone())),
            }),
            Err(error) => {
                report_unreadable(key, &error);
                waiting.into_iter().for_each(|work| work.refuse(|| unreadable(&error)));
            }
        }
    }

    fn take_in(&mut self, loaded: Revived, waiting: Vec<Work>, admissions: Admissions) {
        self.tell_loaded(&loaded.saga);
        let key = loaded.saga.state.head.key.clone();
        let resident = self
            .residents
            .entry(key.clone())
            .or_insert_with(|| Box::new(Resident::new(loaded.saga, loaded.compiled, loaded.payloads)));
        resident.admissions = admissions;
        resident.queue.push_back(Work::event(Event::Loaded));
        resident.queue.extend(waiting);
        self.turn(&key);
    }

    /// When the next scan should begin: half a window before the last one runs out.
    pub(super) fn next_scan(&self) -> Option<Timestamp> {
        if self.scanning.is_some() {
            return None;
        }
        let half = u64::try_from(self.context.config.window.as_millis() / 2).unwrap_or(u64::MAX);
        Some(Timestamp(self.horizon.map_or(0, |horizon| horizon.0.saturating_sub(half))))
    }

    /// Reads all that comes due within the window; pages come as [`ShardEvent::Scanned`].
    pub(super) fn scan(&mut self) {
        self.trim_log();
        let until = self.context.seams.now() + self.context.config.window;
        let (shared, events, shard) = (self.context.shared.clone(), self.events.clone(), self.lease.shard);
        let after = self.horizon;
        let reading = Running::spawn(async move { scan_pages(&shared, shard, after, until, &events).await });
        self.scanning = Some(Scanning { until, reading });
    }

    /// Lets a scan go on that has waited for it.
    pub(super) fn turn_page(&mut self) {
        if self.commits < COMMITS_MAX {
            self.page = None;
        }
    }

    pub(super) fn found(&mut self, found: Revived) {
        if !self.has(&found.saga.state.head.key) {
            self.take_in(found, Vec::new(), Admissions::default());
        }
    }

    pub(super) fn scanned(&mut self, read: Result<(), RequestError>, until: Timestamp, last: bool) {
        if let Err(error) = read {
            let error = crate::error::with_sources(&error);
            tracing::warn!(shard = self.lease.shard.0, error, "the due index can't be read");
            self.ended = Some(Ended::Doubtful);
        }
        if last {
            self.tell_recovered();
            self.horizon = self.horizon.max(Some(until));
            self.scanning = None;
            // Whoever watched and went away without a commit is noticed here.
            self.watchers.retain(|_, watcher| watcher.receiver_count() > 0);
        }
    }
}

/// The same error for one more who waits.
fn unreadable(error: &RequestError) -> RequestError {
    match error {
        RequestError::UnreadableSaga(saga) => saga.clone().into(),
        error => RequestError::Unreadable(error.to_string()),
    }
}

async fn load_one(shared: &Shared, key: &SagaKey) -> Result<Option<Box<Revived>>, RequestError> {
    match shared.store.get(key).await? {
        Some(stored) => revive(&shared.definitions, stored).await.map(|loaded| Some(Box::new(loaded))),
        None => Ok(None),
    }
}

async fn scan_pages(
    shared: &Shared,
    shard: ShardId,
    after: Option<Timestamp>,
    until: Timestamp,
    events: &mpsc::UnboundedSender<ShardEvent>,
) {
    let (mut resume, mut before) = (None, None::<oneshot::Receiver<()>>);
    loop {
        let page = match shared.store.due(shard, after, until, resume.take(), PAGE).await {
            Ok(page) => page,
            Err(error) => {
                let (taken, _) = oneshot::channel();
                let _ = events.send(ShardEvent::Scanned { read: Err(error.into()), until, last: true, taken });
                return;
            }
        };
        let last = page.len() < PAGE;
        resume = page.last().and_then(|saga| saga.due.map(|due| (due, saga.key.clone())));
        let sagas = revive_all(shared, page).await;
        if let Some(before) = before.take() {
            // Nothing is ever sent: it ends when it is dropped.
            let _ = before.await;
        }
        let (taken, is_taken) = oneshot::channel();
        let read = sagas.map(|sagas| {
            // The tenure may be over; then nobody needs them.
            sagas.into_iter().for_each(|found| drop(events.send(ShardEvent::Found(Box::new(found)))));
        });
        let last = last || resume.is_none() || read.is_err();
        if events.send(ShardEvent::Scanned { read, until, last, taken }).is_err() || last {
            return;
        }
        before = Some(is_taken);
    }
}

/// A saga that can't be read is reported and left out; a store that doesn't answer is an error, since nobody would come back
/// for the sagas that it kept from us.
async fn revive_all(shared: &Shared, page: Vec<StoredSaga>) -> Result<Vec<Revived>, RequestError> {
    let mut sagas = Vec::with_capacity(page.len());
    for stored in page {
        let key = stored.key.clone();
        match revive(&shared.definitions, stored).await {
            Ok(loaded) => sagas.push(loaded),
            Err(error @ RequestError::Unavailable(_)) => return Err(error),
            Err(error) => report_unreadable(&key, &error),
        }
    }
    Ok(sagas)
}
