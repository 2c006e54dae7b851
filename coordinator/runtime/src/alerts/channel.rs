//! The way to one webhook: sends messages until each is settled, and remembers how the receiver does.
//!
//! Every webhook has its own, so that a dead one holds up no other. Invariants: a message is settled when the receiver took it
//! (2xx), or when it is dropped, counted and logged; while the receiver fails one message at a time is tried, by a backoff of
//! at most [`DELAY_MAX`]; a receiver that refuses one message (400, 413, 422) isn't spared the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amends_engine::definition::Policy;
use amends_engine::time::Timestamp;
use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use super::EventType;
use super::folds::{Fold, Folds, Group, LaneId};
use super::message::{ManyData, Message, VERSION, link, time};
use super::post::{Post, Posted};
use super::webhook::{Settings, Webhook};
use crate::retry;
use crate::seam::{Seams, sleep};
use crate::telemetry::Telemetry;

/// Longest wait between two attempts.
pub(crate) const DELAY_MAX: Duration = Duration::from_secs(300);
/// How many messages are under way to one webhook at the same time, each from another shard.
const SLOTS: usize = 8;
/// How often a message is sent again that the receiver refuses for what is in it.
const REFUSALS_MAX: u32 = 10;
/// How often news from memory are tried.
const NOTICE_ATTEMPTS: u32 = 8;

/// What all webhooks of a node share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) settings: Settings,
    pub(crate) node: String,
    pub(crate) post: Arc<dyn Post>,
    pub(crate) seams: Seams,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) body: Bytes,
}

/// Why a message was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// It couldn't be delivered for too long.
    TooOld,
    /// Too many newer ones came.
    TooMany,
    /// The receiver refuses it for what is in it.
    Refused,
    /// It can't be read.
    Unreadable,
    /// Attempts from memory were used up.
    GaveUp,
}

impl Dropped {
    /// The word in metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TooOld => "too_old",
            Self::TooMany => "too_many",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::GaveUp => "gave_up",
        }
    }
}

/// How the receiver did of late.
#[derive(Debug, Default)]
struct Health {
    failures: u32,
    retry_at: Timestamp,
    last_error: String,
    delivered_at: Option<Timestamp>,
}

/// How a webhook stands, as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookState {
    /// Its name.
    pub name: String,
    /// Its address, without the path.
    pub address: String,
    /// What it is told of.
    pub events: Vec<EventType>,
    /// How often in a row it has failed.
    pub failures: u32,
    /// What was wrong at last; empty: nothing.
    pub last_error: String,
    /// When it last took a message.
    pub delivered_at: Option<Timestamp>,
    /// When the oldest message happened that it hasn't taken.
    pub oldest: Option<Timestamp>,
}

/// The way to one webhook.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) webhook: Webhook,
    pub(crate) common: Arc<Common>,
    health: Mutex<Health>,
    /// Held by the one message that is tried while the receiver fails.
    probe: tokio::sync::Mutex<()>,
    slots: Semaphore,
    folds: Mutex<Folds>,
    /// Changes with the folds; the number means nothing.
    folded: watch::Sender<u64>,
    /// When what each reader is delivering happened.
    heads: Mutex<BTreeMap<LaneId, Timestamp>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn policy() -> Policy {
    Policy { initial_delay: Duration::from_secs(1), multiplier: 2.0, max_delay: DELAY_MAX, ..Policy::action() }
}

