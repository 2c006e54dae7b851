//! The command line as a whole: what every command understands, and the tree of commands.
//!
//! Never reads a file or calls anybody. Invariant: a flag has one meaning in the whole tree; the commands add only what
//! belongs to them.

use clap::{Args, Parser, Subcommand};

use crate::commands::alert::AlertCommand;
use crate::commands::audit::AuditCommand;
use crate::commands::batch::BatchCommand;
use crate::commands::cluster::ClusterCommand;
use crate::commands::completions::Completions;
use crate::commands::definition::DefinitionCommand;
use crate::commands::participant::ParticipantCommand;
use crate::commands::profile::ProfileCommand;
use crate::commands::saga::SagaCommand;
use crate::connect::{Address, Credentials, TlsFlags};
use crate::output::Format;

/// Runs sagas and TCC transactions across gRPC services, and makes amends when one of them fails.
#[derive(Debug, Parser)]
#[command(name = "amends", version, max_term_width = 100, after_help = crate::exit::HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command that talks to a coordinator needs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Common {
    /// Which coordinator, by the name that `amends profile set` gave it; other options given win
    #[arg(long, global = true, env = "AMENDS_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Where the coordinator answers gRPC
    #[arg(long, global = true, env = "AMENDS_ADDRESS", default_value = "http://127.0.0.1:7400", value_name = "URL")]
    pub(crate) address: Address,
    /// The tenant
    #[arg(long, short, global = true, default_value = "default", value_name = "NAME")]
    pub(crate) namespace: String,
    /// How to print answers
    #[arg(long, short, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) credentials: Credentials,
    /// For https://
    #[command(flatten)]
    pub(crate) tls: TlsFlags,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start, find, watch and repair sagas
    #[command(subcommand)]
    Saga(SagaCommand),
    /// Repair many sagas by a plan
    #[command(subcommand)]
    Batch(BatchCommand),
    /// Check and register definitions
    #[command(subcommand)]
    Definition(DefinitionCommand),
    /// Register the services that carry out steps
    #[command(subcommand)]
    Participant(ParticipantCommand),
    /// Look at the nodes that share the store and their shards
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// See how the webhooks do that are told what happens, and test them
    #[command(subcommand)]
    Alert(AlertCommand),
    /// See who did what and why, export it, and verify an export
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Put a definition through faults, and say what would become of its sagas and their effects
    #[cfg(feature = "server")]
    Simulate(crate::commands::simulate::Simulate),
    /// Move a store while no coordinator uses it
    #[cfg(feature = "server")]
    #[command(subcommand)]
    Store(crate::commands::store::StoreCommand),
    /// Make tokens for those who call the coordinator
    #[cfg(feature = "server")]
    #[command(subcommand)]
    Token(crate::commands::token::TokenCommand),
    /// Keep names for coordinators, so that no command needs an address
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Run the coordinator
    #[cfg(feature = "server")]
    Serve(crate::commands::serve::Serve),
    /// Examine the store: is it safe, and what could be lost?
    #[cfg(feature = "server")]
    Doctor(crate::commands::doctor::Doctor),
    /// Run the whole system on this machine and show what it does
    #[cfg(feature = "server")]
    Demo(crate::demo::Demo),
    /// Measure sagas per second beside a floor in the same run
    #[cfg(feature = "server")]
    Bench(crate::bench::Bench),
}

/// What a command that changes a saga needs besides the saga.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Act only if the saga is still at this revision
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    pub(crate) expected_revision: u64,
}
