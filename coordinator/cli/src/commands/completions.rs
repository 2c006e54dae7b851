//! `amends completions`: the completion script of a shell, on stdout.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Arguments;
use crate::exit::Failure;
use crate::output::write_bytes;

/// The flags of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "For example: amends completions bash > /etc/bash_completion.d/amends")]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "amends", &mut script);
        write_bytes(&script)
    }
}
