//! Opens the store that the settings name, and closes it.
//!
//! The one place that knows which backends there are. Invariant: a closed backend has let go of its directory, so that the
//! next process can have it.

use std::sync::Arc;
use std::time::Duration;

use amends_runtime::seam::Seams;
use amends_store::redis::{RedisOpenError, RedisOptions, TlsFiles};
use amends_store::sqlite::Fatal;
use amends_store::{MemoryStore, OpenOptions, RedisStore, SqliteStore, Store};
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
    is_shared: bool,
}

impl Backend {
    /// Opens what the settings name; `lease`: how long the nodes' leases last.
    pub async fn open(config: &StoreConfig, lease: Duration) -> Result<Self, Error> {
        match config.kind {
            StoreKind::Memory => Ok(Self::memory(config.shards.unwrap_or(MEMORY_SHARDS))),
            StoreKind::Sqlite => Self::sqlite(config).await,
            StoreKind::Redis => Ok(Self::shared(Arc::new(RedisStore::open(redis_options(config, lease)?).await?))),
        }
    }

    async fn sqlite(config: &StoreConfig) -> Result<Self, Error> {
        let options = OpenOptions { shards: config.shards, ..OpenOptions::new(&config.data) };
        // Reading what a crash left behind takes its time.
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(options)).await;
        let store = opened.map_err(|_| Error::Broken("opening the store"))??;
        let fatal = Some(store.fatal());
        Ok(Self { store: Arc::new(store), fatal, is_shared: false })
    }

    /// A store that is gone with the process.
    pub fn memory(shards: u16) -> Self {
        let seams = Seams::system();
        Self::of(Arc::new(MemoryStore::new(shards, Arc::new(move || seams.now()))))
    }

    /// A store that somebody else opened, and closes.
    pub fn of(store: Arc<dyn Store>) -> Self {
        Self { store, fatal: None, is_shared: false }
    }

    /// A store that other nodes use too.
    pub fn shared(store: Arc<dyn Store>) -> Self {
        Self { is_shared: true, ..Self::of(store) }
    }

    /// Whether other nodes may use the store too.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
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
        let Self { store, fatal, is_shared: _ } = self;
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

/// How the settings say that the store on Redis is to be opened.
pub(crate) fn redis_options(config: &StoreConfig, lease: Duration) -> Result<RedisOptions, Error> {
    let redis = &config.redis;
    let Some(address) = &redis.url else {
        return Err(RedisOpenError::Invalid("store.redis.url is missing".to_owned()).into());
    };
    // An id in the configuration needs no file beside it.
    let remembered = config.data.join(format!("redis-store-{}", redis.name));
    Ok(RedisOptions {
        name: redis.name.clone(),
        shards: config.shards,
        durability: redis.durability,
        replicas: redis.replicas.unwrap_or(0),
        attested_durability: redis.attested_durability.clone(),
        store_id: redis.id.clone(),
        remembered_in: redis.id.is_none().then_some(remembered),
        tls: TlsFiles {
            ca: redis.ca_file.clone(),
            identity: redis.certificate_file.clone().zip(redis.key_file.clone()),
        },
        lease,
        ..RedisOptions::new(address.clone())
    })
}
