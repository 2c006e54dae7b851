//! Counts what a shard has open, for gauges: its cells say it.
//!
//! Reads only. Invariant: both numbers of a census are read by one script, so that no commit is between them.

use std::collections::BTreeMap;

use amends_engine::ids::{DefinitionName, Namespace};
use amends_engine::time::Timestamp;
use redis::Cmd;

use super::RedisStore;
use super::failure::Failure;
use super::fields::to_time;
use super::keys::slot_of;
use super::values;
use crate::cell::Cell;
use crate::contract::{Census, OpenCount, ShardId};

/// KEYS: lease, counts. Sent as it is, since it is needed once per tenure; `EVAL_RO` can't write and works on a full server.
const SCRIPT: &str = "return { redis.call('HGET', KEYS[1], 'commits') or '0', redis.call('HGETALL', KEYS[2]) }";

/// See [`crate::Store::census`].
pub(super) async fn census(store: &RedisStore, shard: ShardId) -> Result<Census, Failure> {
    let key = store.keys.lease(shard);
    let mut ask = redis::cmd("EVAL_RO");
    ask.arg(SCRIPT).arg(2).arg(&key).arg(store.keys.counts(shard));
    let answer = store.router.read(vec![(slot_of(&key), ask)]).await?.into_iter().next();
    let mut parts = values::parts(values::next(&mut answer.into_iter())?)?;
    let commits = values::number(values::next(&mut parts)?)?;
    let counts: Vec<(String, i64)> = values::read(values::next(&mut parts)?)?;
    let mut open: BTreeMap<(Namespace, DefinitionName, String, Option<String>), u64> = BTreeMap::new();
    for (text, count) in counts {
        // What is no cell is the member that never goes.
        let (Some(cell), Ok(count)) = (Cell::read(&text), u64::try_from(count)) else { continue };
        if cell.open && count > 0 {
            *open.entry((cell.namespace, cell.definition, cell.status, cell.stuck)).or_default() += count;
        }
    }
    let count =
        |((namespace, definition, status, stuck), count)| OpenCount { namespace, definition, status, stuck, count };
    Ok(Census { commits, open: open.into_iter().map(count).collect() })
}

/// See [`crate::Store::oldest_open`]. One read for the cells, one for the first of each that has this status.
pub(super) async fn oldest_open(
    store: &RedisStore,
    shard: ShardId,
    status: &str,
) -> Result<Option<Timestamp>, Failure> {
    let (index, counts) = (store.keys.index(shard), store.keys.counts(shard));
    let mut names = redis::cmd("HKEYS");
    names.arg(&counts);
    let answer = store.router.read(vec![(slot_of(&counts), names)]).await?.into_iter().next();
    let names: Vec<String> = answer.map_or(Ok(Vec::new()), values::read)?;
    let is_meant = |text: &String| Cell::read(text).is_some_and(|cell| cell.open && cell.status == status);
    let cells: Vec<String> = names.into_iter().filter(is_meant).collect();
    let first = |cell: &String| -> (u16, Cmd) {
        let mut first = redis::cmd("ZRANGE");
        first.arg(&index).arg(format!("[c,{cell},")).arg(format!("(c,{cell}-")).arg("BYLEX");
        first.arg("LIMIT").arg(0).arg(1);
        (slot_of(&index), first)
    };
    let mut oldest = None;
    for (cell, answer) in cells.iter().zip(store.router.read(cells.iter().map(first).collect()).await?) {
        let members: Vec<String> = values::read(answer)?;
        let at = |member: &String| to_time(member.strip_prefix(&format!("c,{cell},"))?.split_once(',')?.0);
        oldest = members.first().and_then(at).into_iter().chain(oldest).min();
    }
    Ok(oldest)
}
