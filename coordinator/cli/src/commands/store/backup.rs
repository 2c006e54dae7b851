//! `amends store backup`: the embedded store as one file.
//!
//! Reads the store beside a coordinator that has it. Invariant: it ends with 0 only when the file is whole, checked and on the disk.

use std::path::PathBuf;

use amends_server::backup::{self, Backup};
use clap::Args;
use serde_json::{Value, json};

use super::failed;
use crate::exit::Failure;
use crate::output::Format;

/// Writes an embedded store to one file.
#[derive(Debug, Args)]
#[command(after_help = "\
The coordinator may run: the file holds one moment, with all that was acknowledged before it. Keep it on another disk; it holds
what teams have sent. A store on Redis is backed up with Redis's own means: see coordinator/docs/backup.md.

Examples:
  amends store backup --data /var/lib/amends /backup/amends-2026-11-28.db")]
pub(crate) struct BackUp {
    /// The folder of the embedded store
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The file to make; it must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl BackUp {
    pub(crate) async fn run(self, output: Format) -> Result<(), Failure> {
        let backup = backup::backup(&self.data, &self.file).await.map_err(failed)?;
        output.print(|| Ok(shown(&backup)), || format!("Backed up to {}: {}\n", self.file.display(), words(&backup)))
    }
}

pub(super) fn shown(backup: &Backup) -> Value {
    let newest = backup.newest.map(|newest| newest.0);
    json!({
        "store": backup.store,
        "bytes": backup.bytes,
        "sagas": backup.sagas,
        "unfinished": backup.open,
        "newest_start_ms": newest,
        "newest_start": newest.map(instant),
    })
}

pub(super) fn words(backup: &Backup) -> String {
    let Backup { store, bytes, sagas, open, newest } = backup;
    let newest = newest.map_or_else(String::new, |newest| {
        format!(", the newest started at {} ({} in Unix milliseconds)", instant(newest.0), newest.0)
    });
    format!("the store {store}, {bytes} bytes; {sagas} sagas, {open} of them unfinished{newest}.")
}

fn instant(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| "-".to_owned(), |at| at.to_string())
}
