//! The load: so many units under way all the time (closed), or so many begun each second whatever becomes of them (open).
//!
//! Closed, each worker begins the next as soon as its last has ended, which finds the capacity; what it waits says nothing of what a
//! caller would wait who doesn't hold back. Open, units begin by a schedule of constant distances, and a wait counts from the
//! moment at which the unit was to begin: a stall is felt by all that were to begin in it (no coordinated omission). Invariant:
//! what failed is counted and never as a success.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use amends_proto::v1 as api;
use hdrhistogram::Histogram;
use tokio::task::{JoinError, JoinSet};
use tonic::transport::{Channel, Endpoint};

use super::work::Work;
use crate::connect::Connection;
use crate::exit::Failure;

/// How much of the time passes before anything is counted.
const WARM_UP_SHARE: u32 = 5;

/// The longest wait that is told apart from longer ones, in microseconds.
const WAIT_MAX_US: u64 = 120_000_000;

/// Open, what would come on top of so many under way isn't begun and counts as failed: nothing that is so far behind catches up.
const UNDER_WAY_MAX: usize = 50_000;

/// How units are begun.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// So many under way.
    Closed(usize),
    /// So many a second.
    Open(f64),
}

/// What came of one measurement, or of several of the same.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    waits: Histogram<u64>,
    counted: Duration,
    pub(super) failed: u64,
    /// All that succeeded, also before and after what the rate and the waits are of.
    pub(super) done: u64,
}

