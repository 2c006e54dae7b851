//! Opens the store that the settings name, and closes it.
//!
//! The one place that knows which backends there are. Invariant: a closed backend has let go of its directory, so that the
//! next process can have it.

use std::sync::Arc;
use std::time::Duration;

use amends_runtime::seam::Seams;
use amends_store::sqlite::Fatal;
use amends_store::{MemoryStore, OpenOptions, SqliteStore, Store};
use tokio::sync::watch;

use crate::config::{StoreConfig, StoreKind};
use crate::error::Error;

/// How long closing waits for the last users of the store, which have been ended already.
const LAST_USERS: Duration = Duration::from_secs(2);

/// Shards of a store in memory for which no number is set.
const MEMORY_SHARDS: u16 = 16;

/// An open store.
#[derive(Debug)]
pub struct Backend {
    store: Arc<dyn Store>,
    /// Of the embedded store: the only one that can be lost, and that has a directory to let go.
    fatal: Option<watch::Receiver<Option<Fatal>>>,
}

impl Backend {
    /// Opens what the settings name.
    pub async fn open(config: &StoreConfig) -> Result<Self, Error> {
        if config.kind == StoreKind::Memory {
            return Ok(Self::memory(config.shards.unwrap_or(MEMORY_SHARDS)));
        }
        let options = OpenOptions { shards: config.shards, ..OpenOptions::new(&config.data) };
        // Reading what a crash left behind takes its time.
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(options)).await;
        let store = opened.map_err(|_| Error::Broken("opening the store"))??;
        let fatal = Some(store.fatal());
        Ok(Self { store: Arc::new(store), fatal })
    }

    /// A store that is gone with the process.
    pub fn memory(shards: u16) -> Self {
        let seams = Seams::system();
        Self::of(Arc::new(MemoryStore::new(shards, Arc::new(move || seams.now()))))
    }

    /// A store that somebody else opened, and closes.
    pub fn of(store: Arc<dyn Store>) -> Self {
        Self { store, fatal: None }
    }

    /// A store in memory that a test can declare lost.
    #[cfg(test)]
    pub(crate) fn losable(shards: u16) -> (watch::Sender<Option<Fatal>>, Self) {
        let (lose, fatal) = watch::channel(None);
        (lose, Self { fatal: Some(fatal), ..Self::memory(shards) })
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Waits until the store can't go on, and says why. For ever, where that can't happen.
    pub(crate) async fn lost(&self) -> String {
        let Some(mut fatal) = self.fatal.clone() else { return std::future::pending().await };
        match fatal.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(fatal)) => fatal.message.clone(),
            Ok(None) | Err(_) => "its writer has ended".to_owned(),
        }
    }

    /// Finishes what is queued and lets go of the directory.
    pub(crate) async fn close(self) {
        let Self { store, fatal } = self;
        if fatal.is_none() {
            return;
        }
        // Ended tasks drop what they hold when the executor gets to them.
        let alone = async {
            while Arc::strong_count(&store) > 1 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(LAST_USERS, alone).await.is_err() {
            tracing::debug!("something still uses the store; it is closed with the process");
        }
        // A panic in there has been logged, and there is nothing left to do about it.
        let _ = tokio::task::spawn_blocking(move || drop(store)).await;
    }
}