impl Channel {
    pub(crate) fn new(webhook: Webhook, common: Arc<Common>) -> Self {
        common.telemetry.alerts.knows(&webhook.name);
        Self {
            webhook,
            common,
            health: Mutex::default(),
            probe: tokio::sync::Mutex::new(()),
            slots: Semaphore::new(SLOTS),
            folds: Mutex::default(),
            folded: watch::Sender::new(0),
            heads: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.common.seams.now()
    }

    /// Sends a message until it is settled. `behind`: how many newer ones of its shard there are.
    pub(crate) async fn settle(&self, parcel: &Parcel, behind: impl Fn() -> u64) {
        let mut refusals = 0;
        loop {
            if let Some(why) = self.is_over(parcel, behind()) {
                return self.dropped(parcel, why);
            }
            let posted = {
                // Never closed.
                let _slot = self.slots.acquire().await;
                let _probe = if self.is_failing() { Some(self.probe.lock().await) } else { None };
                sleep(self.pause()).await;
                self.common.post.post(&self.webhook.target, &parcel.id, &parcel.body).await
            };
            match posted {
                Posted::Delivered => return self.delivered(),
                Posted::Refused { why } => {
                    refusals += 1;
                    self.refused(&why);
                    if refusals >= REFUSALS_MAX {
                        return self.dropped(parcel, Dropped::Refused);
                    }
                    sleep(retry::delay(&policy(), refusals, None, self.common.seams.unit())).await;
                }
                Posted::Failed { why, retry_after } => self.failed(why, retry_after),
            }
        }
    }

    /// Sends what no outbox keeps, at once and a few times at most.
    pub(crate) async fn notice(&self, parcel: &Parcel) {
        for attempt in 1..=NOTICE_ATTEMPTS {
            let why = match self.common.post.post(&self.webhook.target, &parcel.id, &parcel.body).await {
                Posted::Delivered => return self.delivered(),
                Posted::Refused { why } | Posted::Failed { why, .. } => why,
            };
            self.common.telemetry.alerts.failed(&self.webhook.name);
            tracing::warn!(webhook = self.webhook.name, why, "an alert about the store couldn't be delivered");
            if attempt < NOTICE_ATTEMPTS {
                sleep(retry::delay(&policy(), attempt, None, self.common.seams.unit())).await;
            }
        }
        self.dropped(parcel, Dropped::GaveUp);
    }

    fn is_over(&self, parcel: &Parcel, behind: u64) -> Option<Dropped> {
        let Settings { keep, keep_entries, .. } = &self.common.settings;
        if self.now().since(parcel.at) > *keep {
            return Some(Dropped::TooOld);
        }
        (behind > *keep_entries).then_some(Dropped::TooMany)
    }

    fn is_failing(&self) -> bool {
        lock(&self.health).failures > 0
    }

    /// How long is still to be waited.
    fn pause(&self) -> Duration {
        let health = lock(&self.health);
        if health.failures == 0 { Duration::ZERO } else { health.retry_at.since(self.now()) }
    }

    fn delivered(&self) {
        self.common.telemetry.alerts.delivered(&self.webhook.name);
        let mut health = lock(&self.health);
        if health.failures > 0 {
            tracing::info!(webhook = self.webhook.name, failures = health.failures, "a webhook takes messages again");
        }
        *health = Health { delivered_at: Some(self.now()), ..Health::default() };
    }

    fn refused(&self, why: &str) {
        self.common.telemetry.alerts.failed(&self.webhook.name);
        tracing::warn!(webhook = self.webhook.name, why, "a webhook refuses a message");
        let mut health = lock(&self.health);
        *health = Health { last_error: why.to_owned(), delivered_at: health.delivered_at, ..Health::default() };
    }

    fn failed(&self, why: String, retry_after: Option<Duration>) {
        self.common.telemetry.alerts.failed(&self.webhook.name);
        let hint = retry_after.map(|hint| hint.min(DELAY_MAX));
        let mut health = lock(&self.health);
        health.failures = health.failures.saturating_add(1);
        if health.failures == 1 {
            tracing::warn!(webhook = self.webhook.name, why, "a webhook takes no messages; trying on");
        } else {
            tracing::debug!(
                webhook = self.webhook.name,
                why,
                failures = health.failures,
                "a webhook takes no messages"
            );
        }
        health.retry_at = self.now() + retry::delay(&policy(), health.failures, hint, self.common.seams.unit());
        health.last_error = why;
    }

    pub(crate) fn dropped(&self, parcel: &Parcel, why: Dropped) {
        self.common.telemetry.alerts.dropped(&self.webhook.name, why.as_str());
        tracing::error!(
            webhook = self.webhook.name,
            id = parcel.id,
            why = why.as_str(),
            "an alert was dropped undelivered"
        );
    }

    /// Looks at the folds, and changes them.
    pub(crate) fn folds<T>(&self, change: impl FnOnce(&mut Folds) -> T) -> T {
        let answer = change(&mut lock(&self.folds));
        self.folded.send_modify(|number| *number = number.wrapping_add(1));
        answer
    }

    /// Told whenever the folds have changed from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.folded.subscribe()
    }

