//! Leases: acquiring, renewing, giving back, and who has what; and the nodes that say they are there.
//!
//! All by the server's clock, in scripts that touch the lease's key only, so that they work while a slot moves. Invariant: a shard
//! whose lease doesn't name our store is never acquired: its data was wiped, or is another's.

use std::time::Duration;

use amends_engine::time::Timestamp;
use redis::Value;

use super::RedisStore;
use super::failure::Failure;
use super::fields::{from_nonce, to_nonce};
use super::keys::slot_of;
use super::link::Lane;
use super::values;
use crate::contract::{Acquired, Epoch, Lease, NodeRecord, Nonce, ShardId, Tenure};
use crate::error::StoreError;
use crate::record;
use crate::transfer::Standing;

/// The longest lease: Lua counts in doubles, and this is "never" anyway.
const LONGEST_MS: u64 = 1 << 50;

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(LONGEST_MS)
}

/// See [`crate::Store::acquire`].
pub(super) async fn acquire(
    store: &RedisStore,
    shard: ShardId,
    node: &str,
    nonce: Nonce,
    lease_for: Duration,
) -> Result<Acquired, StoreError> {
    let key = store.keys.lease(shard);
    let mut call = store.scripts.acquire.call(1);
    call.arg(&key).arg(store.guard.store_id()).arg(node).arg(from_nonce(nonce)).arg(ms(lease_for));
    // Confirmed, so that whatever was written before under another lease is confirmed with it.
    let answer = store.router.write(Lane::Record, slot_of(&key), &call).await.map_err(Failure::store)?;
    read_acquired(store, shard, nonce, answer).map_err(Failure::store)?
}

fn read_acquired(
    store: &RedisStore,
    shard: ShardId,
    nonce: Nonce,
    answer: Value,
) -> Result<Result<Acquired, StoreError>, Failure> {
    let mut parts = values::parts(answer)?;
    let code = values::number(values::next(&mut parts)?)?;
    match code {
        0 => {
            let epoch = Epoch(values::number(values::next(&mut parts)?)?);
            let commits = values::number(values::next(&mut parts)?)?;
            Ok(Ok(Acquired { lease: Lease { shard, epoch, nonce }, commits }))
        }
        1 => {
            let node = values::read(values::next(&mut parts)?)?;
            let until = Timestamp(values::number(values::next(&mut parts)?)?);
            Ok(Err(StoreError::Held { node, until }))
        }
        3 => {
            let closed: String = values::read(values::next(&mut parts)?)?;
            let why = Standing::read(&closed).map_or(closed, |standing| standing.explain());
            Ok(Err(StoreError::Closed { why }))
        }
        _ => {
            let found: String = values::read(values::next(&mut parts)?)?;
            store.guard.suspect();
            Err(Failure::Frozen(store.not_ours(shard, &found)))
        }
    }
}

/// See [`crate::Store::renew`].
pub(super) async fn renew(store: &RedisStore, lease: Lease, lease_for: Duration) -> Result<(), StoreError> {
    let key = store.keys.lease(lease.shard);
    let mut call = store.scripts.renew.call(1);
    call.arg(&key).arg(lease.epoch.0).arg(from_nonce(lease.nonce)).arg(ms(lease_for));
    let answer = store.router.write(Lane::Lease, slot_of(&key), &call).await;
    match answer.and_then(values::number).map_err(Failure::store)? {
        0 => Err(StoreError::LeaseLost),
        _ => Ok(()),
    }
}

/// See [`crate::Store::release`].
pub(super) async fn release(store: &RedisStore, lease: Lease) -> Result<(), StoreError> {
    let key = store.keys.lease(lease.shard);
    let mut call = store.scripts.release.call(1);
    call.arg(&key).arg(lease.epoch.0).arg(from_nonce(lease.nonce));
    store.router.write(Lane::Lease, slot_of(&key), &call).await.map_err(Failure::store)?;
    Ok(())
}

