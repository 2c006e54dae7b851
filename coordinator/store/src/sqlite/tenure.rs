//! Who has which shard: acquiring, renewing and giving back, and the check that fences a commit.
//!
//! The writer keeps the tenures in memory, because it is the only one that changes them (the directory is locked), and
//! reads them again after a group that was rolled back. Invariant: a shard's epoch only rises, and is at least the store's
//! time in ms when it was given.

use std::time::Duration;

use amends_engine::time::Timestamp;
use rusqlite::{Connection, params};

use super::columns::{from_nonce, from_time, from_u64, to_nonce, to_time, to_u64};
use super::group::Group;
use crate::contract::{Epoch, Lease, Nonce, ShardId};
use crate::error::StoreError;

/// The current tenure of a shard. The nonce is absent before the first one and after a release.
#[derive(Debug, Clone)]
pub(super) struct Tenure {
    epoch: u64,
    nonce: Option<Nonce>,
    node: String,
    until: Timestamp,
}

impl Tenure {
    /// Whether this lease is the shard's current one.
    pub(super) fn is_of(&self, lease: &Lease) -> bool {
        self.epoch == lease.epoch.0 && self.nonce == Some(lease.nonce)
    }
}

/// All tenures, by shard.
pub(super) fn load(conn: &Connection) -> rusqlite::Result<Vec<Tenure>> {
    let mut statement = conn.prepare("SELECT epoch, nonce, node, lease_until FROM shard ORDER BY shard")?;
    let rows = statement.query_map([], |row| {
        let nonce: Option<Vec<u8>> = row.get(1)?;
        Ok(Tenure {
            epoch: to_u64(row.get(0)?),
            nonce: nonce.and_then(|nonce| to_nonce(&nonce)),
            node: row.get(2)?,
            until: to_time(row.get(3)?),
        })
    })?;
    rows.collect()
}

/// See [`crate::Store::acquire`].
pub(super) fn acquire(
    group: &mut Group<'_>,
    shard: ShardId,
    node: &str,
    nonce: Nonce,
    lease_for: Duration,
) -> rusqlite::Result<Result<Lease, StoreError>> {
    let now = group.now;
    let tenure = match tenure_of(group, shard) {
        Ok(tenure) => tenure,
        Err(error) => return Ok(Err(error)),
    };
    if tenure.nonce.is_some() && tenure.node != node && tenure.until > now {
        return Ok(Err(StoreError::Held { node: tenure.node.clone(), until: tenure.until }));
    }
    let epoch = now.0.max(tenure.epoch + 1);
    let taken = Tenure { epoch, nonce: Some(nonce), node: node.to_owned(), until: now + lease_for };
    save(group, shard, taken)?;
    Ok(Ok(Lease { shard, epoch: Epoch(epoch), nonce }))
}

/// See [`crate::Store::renew`].
pub(super) fn renew(
    group: &mut Group<'_>,
    lease: &Lease,
    lease_for: Duration,
) -> rusqlite::Result<Result<(), StoreError>> {
    let until = group.now + lease_for;
    let tenure = match tenure_of(group, lease.shard) {
        Ok(tenure) => tenure,
        Err(error) => return Ok(Err(error)),
    };
    if !tenure.is_of(lease) {
        return Ok(Err(StoreError::LeaseLost));
    }
    let renewed = Tenure { until, ..tenure.clone() };
    save(group, lease.shard, renewed).map(Ok)
}

/// See [`crate::Store::release`].
pub(super) fn release(group: &mut Group<'_>, lease: &Lease) -> rusqlite::Result<Result<(), StoreError>> {
    let tenure = match tenure_of(group, lease.shard) {
        Ok(tenure) => tenure,
        Err(error) => return Ok(Err(error)),
    };
    if !tenure.is_of(lease) {
        return Ok(Ok(()));
    }
    let released = Tenure { nonce: None, ..tenure.clone() };
    save(group, lease.shard, released).map(Ok)
}

fn tenure_of<'g>(group: &'g Group<'_>, shard: ShardId) -> Result<&'g Tenure, StoreError> {
    let shards = u16::try_from(group.tenures.len()).unwrap_or(u16::MAX);
    group.tenures.get(usize::from(shard.0)).ok_or(StoreError::NoSuchShard { given: shard.0, shards })
}

fn save(group: &mut Group<'_>, shard: ShardId, tenure: Tenure) -> rusqlite::Result<()> {
    let mut statement = group
        .conn
        .prepare_cached("UPDATE shard SET epoch = ?2, nonce = ?3, node = ?4, lease_until = ?5 WHERE shard = ?1")?;
    let nonce = tenure.nonce.map(from_nonce);
    statement.execute(params![shard.0, from_u64(tenure.epoch), nonce, tenure.node, from_time(tenure.until)])?;
    group.tenures[usize::from(shard.0)] = tenure;
    Ok(())
}
