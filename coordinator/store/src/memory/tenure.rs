//! Who has a shard, in the memory store: acquiring, renewing, giving back.
//!
//! Reads no clock. Invariants: the epoch only rises, and is at least the time in ms when it was given; the commit number goes
//! up by one with each accepted commit, whoever has the shard.

use std::time::Duration;

use amends_engine::time::Timestamp;

use crate::contract::{self, Acquired, Epoch, Lease, Nonce, ShardId};
use crate::error::StoreError;
use crate::planted;

/// The current tenure of a shard. The nonce is absent before the first one and after a release.
#[derive(Clone, Default)]
pub(super) struct Tenure {
    epoch: u64,
    nonce: Option<Nonce>,
    node: String,
    until: Timestamp,
    commits: u64,
}

impl Tenure {
    /// Whether this lease is the current one.
    pub(super) fn is_of(&self, lease: &Lease) -> bool {
        let epoch = self.epoch == lease.epoch.0 || planted::is("no_epoch_check");
        let nonce = self.nonce == Some(lease.nonce) || planted::is("no_nonce");
        epoch && nonce || planted::is("no_fence")
    }

    /// See [`crate::Store::acquire`].
    pub(super) fn acquire(
        &mut self,
        shard: ShardId,
        node: &str,
        nonce: Nonce,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Acquired, StoreError> {
        if self.nonce.is_some() && self.node != node && self.until > now {
            return Err(StoreError::Held { node: self.node.clone(), until: self.until });
        }
        let epoch = now.0.max(self.epoch + 1);
        let commits = self.commits;
        *self = Self { epoch, nonce: Some(nonce), node: node.to_owned(), until: now + lease_for, commits };
        Ok(Acquired { lease: Lease { shard, epoch: Epoch(epoch), nonce }, commits })
    }

    /// See [`crate::Store::renew`].
    pub(super) fn renew(&mut self, lease: &Lease, until: Timestamp) -> Result<(), StoreError> {
        if !self.is_of(lease) {
            return Err(StoreError::LeaseLost);
        }
        self.until = until;
        Ok(())
    }

    /// See [`crate::Store::release`].
    pub(super) fn release(&mut self, lease: &Lease) {
        if self.is_of(lease) {
            self.nonce = None;
        }
    }

    /// Ends whatever tenure there is, and makes the next one's epoch higher than this.
    pub(super) fn end(&mut self, epoch: Epoch) {
        self.nonce = None;
        self.epoch = self.epoch.max(epoch.0);
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

    /// As [`crate::Store::tenures`] gives it; `None` before the first acquisition.
    pub(super) fn told(&self, shard: ShardId) -> Option<contract::Tenure> {
        (self.epoch > 0).then(|| contract::Tenure {
            shard,
            epoch: Epoch(self.epoch),
            nonce: self.nonce.unwrap_or(Nonce(0)),
            node: self.nonce.map(|_| self.node.clone()).unwrap_or_default(),
            held_until: self.nonce.map(|_| self.until),
            commits: self.commits,
        })
    }
}
