//! A primary dies under two coordinators while orders come in, and a slot of the Cluster moves.
//!
//! Every replica confirms every commit, so whichever takes over has all that was accepted: every order ends and every book
//! balances.

use amends_redis_lab::{Cluster, SentinelSet, Settings};
use tonic::transport::Channel;

use crate::fleet::Fleet;
use crate::orders::{self, Stream};
use crate::process::{Process, setting};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_sentinel_fails_over_without_loss() {
    let mut set = SentinelSet::start(&Settings::strict());
    let mut world = World::new(&set.url()).await;
    for _ in 0..setting("AMENDS_SENTINEL_FAIL_OVERS", 1) {
        world.stream.flow(40).await;
        tokio::task::block_in_place(|| {
            let primary = set.primary();
            set.servers[primary].kill();
            set.wait_for_fail_over(primary);
            set.servers[primary].restart();
            set.wait_until_ready();
        });
    }
    world.settle("Sentinel's fail-over").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster_fails_over_and_reshards_without_loss() {
    let mut cluster = Cluster::start(&Settings::strict());
    let mut world = World::new(&cluster.url()).await;
    for round in 0..setting("AMENDS_CLUSTER_FAIL_OVERS", 1) {
        world.stream.flow(40).await;
        tokio::task::block_in_place(|| {
            let primary = cluster.primary_of(&tag(round));
            let replica = cluster.replica_of(primary);
            cluster.nodes[primary].kill();
            cluster.wait_for_promotion(replica);
            cluster.nodes[primary].restart();
            cluster.wait_until_ready();
        });
        world.stream.flow(20).await;
        for shard in 8 * round..8 * round + 8 {
            reshard(&cluster, &tag(shard), &mut world.stream).await;
        }
    }
    world.settle("the Cluster's fail-over").await;
}

/// A key in the slot of a shard.
fn tag(shard: u64) -> String {
    format!("{{amends:main:{}}}", shard % 64)
}

/// Moves the slot of this key to the next primary, key by key, while its shard is worked on.
async fn reshard(cluster: &Cluster, key: &str, stream: &mut Stream) {
    let from = cluster.primary_of(key);
    let to = cluster.primaries().into_iter().find(|place| *place != from).expect("three primaries");
    let slot: u16 = cluster.nodes[from].ask(&["CLUSTER", "KEYSLOT", key]);
    cluster.begin_move(slot, from, to).expect("both take it");
    while cluster.move_keys(slot, from, to, 2).expect("room") > 0 {
        stream.flow(1).await;
    }
    cluster.end_move(slot, from, to).expect("all keys are there");
}

struct World {
    fleet: Fleet,
    channels: Vec<Channel>,
    stream: Stream,
}

impl World {
    async fn new(redis: &str) -> Self {
        let fleet = Fleet::start_on(&[redis.to_owned(), redis.to_owned()], "").await;
        orders::open_shop(&fleet).await;
        let channels: Vec<Channel> = fleet.coordinators.iter().map(Process::channel).collect();
        let stream = Stream::start(&channels, 8);
        Self { fleet, channels, stream }
    }

    async fn settle(mut self, what: &str) {
        self.stream.flow(20).await;
        let accepted = self.stream.stop(&self.channels[0]).await;
        orders::settle(what, &self.fleet, &self.channels[0], accepted).await;
    }
}
