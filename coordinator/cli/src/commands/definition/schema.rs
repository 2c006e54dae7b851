//! `amends definition schema`: the language as a JSON Schema, for editors.
//!
//! Prints what is built in; connects to nobody.

use clap::Args;

use crate::exit::Failure;
use crate::output::write_bytes;

/// The flags of `definition schema`.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Of files of scenarios, instead of definitions
    #[arg(long)]
    scenarios: bool,
}

impl Schema {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let schema = match self.scenarios {
            true => amends_definition::schema::SCENARIOS,
            false => amends_definition::schema::DEFINITION,
        };
        write_bytes(schema.as_bytes())
    }
}
