//! The load of a soak: sagas of which one in ten is refused at its end and compensated.
//!
//! Nothing is remembered of a saga that has ended but that it was counted. A start that was left open is made again under its id, as
//! every client must: the server closes connections of an age, and what was just being handed to one is cancelled. Invariant: what
//! didn't end as it should is a failure.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amends_proto::v1 as api;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::fleet::payload;

/// How long a saga may take.
const PATIENCE_SECONDS: i64 = 60;
/// How often a start may be made.
const TRIES: usize = 5;
/// What the participant refuses.
const REFUSED: &str = "refuse";

/// How so many sagas ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) completed: u64,
    pub(crate) compensated: u64,
    pub(crate) failed: u64,
    /// Starts that were left open and made again.
    pub(crate) again: u64,
}

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    completed: AtomicU64,
    compensated: AtomicU64,
    failed: AtomicU64,
    again: AtomicU64,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    channels: Arc<Vec<Channel>>,
    counts: Arc<Counts>,
}

impl Load {
    pub(crate) fn new(channels: Vec<Channel>) -> Self {
        Self { channels: Arc::new(channels), counts: Arc::default() }
    }

    pub(crate) fn ended(&self) -> Ended {
        let counts = &*self.counts;
        let [completed, compensated, failed, again] =
            [&counts.completed, &counts.compensated, &counts.failed, &counts.again].map(|it| it.load(Ordering::SeqCst));
        Ended { completed, compensated, failed, again }
    }

    /// One saga, from its start to its end.
    async fn one(self) {
        let number = self.counts.begun.fetch_add(1, Ordering::SeqCst);
        let refused = number % 10 == 9;
        let text = "x".repeat(128);
        let last = if refused { REFUSED } else { &text };
        let start = api::StartSagaRequest {
            saga_id: format!("soak-{number}"),
            definition: "soak".to_owned(),
            input: Some(payload(&json!({ "text": text, "last": last }))),
            wait: Some(pbjson_types::Duration { seconds: PATIENCE_SECONDS, nanos: 0 }),
            ..Default::default()
        };
        let channel = self.channels[usize::try_from(number).expect("64 bits") % self.channels.len()].clone();
        let answer = self.start(channel, &start).await;
        let wanted = if refused { api::SagaStatus::Compensated } else { api::SagaStatus::Completed };
        let count = match answer {
            Ok(saga) if saga.get_ref().status() == wanted && refused => &self.counts.compensated,
            Ok(saga) if saga.get_ref().status() == wanted => &self.counts.completed,
            answer => {
                eprintln!("soak-{number}: {answer:?}");
                &self.counts.failed
            }
        };
        count.fetch_add(1, Ordering::SeqCst);
    }

    async fn start(&self, channel: Channel, start: &api::StartSagaRequest) -> Result<Response<api::Saga>, Status> {
        let mut client = api::sagas_client::SagasClient::new(channel);
        for _ in 1..TRIES {
            match client.start(start.clone()).await {
                Err(status) if is_left_open(&status) => {
                    self.counts.again.fetch_add(1, Ordering::SeqCst);
                }
                answer => return answer,
            }
        }
        client.start(start.clone()).await
    }

    /// Sagas per second with so many at once.
    pub(crate) async fn closed(&self, callers: usize, length: Duration) -> f64 {
        let (begun, mut all) = (Instant::now(), JoinSet::new());
        let before = self.ended();
        for _ in 0..callers {
            let load = self.clone();
            all.spawn(async move {
                while begun.elapsed() < length {
                    load.clone().one().await;
                }
            });
        }
        all.join_all().await;
        let ended = self.ended();
        let done = ended.completed + ended.compensated - before.completed - before.compensated;
        done as f64 / begun.elapsed().as_secs_f64()
    }

    /// Begins so many a second, whatever becomes of those before, and waits for the last.
    pub(crate) async fn open(&self, per_second: f64, length: Duration) {
        let (begun, mut all) = (Instant::now(), JoinSet::new());
        for number in 0_u32.. {
            let due = Duration::from_secs_f64(f64::from(number) / per_second);
            if due >= length {
                break;
            }
            sleep_until(begun + due).await;
            while all.try_join_next().is_some() {}
            all.spawn(self.clone().one());
        }
        all.join_all().await;
    }
}

/// Whether the start may have been taken: cancelled, or the connection broke, whatever code tonic has given that (`INTERNAL` where the
/// server had begun to close it).
fn is_left_open(status: &Status) -> bool {
    matches!(status.code(), Code::Cancelled | Code::Unavailable) || status.source().is_some()
}
