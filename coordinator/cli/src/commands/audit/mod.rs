//! `amends audit …`: who did what and why; taking the log away, and checking what was taken away.
//!
//! Listing and exporting ask the coordinator; verifying asks nobody, so that it proves something to whoever doesn't trust the
//! coordinator. Invariant: an entry is shown as it was written, and a chain that is broken is never reported as whole.

mod chain;
mod export;
mod list;
mod verify;

use clap::Subcommand;

use crate::args::Common;
use crate::exit::Failure;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List who did, or tried to do, what and why, newest first
    List(list::List),
    /// Write the whole log, of all shards and tenants, to a file that can be verified
    Export(export::Export),
    /// Check an exported file, without a coordinator: is an entry missing, changed or made up?
    Verify(verify::Verify),
}

impl AuditCommand {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run(common).await,
            Self::Export(command) => command.run(common).await,
            Self::Verify(command) => command.run(common),
        }
    }
}
