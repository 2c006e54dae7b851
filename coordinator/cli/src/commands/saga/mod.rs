//! `amends saga …`: start, find, watch and repair sagas.
//!
//! Where to look next: [`describe`] for what an operator reads first, [`repair`] for what overrides the machine,
//! [`attend`] for what looks after it.

mod attend;
mod cancel;
mod complete_step;
mod count;
mod describe;
pub(crate) mod filter;
mod history;
mod list;
mod repair;
mod row;
mod standing;
mod start;
mod watch;

use amends_proto::v1::Operation;
use clap::{Subcommand, ValueEnum};

use crate::args::Common;
use crate::exit::Failure;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum SagaCommand {
    /// Start a saga
    Start(start::Start),
    /// List sagas, the newest first
    List(list::List),
    /// Count sagas by what they are, exactly
    Count(count::Count),
    /// Tell why a saga is not moving, and all else about it
    Describe(describe::Describe),
    /// Follow a saga until it ends
    Watch(watch::Watch),
    /// Undo what a saga has done
    Cancel(cancel::Cancel),
    /// Give what is stuck fresh attempts, now
    Retry(repair::Retry),
    /// Go on without a stuck operation
    Skip(repair::Skip),
    /// Settle an unknown outcome by what you found out
    Resolve(repair::Resolve),
    /// End a saga where it stands, undoing nothing
    ForceStop(repair::ForceStop),
    /// Note that somebody looks after what is stuck
    Acknowledge(attend::Acknowledge),
    /// Go on by another version of the definition
    Repin(attend::Repin),
    /// Ask the participants what stands, and compare
    Reconcile(attend::Reconcile),
    /// Start nothing more until resumed
    Pause(repair::Pause),
    /// Go on with a paused saga
    Resume(repair::Resume),
    /// Tell what became of a pending operation
    CompleteStep(complete_step::CompleteStep),
}

impl SagaCommand {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        match self {
            Self::Start(command) => command.run(common).await,
            Self::List(command) => command.run(common).await,
            Self::Count(command) => command.run(common).await,
            Self::Describe(command) => command.run(common).await,
            Self::Watch(command) => command.run(common).await,
            Self::Cancel(command) => command.run(common).await,
            Self::Retry(command) => command.run(common).await,
            Self::Skip(command) => command.run(common).await,
            Self::Resolve(command) => command.run(common).await,
            Self::ForceStop(command) => command.run(common).await,
            Self::Acknowledge(command) => command.run(common).await,
            Self::Repin(command) => command.run(common).await,
            Self::Reconcile(command) => command.run(common).await,
            Self::Pause(command) => command.run(common).await,
            Self::Resume(command) => command.run(common).await,
            Self::CompleteStep(command) => command.run(common).await,
        }
    }
}

/// An operation that can be named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OperationArgument {
    Action,
    Compensate,
    Confirm,
}

/// Unspecified where none is named.
pub(crate) fn operation_value(argument: Option<OperationArgument>) -> i32 {
    let operation = match argument {
        None => Operation::Unspecified,
        Some(OperationArgument::Action) => Operation::Action,
        Some(OperationArgument::Compensate) => Operation::Compensate,
        Some(OperationArgument::Confirm) => Operation::Confirm,
    };
    operation.into()
}