/// See [`crate::Store::tenures`]. Whoever looks here before a heartbeat writes nothing to a server that was wiped.
pub(super) async fn tenures(store: &RedisStore) -> Result<Vec<Tenure>, Failure> {
    let ask = |shard| {
        let key = store.keys.lease(shard);
        let mut fields = redis::cmd("HMGET");
        fields.arg(&key).arg(&["store", "epoch", "nonce", "node", "until", "commits"]);
        (slot_of(&key), fields)
    };
    let answers = store.router.read(store.all_shards().map(ask).collect()).await?;
    let tenures = store.all_shards().zip(answers).map(|(shard, answer)| read_tenure(store, shard, answer));
    tenures.filter_map(Result::transpose).collect()
}

fn read_tenure(store: &RedisStore, shard: ShardId, answer: Value) -> Result<Option<Tenure>, Failure> {
    type Fields = (Option<String>, Option<u64>, Option<String>, Option<String>, Option<u64>, Option<u64>);
    let (whose, epoch, nonce, node, until, commits): Fields = values::read(answer)?;
    let whose = whose.unwrap_or_default();
    if whose != store.guard.store_id() {
        store.guard.suspect();
        return Err(Failure::Frozen(store.not_ours(shard, &whose)));
    }
    let Some(epoch) = epoch else { return Ok(None) };
    let nonce = nonce.and_then(|nonce| to_nonce(&nonce));
    Ok(Some(Tenure {
        shard,
        epoch: Epoch(epoch),
        nonce: nonce.unwrap_or(Nonce(0)),
        node: nonce.and(node).unwrap_or_default(),
        held_until: nonce.and(until).map(Timestamp),
        commits: commits.unwrap_or(0),
    }))
}

/// See [`crate::Store::now`].
pub(super) async fn now(store: &RedisStore) -> Result<Timestamp, Failure> {
    let answer = store.router.read(vec![(slot_of(&store.keys.meta()), redis::cmd("TIME"))]).await?;
    let time = answer.into_iter().next().ok_or(Failure::Nonsense("no time"))?;
    let (seconds, micros): (u64, u64) = values::read(time)?;
    Ok(Timestamp(seconds * 1000 + micros / 1000))
}

/// See [`crate::Store::heartbeat`].
pub(super) async fn heartbeat(store: &RedisStore, node: &NodeRecord) -> Result<(), Failure> {
    let key = store.keys.nodes();
    let mut call = store.scripts.heartbeat.call(1);
    call.arg(&key).arg(&node.name).arg(&record::encode_node(node)[..]);
    store.router.write(Lane::Lease, slot_of(&key), &call).await?;
    Ok(())
}

/// See [`crate::Store::forget_node`].
pub(super) async fn forget_node(store: &RedisStore, name: &str) -> Result<(), Failure> {
    let key = store.keys.nodes();
    let mut forget = redis::cmd("HDEL");
    forget.arg(&key).arg(name);
    store.router.write(Lane::Lease, slot_of(&key), &forget).await?;
    Ok(())
}

/// See [`crate::Store::nodes`].
pub(super) async fn nodes(store: &RedisStore) -> Result<Vec<NodeRecord>, StoreError> {
    let key = store.keys.nodes();
    let mut all = redis::cmd("HVALS");
    all.arg(&key);
    let answers = store.router.read(vec![(slot_of(&key), all)]).await.map_err(Failure::store)?;
    let records: Vec<Vec<u8>> =
        answers.into_iter().next().map_or(Ok(Vec::new()), values::read).map_err(Failure::store)?;
    let nodes = records.iter().map(|value| read_node(value));
    let mut nodes: Vec<NodeRecord> = nodes.collect::<Result<_, _>>()?;
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(nodes)
}

fn read_node(value: &[u8]) -> Result<NodeRecord, StoreError> {
    let (heard_at, bytes) = super::numbered(value).ok_or_else(|| super::corrupt("a node's record"))?;
    record::decode_node(bytes, Timestamp(heard_at)).map_err(|error| super::unreadable("a node's record", error))
}
