//! A redis-server for one measurement: started in a temporary folder, asked what it has done, ended.
//!
//! Invariant: between two counts nobody but the one who is measured and this file's own question reaches it.

use std::net::SocketAddr;
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisResult};
use tempfile::TempDir;
use tokio::process::Child;

use super::super::processes;
use super::cost::{Counts, field};
use crate::exit::Failure;
use crate::redis_server::{self, Sync};

/// Enough for what minutes of measuring leave behind.
const MEMORY: &str = "8gb";

/// A running server.
#[derive(Debug)]
pub(in super::super) struct Server {
    address: SocketAddr,
    sync: Sync,
    process: Child,
    connection: MultiplexedConnection,
    // Removed last.
    _folder: TempDir,
}

impl Server {
    pub(super) async fn start(sync: Sync) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::Process)?;
        let address = processes::free_address()?;
        let mut command = processes::silent(&redis_server::program()?);
        command.args(redis_server::arguments(address, folder.path(), sync, MEMORY));
        command.args(["--auto-aof-rewrite-percentage", "0"]);
        let process = processes::launch(command, address).await?;
        let connection = connect(address).await.map_err(failed)?;
        Ok(Self { address, sync, process, connection, _folder: folder })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn version(&mut self) -> Result<String, Failure> {
        let info = self.info().await?;
        Ok(field(&info, "redis_version").unwrap_or("of an unknown version").to_owned())
    }

    pub(in super::super) fn process(&self) -> Option<u32> {
        self.process.id()
    }

    /// What it has done since it was started.
    pub(in super::super) async fn counts(&mut self) -> Result<Counts, Failure> {
        let info = self.info().await?;
        let written = self.process.id().and_then(writes);
        let counts = Counts::read(&info, written, self.sync, Instant::now());
        let missing = || std::io::Error::other("this redis-server doesn't count what is to be counted");
        counts.ok_or_else(|| Failure::Process(missing()))
    }

    async fn info(&mut self) -> Result<String, Failure> {
        redis::cmd("INFO").arg("everything").query_async(&mut self.connection).await.map_err(failed)
    }
}

/// How many system calls of a process have written something, where the system tells.
fn writes(process: u32) -> Option<u64> {
    let io = std::fs::read_to_string(format!("/proc/{process}/io")).ok()?;
    field(&io, "syscw")?.parse().ok()
}

/// A connection as the store makes them: without delay, and with time to answer; also with time to come about, since all else that is
/// measured is started beside it.
pub(super) async fn connect(address: SocketAddr) -> RedisResult<MultiplexedConnection> {
    let info = format!("redis://{address}").into_connection_info()?;
    let client = Client::open(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))?;
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await
}

pub(super) fn failed(error: redis::RedisError) -> Failure {
    Failure::Process(std::io::Error::other(error))
}
