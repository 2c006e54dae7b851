//! Counters of what the runtime does, and the sagas that it couldn't read.
//!
//! For tests, benchmarks and operators; no decision is made from them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use amends_engine::ids::SagaKey;

use crate::error::RequestError;

/// What was counted since the start.
#[derive(Debug, Default)]
pub struct Stats {
    calls: AtomicU64,
    unreadable: Mutex<BTreeMap<SagaKey, String>>,
}

impl Stats {
    pub(crate) fn call_started(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unreadable(&self, key: &SagaKey, error: &RequestError) {
        tracing::error!(saga = %key, %error, "a saga can't be read; it is left alone, the others run");
        let mut unreadable = self.unreadable.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        unreadable.insert(key.clone(), error.to_string());
    }

    /// Participant calls started.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Sagas whose records couldn't be read, and why.
    pub fn unreadable_sagas(&self) -> Vec<(SagaKey, String)> {
        let unreadable = self.unreadable.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        unreadable.iter().map(|(key, why)| (key.clone(), why.clone())).collect()
    }
}
