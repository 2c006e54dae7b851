//! Very many open sagas that wait, and many that were in flight: what they cost in memory, what new sagas cost beside them, and
//! how soon they move again.
//!
//! A slice runs with all tests and asserts counts, not time or memory. `make scale` is the long form: AMENDS_SCALE_WAITING,
//! AMENDS_SCALE_IN_FLIGHT and AMENDS_SCALE_SECONDS, with the limits asserted where AMENDS_SCALE_ASSERT is set.

pub(crate) mod world;

use std::sync::Arc;
use std::time::Duration;

use amends_redis_lab::{Server, Settings};
use amends_store::redis::{Address, RedisOptions};
use amends_store::sqlite::OpenOptions;
use amends_store::{RedisStore, SqliteStore, Store};

use tokio::time::Instant;

use world::{SHARDS, World, awake_max, number, resident_mib};

/// Most memory of a process that has a million sagas waiting.
const MEMORY_MAX_MIB: u64 = 1_024;
/// How soon all that were in flight must have been called again.
const MOVING_MAX: Duration = Duration::from_secs(10);
/// New sagas beside those that wait, in hundredths of what an empty store does.
const RATE_PERCENT_MIN: f64 = 80.0;

fn asserts() -> bool {
    std::env::var_os("AMENDS_SCALE_ASSERT").is_some()
}

/// Waits for a participant, for a retry and for a callback; new sagas beside them; then the participant is back.
async fn many_wait(name: &str, empty: Arc<dyn Store>, store: Arc<dyn Store>) {
    let (sagas, length) = (number("AMENDS_SCALE_WAITING", 2_000), number("AMENDS_SCALE_SECONDS", 0));
    let length = Duration::from_secs(length).max(Duration::from_millis(200));
    let world = World::on(empty).await;
    let before = world.new_sagas(length).await;
    world.stop().await;

    let begun = Instant::now();
    world::fill_waiting(&*store, sagas).await;
    let (filled, memory_before) = (begun.elapsed(), resident_mib());
    let begun = Instant::now();
    let world = World::on(store).await;
    world.until_queued(world::queued_of(sagas)).await;
    let (recovered, memory) = (begun.elapsed(), resident_mib());
    let waits = world.waits().await;
    let beside = world.new_sagas(length).await;
    let (after, percent) = (resident_mib(), beside / before * 100.0);
    eprintln!(
        "{name}: {sagas} waiting, written in {filled:.1?}, queued {recovered:.1?} after the start; {memory} MiB, {after} MiB after \
         new sagas ({memory_before} MiB before the start); new sagas/s {before:.0} on an empty store, {beside:.0} beside them \
         ({percent:.0} %); asleep {}",
        waits.asleep
    );
    let awake = u64::from(SHARDS) * awake_max();
    assert!(waits.asleep + awake >= world::queued_of(sagas), "{waits:?}: more are awake than may be");
    assert!(waits.moving >= world::queued_of(sagas), "{waits:?}: what sleeps isn't counted");
    if asserts() {
        assert!(memory.max(after) <= MEMORY_MAX_MIB, "{memory} and {after} MiB");
        assert!(percent >= RATE_PERCENT_MIN, "{percent:.0} % of the rate on an empty store");
    } else {
        world.participant_is_back();
        world.until_called(world::queued_of(sagas)).await;
        world.until_ended(world::queued_of(sagas)).await;
    }
    world.stop().await;
}

/// All were being called when their owner was lost.
async fn many_in_flight(name: &str, store: Arc<dyn Store>) {
    let sagas = number("AMENDS_SCALE_IN_FLIGHT", 1_000);
    world::fill_in_flight(&*store, sagas).await;
    let begun = Instant::now();
    let world = World::open_on(store).await;
    world.until_called(sagas).await;
    let moving = begun.elapsed();
    world.until_ended(sagas).await;
    let ended = begun.elapsed();
    eprintln!(
        "{name}: {sagas} in flight, all called again after {moving:.1?}, all ended after {ended:.1?}; {} MiB",
        resident_mib()
    );
    if asserts() {
        assert!(moving <= MOVING_MAX, "{moving:?}");
    }
    world.stop().await;
}

fn sqlite(folder: &tempfile::TempDir, name: &str) -> Arc<dyn Store> {
    let path = folder.path().join(name);
    let options = OpenOptions { shards: Some(SHARDS), reserve_bytes: 0, ..OpenOptions::new(path) };
    Arc::new(SqliteStore::open(options).expect("opened"))
}

/// With room for a million.
fn redis_server() -> Server {
    Server::start(&Settings::strict().with("maxmemory", "8gb"))
}

async fn redis(server: &Server) -> Arc<dyn Store> {
    let address = Address::parse(&server.url()).expect("an address");
    let options = RedisOptions { shards: Some(SHARDS), ..RedisOptions::new(address) };
    Arc::new(RedisStore::open(options).await.expect("opened"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sagas_wait_on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    many_wait("sqlite", sqlite(&folder, "empty"), sqlite(&folder, "full")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sagas_wait_on_redis() {
    let (empty, full) = (redis_server(), redis_server());
    many_wait("redis", redis(&empty).await, redis(&full).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sagas_in_flight_move_again_on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    many_in_flight("sqlite", sqlite(&folder, "full")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sagas_in_flight_move_again_on_redis() {
    let server = redis_server();
    many_in_flight("redis", redis(&server).await).await;
}
