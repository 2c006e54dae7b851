//! The floor on Redis: the calls of a saga and the writes between them, with nothing around them.
//!
//! Three unary calls one after the other, each between two writes: fenced, compared and set, and gathered as the coordinator
//! gathers its commits (while one script call is under way the next collects). No coordinator, no definitions, no timers.
//! Invariant: a write that wasn't accepted fails its unit, and what failed is no floor.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::Script;
use redis::aio::MultiplexedConnection;
use tokio::sync::{mpsc, oneshot};
use tonic::transport::Channel;

use super::super::load::{self, Measured};
use super::super::proto::Echo;
use super::super::proto::noop_client::NoopClient;
use super::super::{STEPS, load::text};
use super::server::{connect, failed};
use crate::exit::Failure;

/// As many as a new store on Redis has.
const SHARDS: u64 = 64;
/// How many writes go in one script call at most.
const GROUP: usize = 512;
/// The lengths of a record of a state and of a history entry, about as the store has them.
const STATE: usize = 256;
const ENTRY: usize = 128;
/// Of the lease.
const EPOCH: u64 = 1_760_000_000_000;
const NONCE: &str = "0123456789abcdef0123456789abcdef";

/// A write that waits for its script call.
#[derive(Debug)]
struct Write {
    saga: u64,
    revision: usize,
    accepted: oneshot::Sender<bool>,
}

/// What is needed to run units.
#[derive(Debug)]
pub(super) struct Floor {
    channel: Channel,
    queue: mpsc::UnboundedSender<Write>,
    writes: Arc<AtomicU64>,
}

impl Floor {
    /// On an empty server.
    pub(super) async fn start(redis: SocketAddr, participant: SocketAddr) -> Result<Self, Failure> {
        let mut connection = connect(redis).await.map_err(failed)?;
        let mut leases = redis::pipe();
        for shard in 0..SHARDS {
            leases.hset_multiple(lease(shard), &[("epoch", EPOCH.to_string()), ("nonce", NONCE.to_owned())]).ignore();
        }
        leases.exec_async(&mut connection).await.map_err(failed)?;
        let script = Script::new(include_str!("floor.lua"));
        script.load_async(&mut connection).await.map_err(failed)?;
        let (queue, waiting) = mpsc::unbounded_channel();
        let writes = Arc::new(AtomicU64::new(0));
        tokio::spawn(gather(connection, script, waiting, Arc::clone(&writes)));
        Ok(Self { channel: load::dial(participant).await?, queue, writes })
    }

    /// How many writes were accepted.
    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    pub(super) async fn run(&self, in_flight: usize, length: Duration) -> Result<Measured, Failure> {
        let (channel, queue) = (self.channel.clone(), self.queue.clone());
        load::run(in_flight, length, move |saga| {
            let (mut client, queue) = (NoopClient::new(channel.clone()), queue.clone());
            async move {
                for revision in 0..STEPS {
                    write(&queue, saga, revision).await?;
                    client.call(Echo { text: text() }).await.map_err(|_| ())?;
                }
                write(&queue, saga, STEPS).await
            }
        })
        .await
    }
}

async fn write(queue: &mpsc::UnboundedSender<Write>, saga: u64, revision: usize) -> Result<(), ()> {
    let (accepted, answer) = oneshot::channel();
    queue.send(Write { saga, revision, accepted }).map_err(|_| ())?;
    if answer.await.map_err(|_| ())? { Ok(()) } else { Err(()) }
}

/// One script call after the other, each with all that has come in meanwhile. Ends with the queue.
async fn gather(
    mut connection: MultiplexedConnection,
    script: Script,
    mut waiting: mpsc::UnboundedReceiver<Write>,
    writes: Arc<AtomicU64>,
) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        let answers: redis::RedisResult<Vec<u8>> = compose(&script, &group).query_async(&mut connection).await;
        // Nobody is told that a write was accepted which wasn't: a dropped sender fails its unit.
        for (write, accepted) in group.drain(..).zip(answers.unwrap_or_default()) {
            writes.fetch_add(u64::from(accepted), Ordering::Relaxed);
            let _ = write.accepted.send(accepted == 1);
        }
    }
}

fn compose(script: &Script, group: &[Write]) -> redis::Cmd {
    let mut call = redis::cmd("EVALSHA");
    call.arg(script.get_hash()).arg(group.len() * 3);
    for Write { saga, .. } in group {
        let shard = saga % SHARDS;
        call.arg(lease(shard)).arg(format!("{{floor:{shard}}}:open")).arg(format!("{{floor:{shard}}}:saga:{saga:032}"));
    }
    call.arg(EPOCH).arg(NONCE);
    let (state, output, entry) = ("s".repeat(STATE), text(), "h".repeat(ENTRY));
    for Write { revision, .. } in group {
        call.arg(*revision).arg(&state).arg(&output).arg(&entry).arg(u8::from(*revision < STEPS));
    }
    call
}

fn lease(shard: u64) -> String {
    format!("{{floor:{shard}}}:lease")
}
