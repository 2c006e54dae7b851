//! What is open, stuck, waiting and oldest, in the shards that this node owns.
//!
//! Counts of open sagas are kept by the shards' owners; this asks the store for the census that each begins with, and every
//! [`PERIOD`] for what can't be counted along: when the oldest saga of a status started, and what those in memory wait for.
//! Invariants: a scrape reads what was found last and asks nobody; every status, reason and state has its series from the start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amends_engine::saga::StuckReason;
use amends_engine::standing::{StatusWord, WaitingReason};
use amends_engine::time::Timestamp;
use amends_runtime::telemetry::{Kind, Sample, Source, names};
use amends_runtime::{Coordinator, Place};
use amends_store::ShardId;
use tokio_util::sync::CancellationToken;

use crate::error::chain;

/// How often a census that is needed is asked for.
const LOOK: Duration = Duration::from_secs(1);
/// In how many looks the oldest and the waiting are asked for again.
const PERIOD: u32 = 10;
/// The statuses of unfinished sagas.
const OPEN: [StatusWord; 5] =
    [StatusWord::Running, StatusWord::Confirming, StatusWord::Compensating, StatusWord::Stuck, StatusWord::Paused];
/// Why a saga waits that isn't in memory: it is due later than within the next window.
const LATER: &str = "later";

/// The gauges of one node.
#[derive(Debug)]
pub(crate) struct Gauges {
    coordinator: Coordinator,
    latest: Mutex<Latest>,
}

/// What was found last.
#[derive(Debug, Default)]
struct Latest {
    oldest: BTreeMap<StatusWord, Timestamp>,
    waiting: BTreeMap<WaitingReason, u64>,
    moving: u64,
    /// Whether every shard that is had answered.
    whole: bool,
}

impl Gauges {
    pub(crate) fn new(coordinator: Coordinator) -> Self {
        Self { coordinator, latest: Mutex::default() }
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps them right until the server stops.
    pub(crate) async fn keep(self: Arc<Self>, draining: CancellationToken) {
        let mut looks = 0_u32;
        loop {
            let counted = self.take_census().await;
            if counted || looks.is_multiple_of(PERIOD) {
                self.look().await;
            }
            looks = looks.wrapping_add(1);
            tokio::select! {
                biased;
                () = draining.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Counts the shards that were acquired since. Whether any was.
    async fn take_census(&self) -> bool {
        let tally = &self.coordinator.telemetry().tally;
        let mut counted = false;
        for lease in tally.wanted() {
            match self.coordinator.store().census(lease.shard).await {
                Ok(census) => counted |= tally.take_in(lease, &census),
                // Tried again soon; the store's own trouble is told by whoever works with it.
                Err(error) => tracing::debug!(shard = lease.shard.0, error = chain(&error), "no census"),
            }
        }
        counted
    }

    async fn look(&self) {
        let telemetry = self.coordinator.telemetry();
        let mut found = Latest { whole: true, ..Latest::default() };
        for shard in telemetry.tally.had() {
            self.look_at(shard, &telemetry.tally.open_statuses(shard), &mut found).await;
        }
        *self.latest() = found;
    }

    async fn look_at(&self, shard: ShardId, statuses: &[StatusWord], found: &mut Latest) {
        for status in statuses {
            let oldest = self.coordinator.store().oldest_open(shard, status.as_str()).await;
            if let Ok(Some(at)) = oldest {
                found.oldest.entry(*status).and_modify(|oldest| *oldest = at.min(*oldest)).or_insert(at);
            }
        }
        let Some(waits) = self.coordinator.waits_in(shard).await else {
            found.whole = false;
            return;
        };
        for (reason, count) in waits.by_reason {
            *found.waiting.entry(reason).or_default() += count;
        }
        found.moving += waits.moving;
    }

    fn open(&self, counts: &BTreeMap<Kind, u64>) -> Vec<Sample> {
        let known = self.coordinator.telemetry().meters.names();
        let mut by_labels: BTreeMap<(&str, &str, StatusWord), u64> = BTreeMap::new();
        for (kind, count) in counts {
            let namespace = known.namespaces.name(kind.namespace.as_str());
            let definition = known.definitions.name(kind.definition.as_str());
            // Every status of a definition that was ever seen, so that a count that falls to nothing falls to 0.
            for status in OPEN {
                by_labels.entry((namespace, definition, status)).or_default();
            }
            *by_labels.entry((namespace, definition, kind.status)).or_default() += count;
        }
        let sample = |((namespace, definition, status), count): ((&str, &str, StatusWord), u64)| {
            Sample::new(names::OPEN_SAGAS, &[namespace, definition, status.as_str()], count as f64)
        };
        by_labels.into_iter().map(sample).collect()
    }

    fn waiting(&self, counts: &BTreeMap<Kind, u64>, latest: &Latest) -> Vec<Sample> {
        let count = |statuses: &[StatusWord]| -> u64 {
            counts.iter().filter(|(kind, _)| statuses.contains(&kind.status)).map(|(_, count)| count).sum()
        };
        let moving = count(&[StatusWord::Running, StatusWord::Confirming, StatusWord::Compensating]);
        let later = if latest.whole { moving.saturating_sub(latest.moving) } else { 0 };
        let sample = |reason: &str, count: u64| Sample::new(names::WAITING_SAGAS, &[reason], count as f64);
        let by_reason = |reason: WaitingReason| {
            // Paused ones aren't held in memory.
            let count = match reason {
                WaitingReason::Paused => count(&[StatusWord::Paused]),
                reason => latest.waiting.get(&reason).copied().unwrap_or_default(),
            };
            sample(reason.as_str(), count)
        };
        WaitingReason::ALL.into_iter().map(by_reason).chain([sample(LATER, later)]).collect()
    }

    fn shards(&self) -> Vec<Sample> {
        let mut states = [("owned", 0_u32), ("elsewhere", 0), ("unowned", 0), ("frozen", 0)];
        for shard in 0..self.coordinator.store().info().shards {
            let state = match self.coordinator.place_of(ShardId(shard)) {
                Place::Here => 0,
                Place::At { .. } => 1,
                Place::Nowhere => 2,
                Place::Frozen(_) => 3,
            };
            states[state].1 += 1;
        }
        states.into_iter().map(|(state, count)| Sample::new(names::SHARDS, &[state], f64::from(count))).collect()
    }
}

impl Source for Gauges {
    fn samples(&self) -> Vec<Sample> {
        let (telemetry, now) = (self.coordinator.telemetry(), self.coordinator.seams().now());
        let counts = telemetry.tally.counts();
        let latest = self.latest();
        let age = |status: StatusWord| {
            let age = latest.oldest.get(&status).map_or(0.0, |oldest| now.since(*oldest).as_secs_f64());
            Sample::new(names::OLDEST_OPEN_SAGA, &[status.as_str()], age)
        };
        let stuck = |reason: StuckReason| {
            let count: u64 = counts.iter().filter(|(kind, _)| kind.stuck == Some(reason)).map(|(_, count)| count).sum();
            Sample::new(names::STUCK_SAGAS, &[reason.as_str()], count as f64)
        };
        let mut samples = self.open(&counts);
        samples.extend(OPEN.map(age));
        samples.extend(StuckReason::ALL.map(stuck));
        samples.extend(self.waiting(&counts, &latest));
        samples.extend(self.shards());
        samples
    }
}
