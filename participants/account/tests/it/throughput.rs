//! How many holds a second one process carries, each its own saga, each durable. Figures, not a test: run it with
//! `cargo test -p amends-account --test it -- --ignored --nocapture throughput`.

use std::time::Instant;

use futures::StreamExt;
use tempfile::TempDir;

use crate::fixture::{Running, step};

const CALLS: usize = 4000;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "prints figures; nothing to assert"]
async fn holds_per_second() {
    let running = Running::start(TempDir::new().unwrap(), &[]).await;
    running.open("alice", 0, i64::MAX / 2).await;
    for in_flight in [1, 16, 64, 256] {
        let begun = Instant::now();
        futures::stream::iter(0..CALLS)
            .for_each_concurrent(in_flight, |n| {
                let running = &running;
                async move {
                    running.hold(&step(&format!("s-{in_flight}-{n}")), 1).await.unwrap();
                }
            })
            .await;
        let rate = CALLS as f64 / begun.elapsed().as_secs_f64();
        println!("{in_flight:>4} in flight: {rate:>6.0} holds/s");
    }
    running.audit().await;
}
