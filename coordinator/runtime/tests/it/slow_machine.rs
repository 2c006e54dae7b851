//! A machine with hardly any processor left takes over many sagas in flight, and keeps what it has taken.
//!
//! Virtual time on one thread: each reading of the clock takes a while, and nothing else takes any. Invariant: however much a
//! node's shards have to take in, each renewal is asked for and heard in time, so that no shard is had twice.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_runtime::seam::{Clock, Seams};
use amends_store::{MemoryStore, Store};
use tokio::time::Instant;

use crate::clock;
use crate::scale::world::{self, SHARDS, World};

/// An event of a saga reads the clock a few times, so that it takes about a millisecond.
const READING: Duration = Duration::from_micros(300);
const SAGAS: u64 = 4_096;
const PATIENCE: Duration = Duration::from_secs(120);

/// tokio's paused clock and all that the readings have taken.
struct Slow {
    began_at: Timestamp,
    began: Instant,
    taken_micros: AtomicU64,
}

impl fmt::Debug for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slow")
    }
}

impl Slow {
    fn new() -> Self {
        Self { began_at: Seams::system().now(), began: Instant::now(), taken_micros: AtomicU64::new(0) }
    }

    fn look(&self) -> Timestamp {
        let taken = Duration::from_micros(self.taken_micros.load(Ordering::SeqCst));
        self.began_at + (self.began.elapsed() + taken)
    }
}

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        let micros = u64::try_from(READING.as_micros()).expect("small");
        self.taken_micros.fetch_add(micros, Ordering::SeqCst);
        self.look()
    }
}

#[tokio::test(start_paused = true)]
async fn a_take_over_on_a_machine_with_hardly_any_processor_left_keeps_its_leases() {
    let slow = Arc::new(Slow::new());
    let stores = slow.clone();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(SHARDS, Arc::new(move || stores.look())));
    world::fill_in_flight(&*store, SAGAS).await;
    let world = World::open_with(store.clone(), clock::seams(slow.clone())).await;
    let ended = tokio::time::timeout(PATIENCE, world.until_ended(SAGAS)).await;
    assert!(ended.is_ok(), "they move on; {} acquisitions", world.acquisitions());
    assert_eq!(world.acquisitions(), u64::from(SHARDS), "each shard was had once");
    world.stop().await;
}
