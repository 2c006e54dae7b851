//! The floor's writes on Redis: fenced, compared and set, grouped in one script call.
//!
//! Invariant: one script call after the other, each with all that has come in meanwhile.

use std::net::SocketAddr;

use redis::Script;
use redis::aio::MultiplexedConnection;

use super::super::floor::{ENTRY, GROUP, Queue, STATE, Write};
use super::super::work::text;
use super::server::{connect, failed};
use crate::exit::Failure;

/// As many as a new store on Redis has.
const SHARDS: u64 = 64;
/// Of the lease.
const EPOCH: u64 = 1_760_000_000_000;
const NONCE: &str = "0123456789abcdef0123456789abcdef";

/// Writes to an empty server until the queue ends.
pub(super) async fn start(redis: SocketAddr, queue: Queue) -> Result<(), Failure> {
    let mut connection = connect(redis).await.map_err(failed)?;
    let mut leases = redis::pipe();
    for shard in 0..SHARDS {
        leases.hset_multiple(lease(shard), &[("epoch", EPOCH.to_string()), ("nonce", NONCE.to_owned())]).ignore();
    }
    leases.exec_async(&mut connection).await.map_err(failed)?;
    let script = Script::new(include_str!("floor.lua"));
    script.load_async(&mut connection).await.map_err(failed)?;
    tokio::spawn(gather(connection, script, queue));
    Ok(())
}

async fn gather(mut connection: MultiplexedConnection, script: Script, mut queue: Queue) {
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        let answers: redis::RedisResult<Vec<u8>> = compose(&script, &group).query_async(&mut connection).await;
        // Nobody is told that a write was accepted which wasn't: a dropped sender fails its unit.
        for (write, accepted) in group.drain(..).zip(answers.unwrap_or_default()) {
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
    for Write { revision, is_last, .. } in group {
        call.arg(*revision).arg(&state).arg(&output).arg(&entry).arg(u8::from(!is_last));
    }
    call
}

fn lease(shard: u64) -> String {
    format!("{{floor:{shard}}}:lease")
}
