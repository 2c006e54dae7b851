//! `amends batch …`: repair many sagas by a plan: plan, look, apply, watch.
//!
//! Invariant: nothing is changed without the id of a plan that the coordinator has made and, unless `--yes` is given, without a yes to
//! the exact number of sagas.

mod apply;
mod plan;
mod show;
mod watch;

use clap::Subcommand;

use crate::args::Common;
use crate::exit::Failure;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    /// Say exactly what would be done to which sagas; changes nothing
    Plan(plan::Plan),
    /// Carry out a plan, or go on with a stopped one
    Apply(apply::Apply),
    /// Follow a batch until it is done or stopped
    Watch(watch::Watch),
    /// Make a running batch slower or faster
    Rate(apply::Rate),
    /// Stop a batch where it stands, or throw a plan away
    Stop(apply::Stop),
    /// List plans and batches, the newest first
    List(show::List),
    /// Show a plan or batch, with its calls and its first sagas
    Describe(show::Describe),
    /// List what became of each saga, and why some were left alone
    Items(show::Items),
}

impl BatchCommand {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        match self {
            Self::Plan(command) => command.run(common).await,
            Self::Apply(command) => command.run(common).await,
            Self::Watch(command) => command.run(common).await,
            Self::Rate(command) => command.run(common).await,
            Self::Stop(command) => command.run(common).await,
            Self::List(command) => command.run(common).await,
            Self::Describe(command) => command.run(common).await,
            Self::Items(command) => command.run(common).await,
        }
    }
}
