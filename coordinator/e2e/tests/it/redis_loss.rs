//! A fail-over to a replica that lacks the newest of what was confirmed, under two coordinators that ask for no more (`relaxed`).
//!
//! Nothing can bring it back; what counts is that nobody is told a lie. Every order that was accepted is there, or its shard is frozen
//! and says why: to whoever asks for the order, to whoever looks at the shards, and in the log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use amends_proto::v1 as api;
use amends_redis_lab::{SentinelSet, Server, Settings};
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use crate::fleet::{Fleet, ended, start};
use crate::orders::{self, Stream};
use crate::process::Process;

const SETTINGS: &str = "store: { redis: { durability: relaxed } }";
/// Orders that both servers have, and those that the primary alone has. Few, so that most shards have lost nothing.
const KEPT: u64 = 12;
const LOST: u64 = 8;
/// How long the last of all may take.
const PATIENCE: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_fail_over_that_loses_confirmed_sagas_is_said() {
    lose_by_fail_over().await;
}

/// Loses confirmed sagas by a fail-over, fails where that isn't said of each of them, and says how many there were.
pub(crate) async fn lose_by_fail_over() -> usize {
    let mut set = SentinelSet::start(&Settings::strict());
    let fleet = Fleet::start_on(&[set.url(), set.url()], SETTINGS).await;
    orders::open_shop(&fleet).await;
    let channels: Vec<Channel> = fleet.coordinators.iter().map(Process::channel).collect();
    place_and_end(&channels, 0..KEPT).await;
    tokio::task::block_in_place(|| set.part());
    // They end too, so that their shards stand still when it happens: no commit meets the gap.
    place_and_end(&channels, KEPT..KEPT + LOST).await;
    let before = sagas(&set.servers[set.primary()]);
    assert_eq!(before.len() as u64, KEPT + LOST, "each is where it was confirmed");
    let after = tokio::task::block_in_place(|| {
        let primary = set.primary();
        set.servers[primary].kill();
        set.wait_for_fail_over(primary)
    });
    let after = sagas(&set.servers[after]);
    let lost: BTreeMap<_, _> = before.into_iter().filter(|(id, _)| !after.contains_key(id)).collect();
    eprintln!("a fail-over lost {} of {} confirmed sagas", lost.len(), KEPT + LOST);
    assert!(!lost.is_empty(), "nothing was lost: the rest proves nothing");
    are_frozen(&channels, &lost).await;
    for channel in &channels {
        nobody_is_told_a_lie(channel, &lost).await;
    }
    let said: usize = fleet.coordinators.iter().map(|node| node.said("confirmed changes are lost")).sum();
    assert!(said > 0, "no log has it");
    the_others_go_on(&channels).await;
    lost.len()
}

async fn place_and_end(channels: &[Channel], numbers: std::ops::Range<u64>) {
    for number in numbers.clone() {
        let channel = &channels[usize::try_from(number).expect("a small number") % channels.len()];
        start(channel, "checkout", &orders::id(number), &orders::input(number)).await;
    }
    for number in numbers {
        ended(&channels[0], &orders::id(number), PATIENCE).await;
    }
}

/// The sagas that a server has, and the shard of each.
fn sagas(server: &Server) -> BTreeMap<String, u32> {
    let keys: Vec<String> = server.ask(&["KEYS", "{amends:main:*}:saga:*"]);
    let parts = |key: &str| {
        let (shard, id) = key.strip_prefix("{amends:main:")?.split_once("}:saga:default,")?;
        Some((id.to_owned(), shard.parse().ok()?))
    };
    keys.iter().map(|key| parts(key).unwrap_or_else(|| panic!("{key} is no saga's"))).collect()
}

/// Both nodes come to show the shard of every lost saga as frozen, with how much is lost.
async fn are_frozen(channels: &[Channel], lost: &BTreeMap<String, u32>) {
    let begun = Instant::now();
    for channel in channels {
        loop {
            let mut cluster = api::cluster_client::ClusterClient::new(channel.clone());
            let listed = cluster.list_shards(api::ListShardsRequest {}).await.map(|it| it.into_inner().shards);
            let shards = listed.unwrap_or_default();
            let is_said = |shard: &&u32| {
                let is_it = |it: &&api::Shard| it.shard == **shard && it.state() == api::ShardState::Frozen;
                shards.iter().find(is_it).is_some_and(|it| it.message.contains("confirmed changes are lost"))
            };
            let silent: Vec<&u32> = lost.values().filter(|shard| !is_said(shard)).collect();
            if silent.is_empty() {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "shards {silent:?} have lost sagas and nobody says so: {shards:#?}");
            tokio::time::sleep(AGAIN).await;
        }
    }
    eprintln!("frozen {:?} after the fail-over", begun.elapsed());
}

/// Each accepted order is shown, or it is said that its shard has lost something. That it never was is said of none.
async fn nobody_is_told_a_lie(channel: &Channel, lost: &BTreeMap<String, u32>) {
    for number in 0..KEPT + LOST {
        let get = api::GetSagaRequest { saga_id: orders::id(number), ..Default::default() };
        let answer = api::sagas_client::SagasClient::new(channel.clone()).get(get).await;
        if lost.contains_key(&orders::id(number)) {
            let status = answer.expect_err("it is lost");
            let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
            assert_eq!((status.code(), reason.as_deref()), (Code::Unavailable, Some("SHARD_FROZEN")), "{status}");
        } else {
            answer.unwrap_or_else(|status| panic!("order {number} was kept: {status}"));
        }
    }
}

/// What has lost nothing is worked on.
async fn the_others_go_on(channels: &[Channel]) {
    let begun = Instant::now();
    let mut stream = Stream::start(channels, 0);
    while stream.try_one(&channels[0]).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "no order is accepted any more");
        tokio::time::sleep(AGAIN).await;
    }
}
