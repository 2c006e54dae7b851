//! Closed-loop load: so many workers, each beginning the next as soon as the last has ended.
//!
//! Latency is what a worker waited. Closed loop, so it says nothing of what happens beyond capacity. Invariant: what failed is
//! counted and never as a success.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use amends_proto::v1 as api;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use super::proto::Echo;
use super::proto::noop_client::NoopClient;
use crate::connect::Connection;
use crate::exit::Failure;

/// How much of the time passes before anything is counted.
const WARM_UP_SHARE: u32 = 5;

/// The longest wait that is told apart from longer ones, in microseconds.
const WAIT_MAX_US: u64 = 120_000_000;

/// What came of one measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) failed: u64,
    /// All that succeeded, also before and after what the rate and the waits are of.
    pub(super) done: u64,
}

/// So many bare calls one after the other, as one unit.
pub(super) async fn bare(
    participant: SocketAddr,
    calls: usize,
    in_flight: usize,
    length: Duration,
) -> Result<Measured, Failure> {
    let channel = dial(participant).await?;
    run(in_flight, length, move |_| {
        let mut client = NoopClient::new(channel.clone());
        async move {
            for _ in 0..calls {
                client.call(Echo { text: text() }).await.map_err(|_| ())?;
            }
            Ok(())
        }
    })
    .await
}

/// Whole sagas, from the start request to the answer that it has ended.
pub(super) async fn sagas(connection: &Connection, in_flight: usize, length: Duration) -> Result<Measured, Failure> {
    let run_id = uuid::Uuid::now_v7().simple().to_string();
    let connection = connection.clone();
    run(in_flight, length, move |number| {
        let connection = connection.clone();
        let start = api::StartSagaRequest {
            saga_id: format!("{run_id}-{number}"),
            definition: "bench".to_owned(),
            input: Some(crate::payload::from_json(&serde_json::json!({ "text": text() }))),
            wait: Some(pbjson_types::Duration { seconds: 60, nanos: 0 }),
            ..api::StartSagaRequest::default()
        };
        async move {
            let answer = crate::connect::request_within(start, Duration::from_secs(60));
            let saga = connection.sagas().start(answer).await.map_err(|_| ())?.into_inner();
            if saga.status() == api::SagaStatus::Completed { Ok(()) } else { Err(()) }
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

pub(super) fn text() -> String {
    "x".repeat(128)
}

/// Keeps so many units under way for so long.
pub(super) async fn run<F, U>(in_flight: usize, length: Duration, unit: F) -> Result<Measured, Failure>
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
            let mut waits = Vec::new();
            let (mut done, mut failed) = (0, 0);
            while Instant::now() < until {
                let from = Instant::now();
                let result = unit(next.fetch_add(1, Ordering::Relaxed)).await;
                let ended = Instant::now();
                match result {
                    Ok(()) => done += 1,
                    Err(()) => failed += 1,
                }
                if result.is_ok() && from >= count_from && ended <= until {
                    waits.push(ended - from);
                }
            }
            (waits, done, failed)
        });
    }
    let mut histogram =
        Histogram::<u64>::new_with_bounds(1, WAIT_MAX_US, 3).map_err(|error| Failure::Usage(error.to_string()))?;
    let (mut all, mut failures) = (0, 0);
    while let Some(worker) = workers.join_next().await {
        let (waits, done, failed) = worker.map_err(|error| Failure::Process(std::io::Error::other(error)))?;
        all += done;
        failures += failed;
        for wait in waits {
            histogram.saturating_record(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
        }
    }
    let counted = length - length / WARM_UP_SHARE;
    let millis = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile)).as_secs_f64() * 1000.0;
    Ok(Measured {
        per_second: Duration::from_secs(histogram.len()).as_secs_f64() / counted.as_secs_f64(),
        p50_ms: millis(0.5),
        p99_ms: millis(0.99),
        failed: failures,
        done: all,
    })
}
