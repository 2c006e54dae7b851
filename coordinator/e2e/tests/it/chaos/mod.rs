//! Chaos: real processes on Redis and on the embedded store under every fault that can be made here, while customers never stop.
//!
//! `chaos_short_…` are seeded slices, each kind once, where it can be had without root; `chaos_full` is `make chaos`, needs root (loop
//! devices) and does nothing in an ordinary test run. Which fault comes next, whom it hits and how long it lasts is drawn from a seed
//! that is printed. Invariant: nothing outlives a run: see `apart`.

mod apart;
mod doctored;
mod faults;
mod floor;
mod judge;
mod parts;
mod tally;
mod workload;
mod world;

use std::sync::Arc;
use std::time::Duration;

use amends_redis_lab::{Cluster, Disk, SentinelSet, Server, Settings};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::process::setting;
use crate::{redis_kill, redis_loss, redis_trouble};
use faults::Kind;
use tally::{Seen, Tally};
use world::{Kept, Plan, World};

/// Each kind, so many times in a full run. The numbers are goals of the whole run, over all worlds.
const NODES: &[(Kind, usize)] = &[
    (Kind::KillCoordinator, 32),
    (Kind::KillParticipant, 14),
    (Kind::KillRedis, 12),
    (Kind::PauseCoordinator, 22),
    (Kind::PauseParticipant, 10),
    (Kind::PauseRedis, 8),
    (Kind::CutFromStore, 6),
    (Kind::CutFromParticipants, 5),
    (Kind::CutFromNodes, 5),
    (Kind::CutFromAll, 5),
    (Kind::Deafen, 4),
    (Kind::Delay, 5),
    (Kind::HoldReplies, 5),
    (Kind::BlackHole, 5),
    (Kind::Refuse, 5),
    (Kind::CutReply, 8),
    (Kind::CutRequest, 8),
    (Kind::PowerCut, 5),
];
const POWER: &[(Kind, usize)] = &[
    (Kind::KillCoordinator, 20),
    (Kind::KillParticipant, 12),
    (Kind::PauseCoordinator, 8),
    (Kind::PauseParticipant, 6),
    (Kind::PowerCut, 6),
];
const FULL_DISK: &[(Kind, usize)] = &[
    (Kind::KillCoordinator, 8),
    (Kind::KillParticipant, 6),
    (Kind::PauseCoordinator, 4),
    (Kind::PauseParticipant, 4),
    (Kind::DiskFull, 8),
];
const SENTINEL: &[(Kind, usize)] =
    &[(Kind::FailOverByKill, 4), (Kind::FailOverByPause, 2), (Kind::KillCoordinator, 6), (Kind::PauseCoordinator, 4)];
const CLUSTER: &[(Kind, usize)] = &[
    (Kind::FailOverByKill, 4),
    (Kind::FailOverByPause, 2),
    (Kind::Reshard, 8),
    (Kind::KillCoordinator, 6),
    (Kind::PauseCoordinator, 4),
];

const APART: Plan = Plan { name: "nodes", nodes: 3, apart: true, tmpfs_mib: None };
const MACHINE: Plan = Plan { name: "machine", nodes: 1, apart: false, tmpfs_mib: None };
const SMALL_DISK: Plan = Plan { name: "full-disk", nodes: 1, apart: false, tmpfs_mib: Some(192) };
const SENTINELS: Plan = Plan { name: "sentinel", nodes: 2, apart: false, tmpfs_mib: None };
const SLOTS: Plan = Plan { name: "cluster", nodes: 2, apart: false, tmpfs_mib: None };

/// What a full run must come to.
const SAGAS: u64 = 20_000;
const KILLS: usize = 100;
const PAUSES: usize = 60;
const PARTITIONS: usize = 20;
const POWER_CUTS: usize = 5;
const FAIL_OVERS: usize = 10;

fn seed() -> u64 {
    setting("AMENDS_SEED", rand::random::<u32>().into())
}

