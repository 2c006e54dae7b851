//! `amends`: the life of the process, from the command line to the exit code.
//!
//! Never decides anything about sagas: every command is a call of the public API, so that whatever this program can do,
//! any client can. Invariant: data goes to stdout and everything else to stderr, so that output can be piped; the exit
//! codes are those of [`exit::Exit`] and nothing else.
//!
//! Where to look next: [`commands`] for the verbs, [`output`] for how answers are shown, `amends-proto` for the API.

mod args;
#[cfg(feature = "server")]
mod bench;
mod commands;
mod confirm;
mod connect;
#[cfg(feature = "server")]
mod demo;
mod exit;
mod hints;
mod input;
mod output;
mod payload;
mod profile;
#[cfg(feature = "server")]
mod redis_server;
mod time;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

/// What is allocated for a saga is mostly small, and mostly freed by another thread.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    amends_tls::install();
    let (command, profile) = match profile::applied(args::Arguments::command()) {
        Ok(applied) => applied,
        Err(failure) => return failed(&failure),
    };
    if let Some(profile) = profile {
        confirm::on_profile(profile);
    }
    let parsed = command.try_get_matches().and_then(|matches| args::Arguments::from_arg_matches(&matches));
    let arguments = parsed.unwrap_or_else(|error| {
        let given: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
        hints::with_tip(error, &args::Arguments::command(), &given).exit()
    });
    match commands::run(arguments) {
        Ok(()) => exit::Exit::Ok.into(),
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &exit::Failure) -> ExitCode {
    eprintln!("amends: {failure}");
    failure.exit().into()
}
