//! Twice as many starts as can be carried out, then as many as before: what is accepted ends, what isn't is told when to come
//! again, and waiting is soon as short as it was.
//!
//! A slice of it runs always, without a word about time. `make overload` is the long form: AMENDS_OVERLOAD_SECONDS of each
//! phase, and with AMENDS_OVERLOAD_ASSERT=1 the limits are asserted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use amends_proto::v1;
use amends_proto::v1::sagas_client::SagasClient;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;

use crate::harness::{Memory, Server, checkout, refusal, seconds};

/// Callers at once while the capacity is measured.
const WORKERS: usize = 64;
/// After this, waiting must be as before.
const RECOVERY_MAX: Duration = Duration::from_secs(120);
/// As before: within this factor of the median, and what a busy machine adds.
const AS_BEFORE: u32 = 2;
const NOISE: Duration = Duration::from_millis(10);

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// What callers have seen.
#[derive(Default)]
struct Seen {
    accepted: BTreeSet<String>,
    refused: usize,
    waits: Vec<Duration>,
}

#[derive(Clone)]
struct Callers {
    channels: Vec<Channel>,
    seen: Arc<Mutex<Seen>>,
}

impl Callers {
    async fn new(server: &Server) -> Self {
        let mut channels = Vec::new();
        for _ in 0..4 {
            let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap();
            channels.push(endpoint.connect().await.unwrap());
        }
        Self { channels, seen: Arc::default() }
    }

    fn client(&self, number: usize) -> SagasClient<Channel> {
        SagasClient::new(self.channels[number % self.channels.len()].clone())
    }

    /// Starts one saga, once.
    async fn start(self, id: String, number: usize) {
        let begun = Instant::now();
        let answer = self.client(number).start(checkout(&id)).await;
        let mut seen = self.seen.lock().unwrap();
        match answer {
            Ok(_) => {
                seen.waits.push(begun.elapsed());
                seen.accepted.insert(id);
            }
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                assert_eq!(refusal(&status).1, "OVERLOADED", "{status:?}");
                let retry = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
                assert!(retry.is_some_and(|delay| !delay.is_zero()), "{status:?}");
                seen.refused += 1;
            }
        }
    }

    /// Starts at a rate, whatever becomes of them; the waits of those that were accepted.
    async fn run(&self, phase: &str, rate: f64, length: Duration) -> Vec<Duration> {
        let (begun, mut tasks, mut number) = (Instant::now(), JoinSet::new(), 0_usize);
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while begun.elapsed() < length {
            tick.tick().await;
            let due = (begun.elapsed().as_secs_f64() * rate) as usize;
            while number < due {
                tasks.spawn(self.clone().start(format!("{phase}-{number}"), number));
                number += 1;
            }
        }
        tasks.join_all().await;
        std::mem::take(&mut self.seen.lock().unwrap().waits)
    }

    /// How many sagas a second come to their end with enough callers at once.
    async fn capacity(&self, length: Duration) -> f64 {
        let (begun, mut tasks) = (Instant::now(), JoinSet::new());
        for worker in 0..WORKERS {
            let callers = self.clone();
            tasks.spawn(async move {
                let mut done = 0_u32;
                while begun.elapsed() < length {
                    let id = format!("measure-{worker}-{done}");
                    let start = v1::StartSagaRequest { wait: seconds(60), ..checkout(&id) };
                    callers.client(worker).start(start).await.unwrap();
                    callers.seen.lock().unwrap().accepted.insert(id);
                    done += 1;
                }
                done
            });
        }
        let done: u32 = tasks.join_all().await.into_iter().sum();
        f64::from(done) / begun.elapsed().as_secs_f64()
    }
}

fn median(waits: &[Duration]) -> Duration {
    let mut sorted = waits.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twice_the_capacity_loses_nothing_and_is_forgotten_soon() {
    let long = setting("AMENDS_OVERLOAD_SECONDS").map(Duration::from_secs);
    let length = long.unwrap_or(Duration::from_millis(500));
    let memory = Memory::sqlite();
    let mut config = memory.config();
    if long.is_none() {
        // So low that the slice has something to refuse.
        config.front_door.start_time_target = Duration::from_millis(1);
    }
    let (mut server, shop) = Server::with_shop_and(&memory, config).await;
    let callers = Callers::new(&server).await;
    let capacity = callers.capacity(length / 2).await;
    let before = median(&callers.run("before", capacity / 2.0, length / 2).await);
    let during = callers.run("during", capacity * 2.0, length).await;
    let refused = callers.seen.lock().unwrap().refused;
    let relieved = Instant::now();
    let mut after = Duration::ZERO;
    let mut is_as_before = false;
    for second in 0.. {
        let waits = callers.run(&format!("after-{second}"), capacity / 2.0, Duration::from_secs(1).min(length)).await;
        after = median(&waits);
        let (now, all) = (callers.seen.lock().unwrap().refused, waits.len());
        is_as_before = after <= before * AS_BEFORE + NOISE && all > 0;
        println!("after {:?}: median wait {after:?}, {} refused so far", relieved.elapsed(), now);
        if is_as_before || long.is_none() || relieved.elapsed() > RECOVERY_MAX {
            break;
        }
    }
    let recovery = relieved.elapsed();
    println!(
        "capacity {capacity:.0}/s; median wait {before:?} before, {:?} during (of {} accepted, {refused} refused), \
         {after:?} after {recovery:?}",
        median(&during),
        during.len(),
    );
    let accepted = std::mem::take(&mut callers.seen.lock().unwrap().accepted);
    for id in &accepted {
        let saga = server.end_of(id).await;
        assert_eq!(saga.status(), v1::SagaStatus::Completed, "{id} was accepted");
    }
    let charges = shop.calls().into_iter().filter(|method| method == "Charge").count();
    assert!(charges >= accepted.len(), "each accepted saga charges: {charges} of {}", accepted.len());
    if setting("AMENDS_OVERLOAD_ASSERT").is_some() {
        assert!(refused > 0, "twice the capacity is too much");
        assert!(is_as_before, "median wait {after:?} after {recovery:?}, {before:?} before");
        assert_eq!(charges, accepted.len(), "and nothing is called twice");
    }
    server.stop().await.unwrap();
}
