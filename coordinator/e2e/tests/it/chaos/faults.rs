//! What is done to a world, one fault at a time, and now and then the death of another coordinator in the middle of it.
//!
//! Which victim and how long is drawn from the run's seed. Invariant: a fault is over when `inflict` returns, and a saga that was
//! placed after it has ended.

use std::fmt;
use std::time::{Duration, Instant};

use amends_redis_lab::Fault;
use rand::Rng as _;
use tokio::task::block_in_place;

use super::apart::{CUSTOMERS, PARTICIPANTS, STORE};
use super::tally::Seen;
use super::world::{Kept, World};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    KillCoordinator,
    KillParticipant,
    KillRedis,
    PauseCoordinator,
    PauseParticipant,
    PauseRedis,
    CutFromStore,
    CutFromParticipants,
    CutFromNodes,
    CutFromAll,
    Deafen,
    Delay,
    HoldReplies,
    BlackHole,
    Refuse,
    CutReply,
    CutRequest,
    DiskFull,
    PowerCut,
    FailOverByKill,
    FailOverByPause,
    Reshard,
    StoreLoss,
}

impl Kind {
    pub(super) fn is_kill(self) -> bool {
        matches!(self, Self::KillCoordinator | Self::KillParticipant | Self::KillRedis)
    }

    pub(super) fn is_pause(self) -> bool {
        matches!(self, Self::PauseCoordinator | Self::PauseParticipant | Self::PauseRedis)
    }

    pub(super) fn is_partition(self) -> bool {
        matches!(
            self,
            Self::CutFromStore | Self::CutFromParticipants | Self::CutFromNodes | Self::CutFromAll | Self::Deafen
        )
    }

    pub(super) fn is_fail_over(self) -> bool {
        matches!(self, Self::FailOverByKill | Self::FailOverByPause)
    }

    /// How long it lasts, in milliseconds. A node's lease is a second here.
    fn lasts(self) -> std::ops::Range<u64> {
        match self {
            Self::KillCoordinator | Self::KillParticipant | Self::KillRedis => 0..800,
            Self::PauseCoordinator => 300..3_500,
            Self::PauseParticipant | Self::PauseRedis => 200..2_500,
            Self::Delay | Self::HoldReplies | Self::BlackHole | Self::Refuse => 300..2_500,
            Self::DiskFull => 1_000..4_000,
            Self::CutReply | Self::CutRequest => 50..300,
            Self::PowerCut => 0..300,
            kind if kind.is_partition() => 1_500..4_000,
            _ => 0..1,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KillCoordinator => "`kill -9` of a coordinator",
            Self::KillParticipant => "`kill -9` of a participant",
            Self::KillRedis => "`kill -9` of Redis",
            Self::PauseCoordinator => "SIGSTOP of a coordinator",
            Self::PauseParticipant => "SIGSTOP of a participant",
            Self::PauseRedis => "SIGSTOP of Redis",
            Self::CutFromStore => "partition: a coordinator can't reach Redis",
            Self::CutFromParticipants => "partition: a coordinator can't reach the participants",
            Self::CutFromNodes => "partition: a coordinator can't reach the others",
            Self::CutFromAll => "partition: a coordinator can reach nobody",
            Self::Deafen => "partition: nobody can reach a coordinator (one way)",
            Self::Delay => "proxy: Redis' replies are late",
            Self::HoldReplies => "proxy: Redis' replies are held back",
            Self::BlackHole => "proxy: nothing passes, then all of it",
            Self::Refuse => "proxy: connections are reset",
            Self::CutReply => "proxy: a reply is cut and dropped",
            Self::CutRequest => "proxy: a request is cut and dropped",
            Self::DiskFull => "disk full",
            Self::PowerCut => "power cut",
            Self::FailOverByKill => "fail-over: the primary is killed",
            Self::FailOverByPause => "fail-over: the primary is stopped and comes back",
            Self::Reshard => "a slot of the Cluster moves, key by key",
            Self::StoreLoss => "the store loses what it had confirmed",
        })
    }
}

impl World {
    /// Does it, waits until it is over and a new saga has ended, and notes what was seen.
    pub(super) async fn inflict(&mut self, kind: Kind) {
        let flow = self.random.random_range(3..20);
        self.flow(flow).await;
        let victim = self.draw(kind);
        let lasts = Duration::from_millis(self.random.random_range(kind.lasts()));
        let (open, refused) = (self.work.open(), self.work.refused());
        self.say(&format!("{kind} (victim {victim}, {} ms), {open} sagas open", lasts.as_millis()));
        self.begin(kind, victim).await;
        let dead = self.another_dies(kind, victim).await;
        self.attended(async |_| tokio::time::sleep(lasts).await).await;
        self.end(kind, victim).await;
        if let Some(dead) = dead {
            block_in_place(|| self.fleet.coordinators[dead].restart());
        }
        let healed = Instant::now();
        self.attended(async |work| work.probe().await).await;
        let seen = Seen { open, refused: self.work.refused() - refused, recovered: healed.elapsed() };
        self.tally.saw(kind, seen);
        if dead.is_some() {
            self.tally.saw(Kind::KillCoordinator, seen);
        }
    }

