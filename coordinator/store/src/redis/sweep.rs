//! Removing what is over: finished sagas past their retention, in every shard, those first that passed it first.
//!
//! Safe to repeat, to break off and to do from several nodes: the script looks at each saga again before it removes it.
//! Invariant: an unfinished saga is never removed; a removed one's id stays reserved. Nothing here has a time to live.

use amends_engine::ids::SagaKey;
use amends_engine::time::Timestamp;

use super::RedisStore;
use super::failure::Failure;
use super::fields::{from_time, to_timed};
use super::keys::slot_of;
use super::link::Lane;
use super::values;
use crate::contract::ShardId;
use crate::transfer::ReservedId;

/// How many sagas one call removes at most: Redis does nothing else meanwhile.
const CALL: usize = 64;

/// See [`crate::Store::sweep`].
pub(super) async fn sweep(store: &RedisStore, now: Timestamp, limit: usize) -> Result<u64, Failure> {
    let mut over = Vec::new();
    for (shard, members) in store.all_shards().zip(ended(store, now, limit).await?) {
        let timed = members.iter().filter_map(|member| to_timed(member));
        over.extend(timed.map(|(keep, key)| (keep, key, shard)));
    }
    over.sort();
    over.truncate(limit);
    let mut removed = 0;
    for shard in store.all_shards() {
        let mine: Vec<&(Timestamp, SagaKey, ShardId)> = over.iter().filter(|(.., of)| *of == shard).collect();
        for some in mine.chunks(CALL) {
            removed += remove(store, shard, some).await?;
        }
    }
    Ok(removed)
}

/// Of each shard, what has ended first and is over.
async fn ended(store: &RedisStore, now: Timestamp, limit: usize) -> Result<Vec<Vec<String>>, Failure> {
    let ask = |shard| {
        let key = store.keys.ended(shard);
        let mut range = redis::cmd("ZRANGE");
        range.arg(&key).arg("-").arg(format!("({}-", from_time(now))).arg("BYLEX");
        range.arg("LIMIT").arg(0).arg(i64::try_from(limit).unwrap_or(i64::MAX));
        (slot_of(&key), range)
    };
    let answers = store.router.read(store.all_shards().map(ask).collect()).await?;
    answers.into_iter().map(values::read).collect()
}

async fn remove(store: &RedisStore, shard: ShardId, some: &[&(Timestamp, SagaKey, ShardId)]) -> Result<u64, Failure> {
    let [_, _, ended, index, counts, reserved_ids] = store.keys.shard(shard);
    let mut call = store.scripts.sweep.call(4 + some.len());
    call.arg(&[ended.as_str(), index.as_str(), counts.as_str(), reserved_ids.as_str()]);
    for (_, key, _) in some {
        call.arg(store.keys.saga(shard, key));
    }
    for (keep, key, _) in some {
        call.arg(key.namespace.as_str()).arg(key.id.as_str()).arg(&ReservedId::of(key).0[..]).arg(from_time(*keep));
    }
    values::number(store.router.write(Lane::Record, slot_of(&ended), &call).await?)
}
