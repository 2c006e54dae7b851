//! A shop with its coordinators, their store and customers who never stop, and how each kind of store is hurt.
//!
//! Invariant: what a world is judged by at its end is read from its databases, once its coordinators have ended.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use amends_redis_lab::{Cluster, Disk, Proxy, SentinelSet, Server};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tonic::transport::Channel;

use super::apart::{self, Net};
use super::doctored;
use super::faults::Kind;
use super::floor::{bare_sagas, is_enough};
use super::judge::{Evidence, books};
use super::parts::{coordinators, links, open, participants};
use super::tally::Tally;
use super::workload::{PENDING, Workload};
use crate::fleet::{Fleet, define};
use crate::orders;
use crate::process::Process;

/// How many customers place orders at once.
const CUSTOMERS: usize = 24;
/// How often a supervisor looks whether its processes live.
const SUPERVISED: Duration = Duration::from_millis(500);
/// How long throughput is measured before anything is broken, and how often until it is enough.
const CALM: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
/// Where the coordinators keep their sagas.
pub(super) enum Kept {
    Embedded(Option<Disk>),
    One(Server, Option<Disk>),
    Sentinel(SentinelSet),
    Cluster(Cluster),
}

pub(super) struct World {
    name: &'static str,
    /// Whether a coordinator may end itself, to be started again by its supervisor.
    may_end: bool,
    pub(super) random: StdRng,
    pub(super) tally: Arc<Tally>,
    pub(super) links: Vec<Proxy>,
    net: Option<Net>,
    pub(super) fleet: Fleet,
    pub(super) work: Workload,
    /// The folder that may be full.
    data: PathBuf,
    // Goes when nobody writes to it any more.
    pub(super) kept: Kept,
}

/// What a world is made of.
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) nodes: usize,
    /// Each coordinator in a network namespace of its own, behind a proxy of its own.
    pub(super) apart: bool,
    /// The participants' databases, and the embedded store, on a disk of this size in memory.
    pub(super) tmpfs_mib: Option<u32>,
}

impl World {
    pub(super) async fn new(plan: &Plan, kept: Kept, seed: u64, tally: Arc<Tally>) -> Self {
        let parent = match &kept {
            Kept::Embedded(Some(disk)) => disk.folder().to_owned(),
            _ => std::env::temp_dir(),
        };
        let folder = tempfile::Builder::new().prefix("amends-chaos-").tempdir_in(parent).expect("a folder");
        let data = folder.path().to_owned();
        if let Some(size) = plan.tmpfs_mib {
            apart::shell(&format!("mount -t tmpfs -o size={size}m chaos {}", data.display()));
        }
        let net = plan.apart.then(|| Net::new(plan.nodes));
        let links = links(plan, &kept).await;
        let (participants, places) = participants(&data, plan);
        let coordinators = coordinators(&data, plan, &kept, &links);
        let fleet = Fleet::of(coordinators, participants, places, folder);
        orders::open_shop(&fleet).await;
        let channels: Vec<Channel> = fleet.coordinators.iter().map(Process::channel).collect();
        define(channels[0].clone(), PENDING.to_owned()).await;
        let payment = fleet.participants[2].channel();
        let bare = bare_sagas(fleet.participants[1].address, CUSTOMERS).await;
        let work = Workload::start(&channels, payment, CUSTOMERS);
        let random = StdRng::seed_from_u64(seed);
        let may_end = plan.tmpfs_mib.is_some();
        let mut world = Self { name: plan.name, may_end, random, tally, links, net, fleet, work, data, kept };
        world.is_worth_it(bare).await;
        world
    }

    pub(super) fn say(&self, line: &str) {
        self.tally.say(self.name, line);
    }

    /// Waits until so many more sagas have ended.
    pub(super) async fn flow(&mut self, more: u64) {
        self.attended(async |work| work.flow(more).await).await;
    }

    /// Does it beside what a supervisor does meanwhile.
    pub(super) async fn attended<T>(&mut self, act: impl AsyncFnOnce(&mut Workload) -> T) -> T {
        let Self { name, may_end, tally, fleet, work, .. } = self;
        let mut act = std::pin::pin!(act(work));
        loop {
            tokio::select! {
                done = &mut act => return done,
                () = tokio::time::sleep(SUPERVISED) => supervise(name, *may_end, tally, fleet),
            }
        }
    }

    /// Fails where so little happens that no fault would meet anything. `bare`: the sagas that a participant's writes would do for.
    async fn is_worth_it(&mut self, bare: f64) {
        self.flow(u64::try_from(CUSTOMERS).expect("few")).await;
        let mut rate = 0.0;
        // A machine that is busy with other things for a moment is no finding; one that stays so is.
        for _ in 0..ROUNDS {
            rate = self.work.rate(CALM).await;
            let share = rate / bare;
            self.say(&format!("{rate:.1} sagas/s before any fault, {share:.3} of the {bare:.0}/s of bare writes"));
            if is_enough(rate, bare) {
                break;
            }
        }
        assert!(
            is_enough(rate, bare),
            "{}: {rate:.1} sagas/s before any fault: too few, also beside the {bare:.1}/s that the \
             participants' writes alone would allow. The faults would meet nothing and the run would prove nothing",
            self.name
        );
        // What a power cut may take is the programs' work, not the making of the folders.
        File::open(&self.data).and_then(|folder| folder.sync_all()).expect("a folder");
    }

