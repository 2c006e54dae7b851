//! Redis is misconfigured, full, wiped or another one while orders come in.
//!
//! Where it is safe the coordinator recovers by itself; where it is not it stands still, and whoever places an order is told what a
//! person has to do. Nothing accepted is lost, and no book is wrong at the end.

use amends_redis_lab::{Fault, Proxy, Server, Settings, wait_until};
use tonic::transport::Channel;

use crate::fleet::Fleet;
use crate::orders::{self, Stream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_trouble_is_survived_or_said() {
    let server = Server::start(&Settings::strict());
    let proxy = Proxy::start(server.address()).await;
    let fleet = Fleet::start_on(&[proxy.url()], "").await;
    orders::open_shop(&fleet).await;
    let channel = fleet.coordinators[0].channel();
    let mut stream = Stream::start(std::slice::from_ref(&channel), 4);
    stream.flow(20).await;
    scripts_are_forgotten(&server, &mut stream).await;
    replies_are_cut(&proxy, &mut stream).await;
    memory_is_full(&server, &mut stream, &channel).await;
    the_log_is_switched_off(&server, &mut stream, &channel).await;
    the_address_leads_elsewhere(&server, &proxy, &mut stream, &channel).await;
    let accepted = stream.stop(&channel).await;
    orders::settle("trouble with Redis", &fleet, &channel, accepted).await;
}

async fn scripts_are_forgotten(server: &Server, stream: &mut Stream) {
    for _ in 0..5 {
        server.ask::<()>(&["SCRIPT", "FLUSH"]);
        stream.flow(5).await;
    }
}

/// Each time Redis has done it and nobody knows, or has got half of a command.
async fn replies_are_cut(proxy: &Proxy, stream: &mut Stream) {
    for cut in 0..6 {
        let after = cut * 3;
        proxy.set(if cut % 2 == 0 { Fault::CutReply { after } } else { Fault::CutRequest { after } });
        stream.flow(10).await;
    }
    assert!(proxy.cuts() >= 5, "only {} cuts", proxy.cuts());
    proxy.heal();
}

async fn memory_is_full(server: &Server, stream: &mut Stream, channel: &Channel) {
    server.configure("maxmemory", "1mb");
    stream.is_told(channel, "maxmemory").await;
    server.configure("maxmemory", "256mb");
    stream.flow(20).await;
}

async fn the_log_is_switched_off(server: &Server, stream: &mut Stream, channel: &Channel) {
    server.configure("appendonly", "no");
    stream.is_told(channel, "Write `appendonly yes` in redis.conf").await;
    server.configure("appendonly", "yes");
    tokio::task::block_in_place(|| {
        wait_until("the first rewrite", || (server.info("aof_rewrite_in_progress")? == "0").then_some(()));
    });
    stream.flow(20).await;
}

async fn the_address_leads_elsewhere(server: &Server, proxy: &Proxy, stream: &mut Stream, channel: &Channel) {
    let other = Server::start(&Settings::strict());
    proxy.lead_to(other.address());
    proxy.disconnect();
    stream.is_told(channel, "Redis was wiped, or this is another server").await;
    assert_eq!(other.ask::<u64>(&["DBSIZE"]), 0, "a store was made there");
    proxy.lead_to(server.address());
    proxy.disconnect();
    stream.flow(20).await;
}

/// Whoever types `FLUSHALL` can still take it back: nothing was made in the place of what is gone, and everything goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_wiped_is_noticed_and_can_be_taken_back() {
    wipe_and_take_back().await;
}

/// Wipes a server under orders; fails where nobody is told, or where something is missing once it has been taken back.
pub(crate) async fn wipe_and_take_back() {
    let mut server = Server::start(&Settings::strict());
    let mut fleet = Fleet::start_on(&[server.url()], "").await;
    orders::open_shop(&fleet).await;
    let channel = fleet.coordinators[0].channel();
    let mut stream = Stream::start(std::slice::from_ref(&channel), 8);
    stream.flow(40).await;
    server.ask::<()>(&["FLUSHALL"]);
    stream.is_told(&channel, "Redis was wiped").await;
    let made: Vec<String> = server.ask(&["KEYS", "*"]);
    assert_eq!(made, [] as [String; 0], "written in the place of what is gone");
    tokio::task::block_in_place(|| {
        let coordinator = &mut fleet.coordinators[0];
        coordinator.kill();
        coordinator.restart_in_vain();
        assert!(coordinator.said("Redis was wiped") > 0, "it doesn't say why it can't start");
        server.kill();
        server.take_back("FLUSHALL");
        server.restart();
        coordinator.restart();
    });
    stream.flow(20).await;
    let accepted = stream.stop(&channel).await;
    orders::settle("a wiped Redis", &fleet, &channel, accepted).await;
}
