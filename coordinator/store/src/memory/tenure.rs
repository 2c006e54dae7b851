//! Who has a shard, in the memory store: acquiring, renewing, giving back.
//!
//! Reads no clock. Invariant: the epoch only rises, and is at least the time in ms when it was given.

use std::time::Duration;

use amends_engine::time::Timestamp;

use crate::contract::{Epoch, Lease, Nonce, ShardId};
use crate::error::StoreError;

/// The current tenure of a shard. The nonce is absent before the first one and after a release.
#[derive(Clone, Default)]
pub(super) struct Tenure {
    epoch: u64,
    nonce: Option<Nonce>,
    node: String,
    until: Timestamp,
}

impl Tenure {
    /// Whether this lease is the current one.
    pub(super) fn is_of(&self, lease: &Lease) -> bool {
        self.epoch == lease.epoch.0 && self.nonce == Some(lease.nonce)
    }

    /// See [`crate::Store::acquire`].
    pub(super) fn acquire(
        &mut self,
        shard: ShardId,
        node: &str,
        nonce: Nonce,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<Lease, StoreError> {
        if self.nonce.is_some() && self.node != node && self.until > now {
            return Err(StoreError::Held { node: self.node.clone(), until: self.until });
        }
        let epoch = now.0.max(self.epoch + 1);
        *self = Self { epoch, nonce: Some(nonce), node: node.to_owned(), until: now + lease_for };
        Ok(Lease { shard, epoch: Epoch(epoch), nonce })
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
}