impl Measured {
    fn new(length: Duration) -> Result<Self, Failure> {
        let waits = Histogram::new_with_bounds(1, WAIT_MAX_US, 3).map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Self { waits, counted: length - length / WARM_UP_SHARE, failed: 0, done: 0 })
    }

    fn take(&mut self, unit: &Unit, counts: bool) {
        if unit.ended.is_err() {
            self.failed += 1;
            return;
        }
        self.done += 1;
        if counts {
            self.waits.saturating_record(u64::try_from(unit.waited.as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// Adds another round of the same.
    pub(super) fn add(&mut self, other: &Self) {
        // Their bounds are the same, so that nothing can be beyond them.
        let _ = self.waits.add(&other.waits);
        self.counted += other.counted;
        self.failed += other.failed;
        self.done += other.done;
    }

    pub(super) fn per_second(&self) -> f64 {
        self.waits.len() as f64 / self.counted.as_secs_f64()
    }

    pub(super) fn millis(&self, quantile: f64) -> f64 {
        Duration::from_micros(self.waits.value_at_quantile(quantile)).as_secs_f64() * 1000.0
    }
}

/// One unit that is over.
struct Unit {
    ended: Result<(), ()>,
    waited: Duration,
    /// It began and ended within what is counted.
    counts: bool,
}

/// Whole sagas, from the start request to the answer that it has ended.
pub(super) async fn sagas(
    connection: &Connection,
    work: Work,
    load: Load,
    length: Duration,
) -> Result<Measured, Failure> {
    let run_id = uuid::Uuid::now_v7().simple().to_string();
    let (connection, definition) = (connection.clone(), work.name());
    run(load, length, move |number| {
        let connection = connection.clone();
        let expected = match work.is_refused(number) {
            true => api::SagaStatus::Compensated,
            false => api::SagaStatus::Completed,
        };
        let start = api::StartSagaRequest {
            saga_id: format!("{run_id}-{number}"),
            definition: definition.clone(),
            input: Some(crate::payload::from_json(&work.input(number))),
            wait: Some(pbjson_types::Duration { seconds: 60, nanos: 0 }),
            ..api::StartSagaRequest::default()
        };
        async move {
            let asked = crate::connect::request_within(start, Duration::from_secs(60));
            let saga = connection.sagas().start(asked).await.map_err(|_| ())?.into_inner();
            if saga.status() == expected { Ok(()) } else { Err(()) }
        }
    })
    .await
}

pub(super) async fn dial(address: SocketAddr) -> Result<Channel, Failure> {
    let endpoint =
        Endpoint::from_shared(format!("http://{address}")).map_err(|error| Failure::Usage(error.to_string()))?;
    let channel = endpoint.tcp_nodelay(true).connect().await;
    channel.map_err(|error| Failure::Process(std::io::Error::other(error)))
}

/// Runs units for so long, and waits for the last.
pub(super) async fn run<F, U>(load: Load, length: Duration, unit: F) -> Result<Measured, Failure>
where
    F: Fn(u64) -> U + Clone + Send + 'static,
    U: Future<Output = Result<(), ()>> + Send + 'static,
{
    match load {
        Load::Closed(in_flight) => closed(in_flight, length, unit).await,
        Load::Open(per_second) => open(per_second, length, unit).await,
    }
}

async fn closed<F, U>(in_flight: usize, length: Duration, unit: F) -> Result<Measured, Failure>
where
    F: Fn(u64) -> U + Clone + Send + 'static,
    U: Future<Output = Result<(), ()>> + Send + 'static,
{
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let (count_from, until) = (begun + length / WARM_UP_SHARE, begun + length);
    let mut workers = JoinSet::new();
    for _ in 0..in_flight {
        let (unit, next) = (unit.clone(), next.clone());
        workers.spawn(async move {
            let mut units = Vec::new();
            while Instant::now() < until {
                let from = Instant::now();
                let ended = unit(next.fetch_add(1, Ordering::Relaxed)).await;
                let at = Instant::now();
                units.push(Unit { ended, waited: at - from, counts: from >= count_from && at <= until });
            }
            units
        });
    }
    let mut measured = Measured::new(length)?;
    while let Some(worker) = workers.join_next().await {
        for unit in worker.map_err(broken)? {
            measured.take(&unit, unit.counts);
        }
    }
    Ok(measured)
}

async fn open<F, U>(per_second: f64, length: Duration, unit: F) -> Result<Measured, Failure>
where
    F: Fn(u64) -> U + Clone + Send + 'static,
    U: Future<Output = Result<(), ()>> + Send + 'static,
{
    let begun = Instant::now();
    let count_from = begun + length / WARM_UP_SHARE;
    let mut measured = Measured::new(length)?;
    let mut under_way = JoinSet::new();
    for number in 0_u32.. {
        // None that falls into the time: also where nothing was reached, of which every share is nothing.
        let Ok(due) = Duration::try_from_secs_f64(f64::from(number) / per_second) else { break };
        if due >= length {
            break;
        }
        let intended = begun + due;
        tokio::time::sleep_until(intended.into()).await;
        while let Some(over) = under_way.try_join_next() {
            let over: Unit = over.map_err(broken)?;
            measured.take(&over, over.counts);
        }
        if under_way.len() >= UNDER_WAY_MAX {
            measured.failed += 1;
            continue;
        }
        let work = unit(u64::from(number));
        under_way.spawn(async move {
            let ended = work.await;
            Unit { ended, waited: intended.elapsed(), counts: intended >= count_from }
        });
    }
    while let Some(over) = under_way.join_next().await {
        let over = over.map_err(broken)?;
        measured.take(&over, over.counts);
    }
    Ok(measured)
}

fn broken(error: JoinError) -> Failure {
    Failure::Process(std::io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_that_is_due_is_begun_and_failures_are_told_apart() {
        let unit = |number: u64| async move { if number % 10 == 9 { Err(()) } else { Ok(()) } };
        let measured = open(1000.0, Duration::from_millis(100), unit).await.expect("measured");
        assert_eq!((measured.done, measured.failed), (90, 10));
    }

    #[tokio::test]
    async fn a_share_of_nothing_is_nothing() {
        for per_second in [0.0, f64::MIN_POSITIVE, f64::NAN] {
            let measured = open(per_second, Duration::from_millis(10), |_| async { Ok(()) }).await.expect("measured");
            assert!(measured.done <= 1 && measured.failed == 0, "at {per_second} a second: {}", measured.done);
        }
    }
}
