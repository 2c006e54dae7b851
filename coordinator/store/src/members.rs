//! The nodes of a store that keeps them in memory: one that only one process can use.
//!
//! Judges nobody's age. Invariant: one record per name, the last that was heard.

use std::collections::BTreeMap;

use amends_engine::time::Timestamp;

use crate::contract::NodeRecord;

/// Every node that was heard and not forgotten.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    by_name: BTreeMap<String, NodeRecord>,
}

impl Members {
    /// See [`crate::Store::heartbeat`].
    pub(crate) fn heard(&mut self, node: &NodeRecord, now: Timestamp) {
        self.by_name.insert(node.name.clone(), NodeRecord { heard_at: now, ..node.clone() });
    }

    /// See [`crate::Store::forget_node`].
    pub(crate) fn forget(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// See [`crate::Store::nodes`].
    pub(crate) fn all(&self) -> Vec<NodeRecord> {
        self.by_name.values().cloned().collect()
    }
}
