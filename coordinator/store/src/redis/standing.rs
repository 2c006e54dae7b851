//! How the store stands, in its meta key and in every shard's lease.
//!
//! The meta key keeps a coordinator from opening the store; the shards' own mark, which is read where a shard is acquired, keeps
//! out one that has opened it already. Invariant: as long as the meta key says that the store is closed, it goes on being closed
//! wherever the work on the shards was broken off, and repeating the same step ends it.

use super::RedisStore;
use super::failure::Failure;
use super::keys::{SHARD_KEYS, slot_of};
use super::link::Lane;
use super::values;
use crate::contract::{Epoch, ShardId};
use crate::error::StoreError;
use crate::transfer::{Standing, TransferError};
use amends_engine::time::Timestamp;

/// The highest epoch that Lua can count on from: it has no integers, only doubles.
const HIGHEST: u64 = 1 << 52;

/// A change of how the store stands.
pub(super) struct Change<'a> {
    pub(super) from: &'a Standing,
    pub(super) to: &'a Standing,
    /// The next epochs are higher than this one.
    pub(super) epoch: Epoch,
    /// Whether every shard must be empty.
    pub(super) empty: bool,
}

/// See [`crate::transfer::Export::standing`].
pub(super) async fn of(store: &RedisStore) -> Result<Standing, StoreError> {
    let key = store.keys.meta();
    let mut get = redis::cmd("HGET");
    get.arg(&key).arg("standing");
    let answers = store.router.read(vec![(slot_of(&key), get)]).await.map_err(Failure::store)?;
    let text: Option<String> = answers.into_iter().next().map_or(Ok(None), values::read).map_err(Failure::store)?;
    read(text.unwrap_or_default())
}

fn read(text: String) -> Result<Standing, StoreError> {
    let unknown =
        || StoreError::Corrupt { what: format!("how the store stands can't be read: {text:?}"), source: None };
    Standing::read(&text).ok_or_else(unknown)
}

/// Closes the store: first the meta key, so that it isn't opened any more, then the shards.
pub(super) async fn close(store: &RedisStore, change: &Change<'_>) -> Result<(), TransferError> {
    if change.epoch.0 > HIGHEST {
        return Err(TransferError::Unfit(format!(
            "the source's epochs are as high as {}, from which Redis can't count on: its clock must have run far ahead",
            change.epoch.0
        )));
    }
    meta(store, change).await?;
    shards(store, change).await
}

/// Opens it: first the shards.
pub(super) async fn open(store: &RedisStore, change: &Change<'_>) -> Result<(), TransferError> {
    match of(store).await? {
        Standing::InUse => Ok(()),
        standing if standing == *change.from => {
            shards(store, change).await?;
            meta(store, change).await
        }
        standing => Err(TransferError::Stands { standing }),
    }
}

async fn meta(store: &RedisStore, change: &Change<'_>) -> Result<(), TransferError> {
    let key = store.keys.meta();
    let mut call = store.scripts.stand.call(1);
    call.arg(&key).arg(change.from.to_string()).arg(change.to.to_string());
    let answer = store.router.write(Lane::Record, slot_of(&key), &call).await.map_err(Failure::store)?;
    let standing = read(values::read(answer).map_err(Failure::store)?)?;
    if standing == *change.from || standing == *change.to { Ok(()) } else { Err(TransferError::Stands { standing }) }
}

async fn shards(store: &RedisStore, change: &Change<'_>) -> Result<(), TransferError> {
    for shard in store.all_shards() {
        one_shard(store, shard, change).await?;
    }
    Ok(())
}

async fn one_shard(store: &RedisStore, shard: ShardId, change: &Change<'_>) -> Result<(), TransferError> {
    let mut call = store.scripts.close.call(SHARD_KEYS);
    call.arg(&store.keys.shard(shard)).arg(store.guard.store_id());
    call.arg(change.from.to_string()).arg(change.to.to_string());
    call.arg(change.epoch.0).arg(u8::from(change.empty));
    let answer = store.router.write(Lane::Record, slot_of(&store.keys.lease(shard)), &call).await;
    let mut parts = answer.and_then(values::parts).map_err(Failure::store)?;
    let mut next = || values::next(&mut parts);
    match next().and_then(values::number).map_err(Failure::store)? {
        0 => Ok(()),
        1 => {
            let node = next().and_then(values::read).map_err(Failure::store)?;
            let until = Timestamp(next().and_then(values::number).map_err(Failure::store)?);
            Err(TransferError::Held { node, until })
        }
        2 => {
            let found: String = next().and_then(values::read).map_err(Failure::store)?;
            Err(Failure::Frozen(store.not_ours(shard, &found)).store().into())
        }
        3 => Err(TransferError::Stands { standing: read(next().and_then(values::read).map_err(Failure::store)?)? }),
        _ => Err(TransferError::NotEmpty { what: format!("sagas, or ids of swept ones, in shard {}", shard.0) }),
    }
}