/// Does all of it, in an order drawn from the seed, then lets so many sagas pass.
async fn play(plan: &Plan, kept: Kept, faults: &[(Kind, usize)], seed: u64, tally: Arc<Tally>, sagas: u64) {
    let mut world = World::new(plan, kept, seed, tally).await;
    let mut all: Vec<Kind> = faults.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count)).collect();
    all.shuffle(&mut StdRng::seed_from_u64(seed));
    for kind in all {
        world.inflict(kind).await;
    }
    let ended = world.work.ended();
    world.flow(sagas.saturating_sub(ended).max(30)).await;
    world.settle().await;
}

/// Each of these kinds once.
fn once(faults: &[(Kind, usize)], but: Kind) -> Vec<(Kind, usize)> {
    faults.iter().filter(|(kind, _)| *kind != but).map(|(kind, _)| (*kind, 1)).collect()
}

async fn short(test: &str, plan: &Plan, kept: impl FnOnce() -> Kept, faults: Vec<(Kind, usize)>) {
    if !apart::is_inside(test) {
        return;
    }
    apart::bring_up();
    let (seed, tally) = (seed(), Arc::new(Tally::new()));
    eprintln!("{test}: again with AMENDS_SEED={seed} cargo test -p amends-e2e --test it {test} -- --nocapture");
    play(plan, kept(), &faults, seed, tally.clone(), 0).await;
    eprintln!("{}", tally.table());
}

