//! Stores for the tests, each in a directory of its own that goes with it.

use std::path::Path;
use std::sync::Arc;

use amends_engine::time::Timestamp;
use amends_store::{MemoryStore, OpenOptions, SqliteStore};

/// A few shards, so that tests meet more than one and each has something to do.
pub(crate) const SHARDS: u16 = 4;

pub(crate) fn memory() -> MemoryStore {
    MemoryStore::new(SHARDS, Arc::new(|| Timestamp(1_000_000)))
}

pub(crate) fn options(dir: &Path) -> OpenOptions {
    // A small reserve: what its size is for is tested elsewhere, and writing it takes time.
    OpenOptions { shards: Some(SHARDS), reserve_bytes: 64 * 1024, ..OpenOptions::new(dir) }
}

pub(crate) fn sqlite(dir: &Path) -> SqliteStore {
    SqliteStore::open(options(dir)).expect("a free directory")
}
