//! Moving a store that no coordinator uses: from the embedded one to Redis.
//!
//! Opens both sides and closes them; the copying is `amends_store::transfer`'s. Invariant: neither store is made by being named
//! as a source, and a coordinator that has one of them is found before anything is written.

use std::path::Path;

use amends_store::transfer::{Export as _, copy as copy_store};
use amends_store::{OpenOptions, RedisStore, SqliteStore, Store as _, redis::RedisOptions};

pub use amends_store::transfer::{Copied, CopyError, Line, Moved, Progress, Report, Standing, Sum};

use crate::config::ServerConfig;
use crate::error::Error;
use crate::store::redis_options;

/// A copy that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The source's store id.
    pub source: String,
    /// The target's store id.
    pub target: String,
    /// The target's address, without a password.
    pub address: String,
    /// What came of it.
    pub copied: Result<Copied, CopyError>,
}

/// Copies the embedded store in this folder to the Redis that the settings name. `tell` hears how far it has got.
pub async fn copy(from: &Path, to: &ServerConfig, tell: &mut (dyn FnMut(Progress) + Send)) -> Result<Ended, Error> {
    let source = embedded(from).await?;
    // Nothing is remembered beside this process: it is whoever serves from the store that has to know it again.
    let options = redis_options(&to.store, to.sagas.lease)?;
    let address = options.address.to_string();
    let target = RedisStore::open(RedisOptions { remembered_in: None, for_transfer: true, ..options }).await?;
    let (source_id, target_id) = (source.info().id, target.info().id);
    let copied = copy_store(&source, &target, &address, tell).await;
    Ok(Ended { source: source_id, target: target_id, address, copied })
}

/// How the embedded store in this folder stands.
pub async fn standing(folder: &Path) -> Result<Standing, Error> {
    Ok(embedded(folder).await?.standing().await?)
}

/// Takes away the mark that the embedded store in this folder was moved.
pub async fn reopen(folder: &Path) -> Result<(), Error> {
    Ok(embedded(folder).await?.reopen().await?)
}

async fn embedded(folder: &Path) -> Result<SqliteStore, Error> {
    let options = OpenOptions { for_transfer: true, ..OpenOptions::new(folder) };
    // Reading what a crash left behind takes its time.
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(options)).await;
    Ok(opened.map_err(|_| Error::Broken("opening the store"))??)
}