    fn draw(&mut self, kind: Kind) -> usize {
        let many = match kind {
            Kind::KillParticipant | Kind::PauseParticipant => self.fleet.participants.len(),
            Kind::Delay | Kind::HoldReplies | Kind::BlackHole | Kind::Refuse | Kind::CutReply | Kind::CutRequest => {
                self.links.len()
            }
            _ => self.fleet.coordinators.len(),
        };
        self.random.random_range(0..many)
    }

    /// One time in four, where several share the work and one of them is in trouble: another one dies.
    async fn another_dies(&mut self, kind: Kind, victim: usize) -> Option<usize> {
        let many = self.fleet.coordinators.len();
        let is_apt = kind.is_partition() || matches!(kind, Kind::PauseCoordinator | Kind::Delay | Kind::HoldReplies);
        if many < 3 || !is_apt || !self.random.random_bool(0.25) {
            return None;
        }
        let dead = (victim + 1) % many;
        self.say(&format!("… and `kill -9` of coordinator {dead} meanwhile"));
        block_in_place(|| self.fleet.coordinators[dead].kill());
        Some(dead)
    }

    async fn begin(&mut self, kind: Kind, victim: usize) {
        match kind {
            Kind::KillCoordinator => block_in_place(|| self.fleet.coordinators[victim].kill()),
            Kind::KillParticipant => block_in_place(|| self.fleet.participants[victim].kill()),
            Kind::PauseCoordinator => self.fleet.coordinators[victim].pause(),
            Kind::PauseParticipant => self.fleet.participants[victim].pause(),
            Kind::KillRedis => block_in_place(|| self.redis().kill()),
            Kind::PauseRedis => self.redis().pause(),
            Kind::CutFromStore => self.net().cut(victim, &[STORE.to_owned()]),
            Kind::CutFromParticipants => self.net().cut(victim, &[PARTICIPANTS.to_owned()]),
            Kind::CutFromNodes => self.net().cut(victim, &self.net().others(victim)),
            Kind::CutFromAll => {
                let mut all = self.net().others(victim);
                all.extend([CUSTOMERS, STORE, PARTICIPANTS].map(str::to_owned));
                self.net().cut(victim, &all);
            }
            Kind::Deafen => self.net().deafen(victim),
            Kind::Delay => {
                let late = Duration::from_millis(self.random.random_range(5..400));
                self.links[victim].set(Fault::Delay(late));
            }
            Kind::HoldReplies => self.links[victim].set(Fault::HoldReplies),
            Kind::BlackHole => self.links[victim].set(Fault::BlackHole),
            Kind::Refuse => self.links[victim].set(Fault::Refuse),
            Kind::CutReply => {
                let after = self.random.random_range(0..40);
                self.links[victim].set(Fault::CutReply { after });
            }
            Kind::CutRequest => {
                let after = self.random.random_range(0..400);
                self.links[victim].set(Fault::CutRequest { after });
            }
            Kind::DiskFull => block_in_place(|| self.fill_the_disk()),
            Kind::PowerCut => block_in_place(|| self.cut_power()),
            Kind::FailOverByKill | Kind::FailOverByPause => {
                let tag = self.tag();
                block_in_place(|| self.fail_over(kind, &tag));
            }
            Kind::Reshard => self.reshard().await,
            Kind::StoreLoss => unreachable!("it has a world of its own"),
        }
    }

    async fn end(&mut self, kind: Kind, victim: usize) {
        match kind {
            Kind::KillCoordinator => block_in_place(|| self.fleet.coordinators[victim].restart()),
            Kind::KillParticipant => block_in_place(|| self.fleet.participants[victim].restart()),
            Kind::PauseCoordinator => self.fleet.coordinators[victim].resume(),
            Kind::PauseParticipant => self.fleet.participants[victim].resume(),
            Kind::KillRedis => block_in_place(|| self.redis().restart()),
            Kind::PauseRedis => self.redis().resume(),
            Kind::DiskFull => block_in_place(|| self.empty_the_disk()),
            Kind::PowerCut => block_in_place(|| self.power_comes_back()),
            kind if kind.is_partition() => self.net().heal(),
            // A cut that hasn't found anything to cut yet is taken back.
            _ => self.links.iter().for_each(amends_redis_lab::Proxy::heal),
        }
    }

    /// A key in the slot of some shard.
    fn tag(&mut self) -> String {
        format!("{{amends:main:{}}}", self.random.random_range(0..64))
    }

    /// The slots of four shards move to the next primary.
    async fn reshard(&mut self) {
        for _ in 0..4 {
            let tag = self.tag();
            let Kept::Cluster(cluster) = &self.kept else { panic!("slots are a Cluster's") };
            let from = block_in_place(|| cluster.primary_of(&tag));
            let to = cluster.primaries().into_iter().find(|place| *place != from).expect("three primaries");
            let slot: u16 = cluster.nodes[from].ask(&["CLUSTER", "KEYSLOT", &tag]);
            block_in_place(|| cluster.begin_move(slot, from, to)).expect("both take it");
            loop {
                let Kept::Cluster(cluster) = &self.kept else { unreachable!("seen above") };
                if block_in_place(|| cluster.move_keys(slot, from, to, 20)).expect("room") == 0 {
                    break;
                }
                self.flow(1).await;
            }
            let Kept::Cluster(cluster) = &self.kept else { unreachable!("seen above") };
            block_in_place(|| cluster.end_move(slot, from, to)).expect("all keys are there");
        }
    }
}
