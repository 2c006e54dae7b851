//! Redis dies under one coordinator while orders come in: it is killed, or its machine loses power.
//!
//! Every accepted order must end and every book balance, without anybody's help.

use std::time::Duration;

use amends_redis_lab::{Disk, Server, Settings};
use rand::{Rng as _, SeedableRng as _};

use crate::fleet::Fleet;
use crate::orders::{self, Stream};
use crate::process::setting;

/// What happens to the server; it is dead afterwards.
type Death = Box<dyn FnMut(&mut Server) + Send>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_kill_loses_nothing() {
    let server = Server::start(&Settings::strict());
    die_and_live("killed Redis", server, setting("AMENDS_REDIS_KILLS", 4), Box::new(Server::kill)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_power_cut_loses_nothing() {
    let mut disk = Disk::new();
    let server = Server::start_in(&Settings::strict(), disk.folder());
    let cut = Box::new(move |server: &mut Server| disk.cut_power(server));
    die_and_live("power cut", server, setting("AMENDS_REDIS_POWER_CUTS", 3), cut).await;
}

async fn die_and_live(what: &str, mut server: Server, deaths: u64, mut death: Death) {
    let seed = setting("AMENDS_SEED", rand::random());
    eprintln!("{what}: {deaths} times, AMENDS_SEED={seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let fleet = Fleet::start_on(&[server.url()], "").await;
    orders::open_shop(&fleet).await;
    let channel = fleet.coordinators[0].channel();
    let mut stream = Stream::start(std::slice::from_ref(&channel), 8);
    for _ in 0..deaths {
        stream.flow(random.random_range(10..60)).await;
        tokio::task::block_in_place(|| {
            death(&mut server);
            std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
            server.restart();
        });
    }
    stream.flow(10).await;
    let accepted = stream.stop(&channel).await;
    orders::settle(what, &fleet, &channel, accepted).await;
}

/// The same power cut where Redis syncs once a second: shows that the test above can fail, and that a loss is never silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_power_cut_takes_what_everysec_has_not_synced_and_it_is_said() {
    // One of them may fall into the moment after a sync.
    for _ in 0..5 {
        let lost = cut_everysec().await;
        eprintln!("power cut with everysec: {lost} accepted orders lost");
        if lost > 0 {
            return;
        }
    }
    panic!("five power cuts took nothing: this disk doesn't lose what isn't synced");
}

/// Says how many accepted orders a power cut took; fails when nobody was told.
pub(crate) async fn cut_everysec() -> usize {
    let mut disk = Disk::new();
    let mut server = Server::start_in(&Settings::strict(), disk.folder());
    let mut fleet = Fleet::start_on(&[server.url()], "store: { redis: { durability: relaxed } }").await;
    // The shop itself is to survive.
    orders::open_shop(&fleet).await;
    server.ask::<()>(&["CONFIG", "SET", "appendfsync", "everysec"]);
    let channel = fleet.coordinators[0].channel();
    let mut stream = Stream::start(std::slice::from_ref(&channel), 8);
    stream.flow(150).await;
    tokio::task::block_in_place(|| {
        disk.cut_power(&mut server);
        server.restart();
    });
    // The coordinator has seen the confirmations of what is gone.
    let told = stream.may_be_told(&channel, "confirmed changes are lost", 100).await;
    // One that hasn't goes on without them.
    tokio::task::block_in_place(|| {
        fleet.coordinators[0].kill();
        fleet.coordinators[0].restart();
    });
    let accepted = stream.stop(&channel).await;
    let missing = orders::missing(&channel, accepted).await.len();
    assert!(told || missing == 0, "{missing} accepted orders were lost in silence");
    missing
}