    /// All customers stop, everything that they placed has ended, and every rule holds.
    pub(super) async fn settle(mut self) {
        let counts = self.attended(async |work| work.stop().await).await;
        let Self { name, tally, mut fleet, kept, links, net, data, .. } = self;
        let fenced: usize = fleet.coordinators.iter().map(|node| node.said("a late write was fenced off")).sum();
        tokio::task::block_in_place(|| fleet.coordinators.iter_mut().for_each(Process::kill));
        let of = |count: &std::sync::atomic::AtomicU64| i64::try_from(count.load(Ordering::SeqCst)).expect("few");
        let (completed, paid, compensated) = (of(&counts.completed), of(&counts.paid), of(&counts.compensated));
        let accepted = counts.accepted.lock().expect("no panic").clone();
        let retried = counts.retried.lock().expect("no panic").len();
        let line = format!(
            "**{name}**: {} sagas, of them {completed} completed, {paid} completed after being pending, {compensated} compensated; \
             {retried} were stuck and retried by the operator, {fenced} late writes were fenced off",
            accepted.len()
        );
        tally.say(name, &line);
        tally.ended(line, accepted.len() as u64);
        assert!(completed > 0 && compensated > 0 && paid > 0, "a run without each outcome proves little");
        orders::check_books(&fleet.places, completed).await;
        let payment = books(&fleet.places[2]);
        assert_eq!(payment["qr_captured"], paid * orders::PRICE, "captured is not what was paid by code");
        assert_eq!(payment["qr_held"], 0, "money is still held");
        assert_eq!(payment["qr_paid"] - payment["qr_refunded"], paid * orders::PRICE);
        let store = open(&kept, &data).await;
        let evidence = Evidence::gather(store, &fleet.places, &accepted).await;
        let violations = evidence.judge();
        assert!(violations.is_empty(), "{name}: {} violations:\n{}", violations.len(), violations.join("\n"));
        let blind = doctored::overlooked(&evidence);
        assert!(blind.is_empty(), "{name}: the judge overlooks {blind:?}: that it found nothing says nothing");
        tally.say(name, "no violation, and each of the doctored ledgers was seen");
        drop((links, net, fleet, kept));
    }

    pub(super) fn net(&self) -> &Net {
        self.net.as_ref().expect("partitions need nodes that are apart")
    }

    pub(super) fn redis(&mut self) -> &mut Server {
        match &mut self.kept {
            Kept::One(server, _) => server,
            _ => panic!("there is no one Redis here"),
        }
    }

    /// Takes what room there is on the disk.
    pub(super) fn fill_the_disk(&self) {
        let mut ballast = File::create(self.data.join("ballast")).expect("a file");
        let block = vec![7; 64 * 1024];
        while ballast.write_all(&block).is_ok() {}
    }

    pub(super) fn empty_the_disk(&self) {
        std::fs::remove_file(self.data.join("ballast")).expect("own file");
    }

    /// Of the whole machine where coordinator and participants have one disk; of Redis' machine else.
    pub(super) fn cut_power(&mut self) {
        match &mut self.kept {
            Kept::Embedded(Some(disk)) => {
                let all = self.fleet.coordinators.iter_mut().chain(&mut self.fleet.participants);
                disk.cut_power_of(|| all.for_each(Process::kill));
            }
            Kept::One(server, Some(disk)) => disk.cut_power(server),
            _ => panic!("this world's disk loses no power"),
        }
    }

    pub(super) fn power_comes_back(&mut self) {
        match &mut self.kept {
            Kept::One(server, _) => server.restart(),
            _ => self.fleet.participants.iter_mut().chain(&mut self.fleet.coordinators).for_each(Process::restart),
        }
    }

    /// The primary goes, another takes over, and the old one comes back as a replica.
    pub(super) fn fail_over(&mut self, kind: Kind, tag: &str) {
        let go = |server: &mut Server| if kind == Kind::FailOverByKill { server.kill() } else { server.pause() };
        let come_back =
            |server: &mut Server| if kind == Kind::FailOverByKill { server.restart() } else { server.resume() };
        match &mut self.kept {
            Kept::Sentinel(set) => {
                let primary = set.primary();
                go(&mut set.servers[primary]);
                set.wait_for_fail_over(primary);
                come_back(&mut set.servers[primary]);
                set.wait_until_ready();
            }
            Kept::Cluster(cluster) => {
                let primary = cluster.primary_of(tag);
                let replica = cluster.replica_of(primary);
                go(&mut cluster.nodes[primary]);
                cluster.wait_for_promotion(replica);
                come_back(&mut cluster.nodes[primary]);
                cluster.wait_until_ready();
            }
            _ => panic!("nobody takes over here"),
        }
    }
}

/// Starts what has ended by itself. That is only lawful for a coordinator whose disk has failed it, and it says so and ends with an
/// error: anything else that ends was a crash.
fn supervise(name: &str, may_end: bool, tally: &Tally, fleet: &mut Fleet) {
    let Fleet { coordinators, participants, .. } = fleet;
    for process in participants {
        let ended = process.revive();
        assert!(ended.is_none(), "{name}: {} ended by itself: {ended:?}: {}", process.name, process.last_words());
    }
    for node in coordinators {
        let Some(status) = node.revive() else { continue };
        tally.say(
            name,
            &format!("a coordinator has ended itself and is started again: {status}: {}", node.last_words()),
        );
        assert!(may_end && status.code() == Some(1), "{name}: a coordinator ended by itself: {status}");
    }
}
