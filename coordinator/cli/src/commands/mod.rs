//! The commands, a file per verb or, while they are small, per noun.
//!
//! Never shares state between commands: each opens what it needs and ends. Where to look next: `args.rs` for the tree,
//! [`saga`] for the largest noun.

pub(crate) mod alert;
pub(crate) mod audit;
pub(crate) mod batch;
pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod definition;
#[cfg(feature = "server")]
pub(crate) mod doctor;
pub(crate) mod participant;
pub(crate) mod profile;
pub(crate) mod saga;
#[cfg(feature = "server")]
pub(crate) mod serve;
#[cfg(feature = "server")]
pub(crate) mod simulate;
#[cfg(feature = "server")]
pub(crate) mod store;
#[cfg(feature = "server")]
pub(crate) mod token;

use std::future::Future;

use crate::args::{Arguments, Command};
use crate::exit::Failure;

/// Runs what the command line asks for.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut common = arguments.common;
    // A profile names credentials and uses none.
    if !matches!(arguments.command, Command::Profile(_)) {
        std::mem::take(&mut common.credentials).use_for_all()?;
    }
    common.address = common.address.with_tls(common.tls.clone());
    match arguments.command {
        Command::Saga(command) => as_client(command.run(&common)),
        Command::Batch(command) => as_client(command.run(&common)),
        Command::Definition(command) => command.run(&common),
        Command::Participant(command) => as_client(command.run(&common)),
        Command::Cluster(command) => as_client(command.run(&common)),
        Command::Alert(command) => as_client(command.run(&common)),
        Command::Audit(command) => as_client(command.run(&common)),
        #[cfg(feature = "server")]
        Command::Token(command) => command.run(common.output),
        Command::Profile(command) => command.run(&common),
        Command::Completions(command) => command.run(),
        #[cfg(feature = "server")]
        Command::Serve(command) => as_server(command.run()),
        #[cfg(feature = "server")]
        Command::Doctor(command) => as_server(command.run(common.output)),
        #[cfg(feature = "server")]
        Command::Simulate(command) => command.run(common.output),
        #[cfg(feature = "server")]
        Command::Store(command) => as_server(command.run(common.output)),
        #[cfg(feature = "server")]
        Command::Demo(command) => as_server(command.run(common.output)),
        #[cfg(feature = "server")]
        Command::Bench(command) => as_server(command.run(common.output)),
    }
}

/// A client makes one call after the other: one thread is enough, and starts quicker than many.
fn as_client(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Process)?;
    runtime.block_on(command)
}

/// Whoever serves or makes load wants all cores.
#[cfg(feature = "server")]
fn as_server(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Process)?;
    runtime.block_on(command)
}
