//! Three coordinators on one Redis: killed, and stopped for longer than their leases last, while orders come in.
//!
//! The others take over, nothing accepted is lost, no effect happens twice, and what a stopped one still writes when it goes on is
//! refused by the store.

use std::time::Duration;

use amends_redis_lab::{Fault, Proxy, Server, Settings};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tonic::transport::Channel;

use crate::fleet::Fleet;
use crate::orders::{self, Stream};
use crate::process::{Process, setting};

const NODES: usize = 3;
const LEASE: Duration = Duration::from_secs(1);
const SETTINGS: &str = "sagas: { lease: 1s }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_nodes_take_over_from_the_killed() {
    let kills = setting("AMENDS_NODE_KILLS", 4);
    let mut world = World::new("killed nodes", kills).await;
    for _ in 0..kills {
        let node = world.after_a_while().await;
        let down = Duration::from_millis(world.random.random_range(0..1_500));
        let node = &mut world.fleet.coordinators[node];
        tokio::task::block_in_place(|| {
            node.kill();
            std::thread::sleep(down);
            node.restart();
        });
    }
    world.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_nodes_take_over_from_the_stopped_whose_late_writes_are_fenced() {
    let pauses = setting("AMENDS_NODE_PAUSES", 3);
    let mut world = World::new("paused nodes", pauses).await;
    for _ in 0..pauses {
        let node = world.after_a_while().await;
        // What it has sent is on its way for as long as it stands still.
        world.links[node].set(Fault::BlackHole);
        world.stream.flow(6).await;
        world.fleet.coordinators[node].pause();
        // The rule is about time: after three leases the others have its shards.
        tokio::time::sleep(LEASE * 3).await;
        world.fleet.coordinators[node].resume();
        world.links[node].heal();
    }
    let fleet = world.settle().await;
    let fenced: usize = fleet.coordinators.iter().map(|node| node.said("a late write was fenced off")).sum();
    eprintln!("paused nodes: {fenced} fenced writes");
    assert!(fenced > 0, "no late write was fenced: the pauses prove nothing");
}

struct World {
    what: &'static str,
    random: StdRng,
    /// Between each node and Redis.
    links: Vec<Proxy>,
    fleet: Fleet,
    channels: Vec<Channel>,
    stream: Stream,
    _server: Server,
}

impl World {
    async fn new(what: &'static str, times: u64) -> Self {
        let seed = setting("AMENDS_SEED", rand::random());
        eprintln!("{what}: {times} times, AMENDS_SEED={seed}");
        let server = Server::start(&Settings::strict());
        let mut links = Vec::new();
        for _ in 0..NODES {
            links.push(Proxy::start(server.address()).await);
        }
        let addresses: Vec<String> = links.iter().map(Proxy::url).collect();
        let fleet = Fleet::start_on(&addresses, SETTINGS).await;
        orders::open_shop(&fleet).await;
        let channels: Vec<Channel> = fleet.coordinators.iter().map(Process::channel).collect();
        let stream = Stream::start(&channels, 12);
        Self { what, random: StdRng::seed_from_u64(seed), links, fleet, channels, stream, _server: server }
    }

    /// Lets some orders come in, and picks a node.
    async fn after_a_while(&mut self) -> usize {
        self.stream.flow(self.random.random_range(20..60)).await;
        self.random.random_range(0..NODES)
    }

    /// Every order that was accepted ends, and every book balances.
    async fn settle(mut self) -> Fleet {
        self.stream.flow(20).await;
        let accepted = self.stream.stop(&self.channels[0]).await;
        orders::settle(self.what, &self.fleet, &self.channels[0], accepted).await;
        self.fleet
    }
}
