//! Where calls failed of late, so that a retry goes elsewhere.
//!
//! A bounded memory of this process: what falls out of it costs a retry its preference, nothing more. Invariant: it never holds more
//! than [`REMEMBERED_MAX`] calls.

use std::collections::{BTreeMap, VecDeque};

use super::Call;
use super::endpoint::Endpoint;

/// Most calls of one participant that are remembered.
const REMEMBERED_MAX: usize = 1024;

/// By operation of a saga: where its last attempt failed.
#[derive(Debug, Default)]
pub(super) struct Recent {
    failed: BTreeMap<String, Endpoint>,
    /// The oldest first; may hold keys that are forgotten already.
    order: VecDeque<String>,
}

impl Recent {
    /// Notes that an attempt failed there.
    pub(super) fn failed(&mut self, call: &Call, at: &Endpoint) {
        let key = call.idempotency_key();
        if self.failed.insert(key.clone(), at.clone()).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > REMEMBERED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.failed.remove(&oldest);
            }
        }
    }

    /// Where the last attempt of the same operation failed.
    pub(super) fn failed_at(&self, call: &Call) -> Option<&Endpoint> {
        if self.failed.is_empty() { None } else { self.failed.get(&call.idempotency_key()) }
    }

    /// The operation was answered.
    pub(super) fn forget(&mut self, call: &Call) {
        if !self.failed.is_empty() {
            self.failed.remove(&call.idempotency_key());
        }
    }
}
