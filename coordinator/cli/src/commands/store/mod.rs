//! `amends store …`: what can be done with a store while no coordinator uses it.
//!
//! The only commands beside `serve` and `doctor` that open a store themselves. Invariant: a store that a coordinator has is
//! left alone.

mod copy;
mod reopen;

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
}

impl StoreCommand {
    pub(crate) async fn run(self, output: Format) -> Result<(), Failure> {
        match self {
            Self::Copy(command) => command.run(output).await,
            Self::Reopen(command) => command.run().await,
        }
    }
}

fn failed(error: amends_server::Error) -> Failure {
    Failure::Findings(amends_server::chain(&error))
}
