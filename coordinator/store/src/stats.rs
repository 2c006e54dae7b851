//! What a store has done since it was opened, for tests and benchmarks.
//!
//! Never part of a decision. Invariant: a commit is counted once it is answered with success and not before.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Commits that were written; repeats aren't counted again.
    pub commits: u64,
    /// Database transactions in which they were, each made durable by one sync; other writes have theirs too.
    pub transactions: u64,
}

/// Where the counting is done.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    transactions: AtomicU64,
}

impl Counters {
    pub(crate) fn add_commits(&self, count: u64) {
        self.commits.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn add_transaction(&self) {
        self.transactions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        Stats { commits: self.commits.load(Ordering::Relaxed), transactions: self.transactions.load(Ordering::Relaxed) }
    }
}