fn one_redis() -> Kept {
    Kept::One(Server::start(&Settings::strict()), None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chaos_short_nodes() {
    short("chaos_short_nodes", &APART, one_redis, once(NODES, Kind::PowerCut)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chaos_short_full_disk() {
    short("chaos_short_full_disk", &SMALL_DISK, || Kept::Embedded(None), once(FULL_DISK, Kind::PowerCut)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chaos_short_cluster() {
    let faults = vec![(Kind::FailOverByKill, 1), (Kind::Reshard, 1)];
    short("chaos_short_cluster", &SLOTS, || Kept::Cluster(Cluster::start(&Settings::strict())), faults).await;
}

/// One world of `make chaos` alone, each kind of fault once: where a run has failed, or the world was changed.
async fn alone(test: &str, plan: &Plan, kept: impl FnOnce() -> Kept, faults: &[(Kind, usize)]) {
    if setting("AMENDS_CHAOS", 0) != 0 {
        short(test, plan, kept, faults.iter().map(|(kind, _)| (*kind, 1)).collect()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chaos_alone_nodes() {
    let on_disk = || {
        let disk = Disk::new();
        Kept::One(Server::start_in(&Settings::strict(), disk.folder()), Some(disk))
    };
    alone("chaos_alone_nodes", &APART, on_disk, NODES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chaos_alone_machine() {
    alone("chaos_alone_machine", &MACHINE, || Kept::Embedded(Some(Disk::new())), POWER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chaos_alone_sentinel() {
    let set = || Kept::Sentinel(SentinelSet::start(&Settings::strict()));
    alone("chaos_alone_sentinel", &SENTINELS, set, SENTINEL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chaos_alone_losses() {
    if setting("AMENDS_CHAOS", 0) == 0 || !apart::is_inside("chaos_alone_losses") {
        return;
    }
    apart::bring_up();
    let tally = Arc::new(Tally::new());
    losses(&tally).await;
    eprintln!("{}", tally.table());
}

/// `make chaos`.
#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn chaos_full() {
    if setting("AMENDS_CHAOS", 0) == 0 {
        return;
    }
    assert!(
        apart::is_root(),
        "make chaos cuts the power of loop devices, which needs root; `make test` has what doesn't"
    );
    if !apart::is_inside("chaos_full") {
        return;
    }
    apart::bring_up();
    let (seed, tally) = (seed(), Arc::new(Tally::new()));
    let sagas = setting("AMENDS_CHAOS_SAGAS", SAGAS);
    eprintln!("chaos: again with make chaos CHAOS_SEED={seed}");
    let nodes = {
        let disk = Disk::new();
        let server = Server::start_in(&Settings::strict(), disk.folder());
        Kept::One(server, Some(disk))
    };
    let mut worlds = tokio::task::JoinSet::new();
    let to = tally.clone();
    // First: its hub changes what loopback is, and nobody may speak over that meanwhile.
    worlds.spawn(async move { play(&APART, nodes, NODES, seed, to, sagas * 2 / 5).await });
    let to = tally.clone();
    worlds.spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let machine = Kept::Embedded(Some(Disk::new()));
        play(&MACHINE, machine, POWER, seed + 1, to.clone(), sagas / 5).await;
        play(&SMALL_DISK, Kept::Embedded(None), FULL_DISK, seed + 2, to, sagas / 10).await;
    });
    let to = tally.clone();
    worlds.spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let set = tokio::task::block_in_place(|| SentinelSet::start(&Settings::strict()));
        play(&SENTINELS, Kept::Sentinel(set), SENTINEL, seed + 3, to.clone(), sagas * 3 / 20).await;
        let cluster = tokio::task::block_in_place(|| Cluster::start(&Settings::strict()));
        play(&SLOTS, Kept::Cluster(cluster), CLUSTER, seed + 4, to.clone(), sagas * 3 / 20).await;
        losses(&to).await;
    });
    let mut failed = Vec::new();
    while let Some(world) = worlds.join_next().await {
        failed.extend(world.err());
    }
    report(&tally, seed);
    assert!(failed.is_empty(), "worlds have failed: {failed:?}");
    reached(&tally, sagas);
}

/// Losses that nothing can bring back: what counts is that each is noticed and said.
async fn losses(tally: &Arc<Tally>) {
    let lost = |open: usize| Seen { open: open as u64, refused: 1, recovered: Duration::ZERO };
    for round in 0..2 {
        let sagas = redis_loss::lose_by_fail_over().await;
        tally.say("losses", &format!("a fail-over took {sagas} confirmed sagas: detected, round {round}"));
        tally.saw(Kind::StoreLoss, lost(sagas));
        redis_trouble::wipe_and_take_back().await;
        tally.say("losses", "Redis was wiped: detected, and taken back");
        tally.saw(Kind::StoreLoss, lost(1));
        let sagas = redis_kill::cut_everysec().await;
        tally.say("losses", &format!("a power cut under everysec took {sagas} accepted sagas: all said"));
        if sagas > 0 {
            tally.saw(Kind::StoreLoss, lost(sagas));
        }
    }
}

type IsMeant = fn(Kind) -> bool;

/// The report, on the screen and where it is asked for.
fn report(tally: &Tally, seed: u64) {
    let sagas = *tally.sagas.lock().expect("no panic");
    let kinds: [(&str, IsMeant); 4] = [
        ("kills", Kind::is_kill),
        ("pauses", Kind::is_pause),
        ("partitions", Kind::is_partition),
        ("fail-overs", Kind::is_fail_over),
    ];
    let counts: Vec<String> = kinds.iter().map(|(name, is)| format!("{} {name}", tally.count(is))).collect();
    let cuts = tally.count(|kind| kind == Kind::PowerCut);
    let head = format!("`make chaos CHAOS_SEED={seed}`: {sagas} sagas, {}, {cuts} power cuts.\n\n", counts.join(", "));
    let text = head + &tally.table();
    eprintln!("{text}");
    if let Some(path) = std::env::var_os("AMENDS_CHAOS_REPORT") {
        std::fs::write(path, text).expect("a report");
    }
}

fn reached(tally: &Tally, sagas: u64) {
    let ended = *tally.sagas.lock().expect("no panic");
    assert!(ended >= sagas, "{ended} sagas of {sagas}");
    let goals = [
        (tally.count(Kind::is_kill), KILLS, "kills"),
        (tally.count(Kind::is_pause), PAUSES, "pauses"),
        (tally.count(Kind::is_partition), PARTITIONS, "partitions"),
        (tally.count(|kind| kind == Kind::PowerCut), POWER_CUTS, "power cuts"),
        (tally.count(Kind::is_fail_over), FAIL_OVERS, "fail-overs"),
    ];
    for (count, goal, what) in goals {
        assert!(count >= goal, "{count} {what} of {goal}");
    }
}