    /// The first number that a reader has in a fold.
    pub(crate) fn held_from(&self, lane: LaneId) -> Option<u64> {
        lock(&self.folds).first_of(lane)
    }

    /// Sends folds when they are due, for as long as the node runs.
    pub(crate) async fn send_folds(self: Arc<Self>) {
        let mut changes = self.changes();
        loop {
            // Before looking, so that what changes while we look isn't missed.
            changes.mark_unchanged();
            let now = self.now();
            let (begun, due) = {
                let mut folds = lock(&self.folds);
                (folds.begin(now), folds.due())
            };
            if let Some((group, fold)) = begun {
                self.settle(&self.parcel_of(&group, &fold), || 0).await;
                self.folds(|folds| folds.sent(&group));
                continue;
            }
            let wait = due.map_or(Duration::MAX, |due| due.since(now));
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = sleep(wait) => {}
            }
        }
    }

    fn parcel_of(&self, group: &Group, fold: &Fold) -> Parcel {
        let now = self.now();
        let id = self.common.new_id();
        let kind = if group.event == EventType::SagaStuck { "saga.stuck.many" } else { "saga.unstuck.many" };
        let url = self.common.settings.console_url.as_deref();
        let link = url.map(|url| link(url, "/sagas?status=stuck", &group.namespace));
        let data = ManyData {
            namespace: &group.namespace,
            definition: &group.definition,
            participant: &group.participant,
            reason: &group.reason,
            count: fold.count(),
            first_at: time(fold.first_at),
            last_at: time(fold.last_at),
            sample: &fold.sample,
            link,
        };
        let message = Message {
            version: VERSION,
            kind,
            id: id.clone(),
            timestamp: time(now),
            node: self.common.node.clone(),
            data,
        };
        Parcel { id, at: now, body: message.encode() }
    }

    /// What a reader is delivering happened then; `None`: it isn't delivering.
    pub(crate) fn is_at(&self, lane: LaneId, head: Option<Timestamp>) {
        match head {
            Some(at) => lock(&self.heads).insert(lane, at),
            None => lock(&self.heads).remove(&lane),
        };
    }

    /// A reader's tenure is over.
    pub(crate) fn forget(&self, lane: LaneId) {
        self.is_at(lane, None);
        self.folds(|folds| folds.forget(lane));
    }

    /// When the oldest message happened that isn't settled.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let head = lock(&self.heads).values().min().copied();
        head.into_iter().chain(lock(&self.folds).oldest()).min()
    }

    /// How it stands.
    pub(crate) fn state(&self) -> WebhookState {
        let oldest = self.oldest();
        let health = lock(&self.health);
        WebhookState {
            name: self.webhook.name.clone(),
            address: self.webhook.target.endpoint.to_string(),
            events: self.webhook.events.iter().copied().collect(),
            failures: health.failures,
            last_error: health.last_error.clone(),
            delivered_at: health.delivered_at,
            oldest,
        }
    }
}

impl Common {
    /// An id that no other message has.
    pub(crate) fn new_id(&self) -> String {
        format!("msg_{:032x}", self.seams.bits())
    }
}
