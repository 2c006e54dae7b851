//! The store on Redis, beside the floor: the same calls and the same writes with nothing around them.
//!
//! Each measurement has fresh redis-servers in temporary folders, one for the floor and one for the sagas, so that none inherits the
//! last one's memory. Rewriting of the append-only file is off, so that the figures are those of the commits. Invariant: floor and
//! sagas run on servers with the same settings.

mod cost;
mod floor;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use amends_proto::v1 as api;
use tempfile::TempDir;
use tokio::process::Child;

pub(super) use self::cost::{Cost, Counts};
pub(super) use self::server::Server;
use super::contest::{self, Contest};
use super::cpu::Processes;
use super::floor::Floor;
use super::report::Report;
use super::{Durable, Participant, Plan, load, processes, set_up};
use crate::connect::Connection;
use crate::exit::Failure;
use crate::redis_server::Sync;

/// How durable it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Relaxed,
    Strict,
}

impl Level {
    fn of(durable: Durable) -> Self {
        match durable {
            Durable::Everysec => Self::Relaxed,
            Durable::Always => Self::Strict,
        }
    }

    /// As the configuration spells it.
    fn durability(self) -> &'static str {
        match self {
            Self::Relaxed => "relaxed",
            Self::Strict => "strict",
        }
    }

    /// With what the server has to do for it.
    fn name(self) -> &'static str {
        match self {
            Self::Relaxed => "relaxed (everysec)",
            Self::Strict => "strict (always)",
        }
    }

    fn sync(self) -> Sync {
        match self {
            Self::Relaxed => Sync::EverySecond,
            Self::Strict => Sync::Always,
        }
    }
}

pub(super) async fn measure(plan: &Plan, participant: Participant) -> Result<Report, Failure> {
    let version = Server::start(Sync::Always).await?.version().await?;
    let mut report = Report::begin(&format!("Redis {version}, standalone"));
    for level in plan.sync.iter().map(|durable| Level::of(*durable)) {
        for work in plan.works() {
            for &in_flight in &plan.in_flight {
                let stand = Stand::start(plan, level, participant.address).await?;
                let server = Server::start(level.sync()).await?;
                let (floor, queue) = Floor::new(load::dial(participant.address).await?);
                floor::start(server.address(), queue).await?;
                let processes = Processes {
                    participant: participant.process,
                    coordinator: stand.coordinator.id(),
                    ..Processes::default()
                };
                let servers =
                    contest::Level { name: level.name(), floor_redis: Some(server), saga_redis: Some(stand.server) };
                let connection = stand.connection;
                let contest = Contest { plan, work, level: servers, floor, connection, processes };
                contest.run(in_flight, &mut report).await?;
            }
        }
        let idle = Stand::start(plan, level, participant.address).await?.idle(plan.length()).await?;
        report.add_idle(level.name(), idle);
    }
    Ok(report)
}

/// A coordinator on a Redis of its own.
struct Stand {
    connection: Connection,
    server: Server,
    coordinator: Child,
    _data: TempDir,
}

impl Stand {
    /// Completes when the coordinator has all its shards.
    async fn start(plan: &Plan, level: Level, participant: SocketAddr) -> Result<Self, Failure> {
        let server = Server::start(level.sync()).await?;
        let data = tempfile::tempdir().map_err(Failure::Process)?;
        let (grpc, http) = (processes::free_address()?, processes::free_address()?);
        let url = format!("redis://{}", server.address());
        let mut command = processes::own()?;
        command.args(["serve", "--grpc", &grpc.to_string(), "--http", &http.to_string(), "--store", &url, "--data"]);
        command.arg(data.path()).env("AMENDS__STORE__REDIS__DURABILITY", level.durability());
        let coordinator = processes::launch(command, grpc).await?;
        let connection = set_up(plan, grpc, participant).await?;
        while contest::shards(&connection).await?.iter().any(|shard| shard.state() != api::ShardState::Owned) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { connection, server, coordinator, _data: data })
    }

    /// What it costs in a second in which nothing runs.
    async fn idle(mut self, length: Duration) -> Result<Cost, Failure> {
        let before = self.server.counts().await?;
        tokio::time::sleep(length).await;
        let counts = self.server.counts().await?.since(&before);
        Ok(counts.each(length.as_secs()))
    }
}
