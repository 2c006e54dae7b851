//! Backing up and restoring the embedded store.
//!
//! What a backup is and keeps is `amends_store::sqlite`'s; here it is kept off the threads that must not wait. Redis has tools of its
//! own for both: see `docs/backup.md`.

use std::path::Path;

use amends_store::sqlite;

pub use amends_store::sqlite::{Backup, BackupError};

use crate::error::Error;

/// Writes the store in this folder to a new file; a coordinator may be using it.
pub async fn backup(dir: &Path, file: &Path) -> Result<Backup, Error> {
    let (dir, file) = (dir.to_owned(), file.to_owned());
    let done = tokio::task::spawn_blocking(move || sqlite::backup(&dir, &file)).await;
    Ok(done.map_err(|_| Error::Broken("backing up the store"))??)
}

/// Makes a store in this folder from a file.
pub async fn restore(file: &Path, dir: &Path) -> Result<Backup, Error> {
    let (dir, file) = (dir.to_owned(), file.to_owned());
    let done = tokio::task::spawn_blocking(move || sqlite::restore(&file, &dir)).await;
    Ok(done.map_err(|_| Error::Broken("restoring the store"))??)
}
