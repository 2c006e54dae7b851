//! `amends store restore`: an embedded store made from a backup.
//!
//! Starts nothing. Invariant: nobody restores without having read what the store won't know, and what it will do.

use std::path::PathBuf;

use amends_server::backup;
use clap::Args;

use super::backup::{shown, words};
use super::failed;
use crate::exit::Failure;
use crate::output::Format;

/// Makes an embedded store from a backup.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  amends store restore --data /var/lib/amends /backup/amends-2026-11-28.db")]
pub(crate) struct Restore {
    /// The folder of the store; it must not have one
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Restore {
    pub(crate) async fn run(self, output: Format) -> Result<(), Failure> {
        let backup = backup::restore(&self.file, &self.data).await.map_err(failed)?;
        let said = || {
            format!(
                "Restored to {}: {}\n\
                 It knows nothing of what was accepted or done after the backup. Before you serve from it:\n\
                 - the coordinator that had this store must be gone for good, wherever it ran;\n\
                 - unfinished sagas go on at once, and those whose time is over turn back;\n\
                 - sagas that were started later are to be started again, with their ids and inputs.\n\
                 How to find them: coordinator/docs/backup.md\n",
                self.data.display(),
                words(&backup)
            )
        };
        output.print(|| Ok(shown(&backup)), said)
    }
}
