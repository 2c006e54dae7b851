//! `amends store …`: what can be done with a store from outside.
//!
//! The only commands beside `serve` and `doctor` that open a store themselves. Invariant: a store that a coordinator has is
//! left alone; a backup only reads it.

mod backup;
mod copy;
mod reopen;
mod restore;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Format;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Copy an embedded store to Redis, compare the two, and mark the source as moved
    Copy(copy::Copy),
    /// Take back the mark that an embedded store was moved
    Reopen(reopen::Reopen),
    /// Write an embedded store to one file, while a coordinator uses it or not
    Backup(backup::BackUp),
    /// Make an embedded store from such a file
    Restore(restore::Restore),
}

impl StoreCommand {
    pub(crate) async fn run(self, output: Format) -> Result<(), Failure> {
        match self {
            Self::Copy(command) => command.run(output).await,
            Self::Reopen(command) => command.run().await,
            Self::Backup(command) => command.run(output).await,
            Self::Restore(command) => command.run(output).await,
        }
    }
}

fn failed(error: amends_server::Error) -> Failure {
    Failure::Findings(amends_server::chain(&error))
}
