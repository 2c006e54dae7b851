//! One connection to one server: made when it is needed, judged before it is used, thrown away when it breaks.
//!
//! It never sends a command twice: what broke under way is unknown, and the caller decides. The client library's own settings
//! are wrong for this (no delay off, 500 ms to answer, a time-out that keeps the connection), so all of them are set here.
//! Invariant: after an error that leaves the stream in doubt, nothing is sent on that connection again.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{AsyncConnectionConfig, Client, Pipeline, RedisResult, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::dial::Dialer;
use super::failure::{Failure, is_broken};
use super::guard::Guard;
use super::script::Scripts;
use crate::contract::Finding;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How long an answer may take: a sync of a slow disk and the wait for replicas are in it.
const ANSWER: Duration = Duration::from_secs(4);

/// How long a failed connection speaks for the next ones, so that many callers don't wait for the same failure one by one.
const FAILED: Duration = Duration::from_millis(200);

/// What a connection is for. Each has its own, so that a wait for replicas holds up nothing but commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Commits, and nothing else.
    Commit,
    /// Other writes that count: acquisitions, registrations, sweeps.
    Record,
    /// What is no loss when it is lost: renewals, releases, heartbeats. Nothing may hold these up.
    Lease,
    /// Reads.
    Read,
}

impl Lane {
    /// Whether the replicas must have what is written here before it counts.
    pub(super) fn is_confirmed(self) -> bool {
        matches!(self, Self::Commit | Self::Record)
    }
}

/// A connection that comes back.
#[derive(Debug)]
pub(super) struct Link {
    dialer: Arc<Dialer>,
    /// Host and port where it is one of several; else the dialer knows.
    to: Option<String>,
    guard: Arc<Guard>,
    scripts: Arc<Scripts>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Under which master it was made, where there is one for all.
    reign: u64,
    /// Counts the connections, so that a late failure doesn't end its successor.
    generation: u64,
    failed: Option<(Instant, Failure)>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(dialer: Arc<Dialer>, to: Option<String>, guard: Arc<Guard>, scripts: Arc<Scripts>) -> Self {
        Self { dialer, to, guard, scripts, state: Mutex::default() }
    }

    /// Sends a pipeline; the answers one by one.
    pub(super) async fn send(&self, pipeline: &Pipeline) -> Result<Vec<RedisResult<Value>>, Failure> {
        let (generation, mut connection) = self.connection().await?;
        let answers: RedisResult<Vec<RedisResult<Value>>> = pipeline.query_async(&mut connection).await;
        let broken = match &answers {
            Ok(answers) => answers.iter().filter_map(|answer| answer.as_ref().err()).any(is_broken),
            Err(_) => true,
        };
        if broken {
            self.drop_connection(generation).await;
        }
        answers.map_err(Failure::Unknown)
    }

    /// What the server is called, and all findings about it, by a connection of its own.
    pub(super) async fn examine(&self) -> Result<(String, Vec<Finding>), Failure> {
        // Not judged first: what the judge refuses is what is asked for.
        let (client, server) = self.dialer.client(self.to.as_deref()).await.map_err(Failure::Unreachable)?;
        let mut connection = connect(&client).await.map_err(Failure::Unreachable)?;
        let findings = self.guard.examine(&mut connection, &server, &self.dialer).await?;
        self.reign_of(&server);
        Ok((server, findings))
    }

    /// Lets go of the connection, so that the next call looks for the server again.
    pub(super) async fn reset(&self) {
        self.state.lock().await.connection = None;
    }

    /// Gives the server the scripts.
    pub(super) async fn load(&self) -> Result<(), Failure> {
        let (_, mut connection) = self.connection().await?;
        load(&mut connection, &self.scripts).await
    }

    async fn drop_connection(&self, generation: u64) {
        let mut state = self.state.lock().await;
        if state.generation == generation {
            state.connection = None;
        }
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), Failure> {
        let mut state = self.state.lock().await;
        let is_old = self.to.is_none() && state.reign != self.guard.reign();
        if is_old && !crate::planted::is("redis_old_master_read") {
            state.connection = None;
        }
        if let Some(connection) = &state.connection {
            return Ok((state.generation, connection.clone()));
        }
        if let Some((at, failure)) = state.failed.as_ref().filter(|(at, _)| at.elapsed() < FAILED) {
            tracing::trace!(age = ?at.elapsed(), "a connection has just failed");
            return Err(failure.clone());
        }
        match self.open().await {
            Ok((connection, server)) => {
                state.generation += 1;
                state.reign = self.reign_of(&server);
                state.connection = Some(connection.clone());
                state.failed = None;
                Ok((state.generation, connection))
            }
            Err(failure) => {
                if matches!(failure, Failure::Unreachable(_)) {
                    state.failed = Some((Instant::now(), failure.clone()));
                }
                Err(failure)
            }
        }
    }

    /// On a Cluster every node has its own slots, and says itself what it doesn't have any more.
    fn reign_of(&self, server: &str) -> u64 {
        if self.to.is_none() { self.guard.reign_of(server) } else { 0 }
    }

    async fn open(&self) -> Result<(MultiplexedConnection, String), Failure> {
        let (client, server) = self.dialer.client(self.to.as_deref()).await.map_err(Failure::Unreachable)?;
        let mut connection = connect(&client).await.map_err(Failure::Unreachable)?;
        self.guard.admit(&mut connection, &server).await?;
        load(&mut connection, &self.scripts).await?;
        Ok((connection, server))
    }
}

/// A connection with our settings.
pub(super) async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(ANSWER));
    client.get_multiplexed_async_connection_with_config(&config).await
}

async fn load(connection: &mut MultiplexedConnection, scripts: &Scripts) -> Result<(), Failure> {
    let mut pipeline = redis::pipe();
    for script in scripts.all() {
        pipeline.add_command(script.load());
    }
    pipeline.exec_async(connection).await.map_err(Failure::Unreachable)
}

/// The settings of every connection's socket.
pub(super) fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5));
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(ANSWER)
}
