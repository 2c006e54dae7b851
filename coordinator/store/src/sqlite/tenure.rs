//! Who has which shard: acquiring, renewing and giving back, the check that fences a commit, and the number that it gets.
//!
//! The writer keeps the tenures in memory, because it is the only one that changes them (the directory is locked), and
//! reads them again after a group that was rolled back. Commit numbers are written once per group. Invariants: a shard's epoch
//! only rises, and is at least the store's time in ms when it was given; a commit number that was answered is in the same
//! database transaction as its commit.

use std::time::Duration;

use amends_engine::time::Timestamp;
use rusqlite::{Connection, params};

use super::columns::{from_nonce, from_time, from_u64, to_nonce, to_time, to_u64};
use super::group::Group;
use super::{logs, schema};
use crate::contract::{self, Acquired, Epoch, Lease, Nonce, ShardId};
use crate::error::StoreError;
use crate::logs::Spans;
use crate::planted;
use crate::transfer::{Standing, TransferError};

/// The current tenure of a shard. The nonce is absent before the first one and after a release.
#[derive(Debug, Clone)]
pub(super) struct Tenure {
    epoch: u64,
    nonce: Option<Nonce>,
    node: String,
    until: Timestamp,
    commits: u64,
    /// The commit number as the database has it, this group's changes included.
    saved: u64,
    /// Which numbers its logs have, and which they have in the database.
    pub(super) spans: Spans,
    pub(super) saved_spans: Spans,
}

impl Tenure {
    /// Whether this lease is the shard's current one.
    pub(super) fn is_of(&self, lease: &Lease) -> bool {
        let epoch = self.epoch == lease.epoch.0 || planted::is("no_epoch_check");
        let nonce = self.nonce == Some(lease.nonce) || planted::is("no_nonce");
        epoch && nonce
    }

    /// Counts a commit that was accepted, and gives its number.
    pub(super) fn count(&mut self) -> u64 {
        self.commits += 1;
        self.commits
    }

    /// The shard's commit number.
    pub(super) fn commits(&self) -> u64 {
        self.commits
    }
}

/// Writes the commit numbers that this group has changed: the last thing before its end.
pub(super) fn save_commits(conn: &Connection, tenures: &mut [Tenure]) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO shard_commits (shard, number) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET number = ?2",
    )?;
    let numbered = (0_u16..).zip(tenures);
    for (shard, tenure) in numbered.filter(|(_, tenure)| tenure.commits != tenure.saved) {
        statement.execute(params![shard, from_u64(tenure.commits)])?;
        tenure.saved = tenure.commits;
    }
    Ok(())
}

/// All tenures, by shard, without their logs.
fn load(conn: &Connection) -> rusqlite::Result<Vec<Tenure>> {
    let mut statement = conn.prepare(
        "SELECT epoch, nonce, node, lease_until, coalesce(number, 0) FROM shard LEFT JOIN shard_commits USING (shard) \
         ORDER BY shard",
    )?;
    let rows = statement.query_map([], |row| {
        let nonce: Option<Vec<u8>> = row.get(1)?;
        let commits = to_u64(row.get(4)?);
        Ok(Tenure {
            epoch: to_u64(row.get(0)?),
            nonce: nonce.and_then(|nonce| to_nonce(&nonce)),
            node: row.get(2)?,
            until: to_time(row.get(3)?),
            commits,
            saved: commits,
            spans: Spans::NEW,
            saved_spans: Spans::NEW,
        })
    })?;
    rows.collect()
}

/// All tenures with their logs, for the writer.
pub(super) fn load_whole(conn: &Connection) -> rusqlite::Result<Vec<Tenure>> {
    let mut tenures = load(conn)?;
    for (shard, tenure) in (0..).zip(&mut tenures) {
        tenure.spans = logs::load(conn, ShardId(shard))?;
        tenure.saved_spans = tenure.spans;
    }
    Ok(tenures)
}

/// See [`crate::Store::tenures`].
pub(super) fn tenures(conn: &Connection) -> rusqlite::Result<Vec<contract::Tenure>> {
    let told = |(shard, tenure): (u16, Tenure)| contract::Tenure {
        shard: ShardId(shard),
        epoch: Epoch(tenure.epoch),
        nonce: tenure.nonce.unwrap_or(Nonce(0)),
        node: tenure.nonce.map(|_| tenure.node).unwrap_or_default(),
        held_until: tenure.nonce.map(|_| tenure.until),
        commits: tenure.commits,
    };
    Ok((0..).zip(load(conn)?).filter(|(_, tenure)| tenure.epoch > 0).map(told).collect())
}

/// See [`crate::Store::acquire`].
pub(super) fn acquire(
    group: &mut Group<'_>,
    shard: ShardId,
    node: &str,
    nonce: Nonce,
    lease_for: Duration,
) -> rusqlite::Result<Result<Acquired, StoreError>> {
    let now = group.now;
    match schema::standing(group.conn)? {
        Some(Standing::InUse) => {}
        Some(standing) => return Ok(Err(StoreError::Closed { why: standing.explain() })),
        None => return Ok(Err(StoreError::Closed { why: "how it stands can't be read".to_owned() })),
    }
    let tenure = match tenure_of(group, shard) {
        Ok(tenure) => tenure,
        Err(error) => return Ok(Err(error)),
    };
    if tenure.nonce.is_some() && tenure.node != node && tenure.until > now {
        return Ok(Err(StoreError::Held { node: tenure.node.clone(), until: tenure.until }));
    }
    let epoch = now.0.max(tenure.epoch + 1);
    let until = now + lease_for;
    let taken = Tenure { epoch, nonce: Some(nonce), node: node.to_owned(), until, ..tenure.clone() };
    let commits = taken.commits;
    save(group, shard, taken)?;
    Ok(Ok(Acquired { lease: Lease { shard, epoch: Epoch(epoch), nonce }, commits }))
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

/// Ends every tenure, and makes the next epochs higher than this one. Refused while a node has a shard.
pub(super) fn end_all(group: &mut Group<'_>, epoch: Epoch) -> rusqlite::Result<Result<(), TransferError>> {
    let is_held = |tenure: &&Tenure| tenure.nonce.is_some() && tenure.until > group.now;
    if let Some(held) = group.tenures.iter().find(is_held) {
        return Ok(Err(TransferError::Held { node: held.node.clone(), until: held.until }));
    }
    for shard in 0..group.tenures.len() {
        let tenure = &group.tenures[shard];
        let ended = Tenure { nonce: None, epoch: tenure.epoch.max(epoch.0), ..tenure.clone() };
        save(group, ShardId(u16::try_from(shard).unwrap_or(u16::MAX)), ended)?;
    }
    Ok(Ok(()))
}

/// Ends tenures whose process is known to be gone, whatever their leases say.
pub(super) fn forget_holders(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute("UPDATE shard SET nonce = NULL WHERE nonce IS NOT NULL", []).map(|_| ())
}

pub(super) fn tenure_of<'g>(group: &'g Group<'_>, shard: ShardId) -> Result<&'g Tenure, StoreError> {
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
