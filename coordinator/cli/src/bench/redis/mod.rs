//! The store on Redis, beside the floor: the same calls and the same writes with nothing around them.
//!
//! Each measurement has a fresh redis-server in a temporary folder, so that none inherits the last one's memory. Rewriting of the
//! append-only file is off, so that the figures are those of the commits. Invariant: floor and sagas run on servers with the same
//! settings, the one right after the other.

mod cost;
mod floor;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use amends_proto::v1 as api;
use tempfile::TempDir;
use tokio::process::Child;

pub(super) use self::cost::Cost;
use self::floor::Floor;
use self::server::Server;
use super::load::Measured;
use super::report::{Report, Row};
use super::{Plan, load, processes, set_up};
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::redis_server::Sync;

/// How durable it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Relaxed,
    Strict,
}

impl Level {
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

pub(super) async fn measure(plan: &Plan, participant: SocketAddr) -> Result<Report, Failure> {
    let version = Server::start(Sync::Always).await?.version().await?;
    let mut report = Report::begin(&format!("Redis {version}, standalone"), "FLOOR");
    for level in [Level::Relaxed, Level::Strict] {
        for &in_flight in &plan.in_flight {
            let (floor, cost) = floor(level, in_flight, plan.length(), participant).await?;
            let row = |what, measured, cost| Row {
                level: level.name(),
                in_flight,
                what,
                measured,
                of: floor.per_second,
                cost: Some(cost),
            };
            report.add(row("3 calls, 4 writes", floor, cost));
            let (sagas, cost) = Stand::start(level, participant).await?.sagas(in_flight, plan.length()).await?;
            report.add(row("saga of 3 steps", sagas, cost));
        }
        report.add_idle(level.name(), Stand::start(level, participant).await?.idle(plan.length()).await?);
    }
    Ok(report)
}

async fn floor(
    level: Level,
    in_flight: usize,
    length: Duration,
    participant: SocketAddr,
) -> Result<(Measured, Cost), Failure> {
    let mut server = Server::start(level.sync()).await?;
    let floor = Floor::start(server.address(), participant).await?;
    let before = server.counts().await?;
    let measured = floor.run(in_flight, length).await?;
    let cost = server.counts().await?.since(&before).with_commits(floor.writes()).each(measured.done);
    Ok((measured, cost))
}

/// A coordinator on a Redis of its own.
struct Stand {
    connection: Connection,
    server: Server,
    _coordinator: Child,
    _data: TempDir,
}

impl Stand {
    /// Completes when the coordinator has all its shards.
    async fn start(level: Level, participant: SocketAddr) -> Result<Self, Failure> {
        let server = Server::start(level.sync()).await?;
        let data = tempfile::tempdir().map_err(Failure::Process)?;
        let (grpc, http) = (processes::free_address()?, processes::free_address()?);
        let url = format!("redis://{}", server.address());
        let mut command = processes::own()?;
        command.args(["serve", "--grpc", &grpc.to_string(), "--http", &http.to_string(), "--store", &url, "--data"]);
        command.arg(data.path()).env("AMENDS__STORE__REDIS__DURABILITY", level.durability());
        let coordinator = processes::launch(command, grpc).await?;
        let connection = set_up(grpc, participant).await?;
        let stand = Self { connection, server, _coordinator: coordinator, _data: data };
        while stand.shards().await?.iter().any(|shard| shard.state() != api::ShardState::Owned) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(stand)
    }

    async fn shards(&self) -> Result<Vec<api::Shard>, Failure> {
        let shards = self.connection.cluster().list_shards(request(api::ListShardsRequest {})).await?;
        Ok(shards.into_inner().shards)
    }

    /// How many commits the store has accepted, by its own count.
    async fn commits(&self) -> Result<u64, Failure> {
        Ok(self.shards().await?.iter().map(|shard| shard.commits).sum())
    }

    async fn sagas(mut self, in_flight: usize, length: Duration) -> Result<(Measured, Cost), Failure> {
        let commits = self.commits().await?;
        let before = self.server.counts().await?;
        let measured = load::sagas(&self.connection, in_flight, length).await?;
        let counts = self.server.counts().await?.since(&before);
        let commits = self.commits().await? - commits;
        Ok((measured, counts.with_commits(commits).each(measured.done)))
    }

    /// What it costs in a second in which nothing runs.
    async fn idle(mut self, length: Duration) -> Result<Cost, Failure> {
        let before = self.server.counts().await?;
        tokio::time::sleep(length).await;
        let counts = self.server.counts().await?.since(&before);
        Ok(counts.each(length.as_secs()))
    }
}
