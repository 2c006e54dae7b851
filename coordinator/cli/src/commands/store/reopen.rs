//! `amends store reopen`: a copy was given up, and the store that it was made of is to be used again.
//!
//! Never looks at the copy, which may be gone. Invariant: nobody does it without having read what two live copies would do.

use std::path::PathBuf;

use amends_server::transfer::{self, Moved, Standing};
use clap::Args;

use super::failed;
use crate::confirm;
use crate::exit::Failure;
use crate::output::write_bytes;

/// Takes back the mark that a store was moved.
#[derive(Debug, Args)]
pub(crate) struct Reopen {
    /// The folder of the embedded store
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

impl Reopen {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let folder = self.data.display();
        let Moved { to, address } = match transfer::standing(&self.data).await.map_err(failed)? {
            Standing::Moved(moved) => moved,
            Standing::InUse => {
                return say(&format!("The store in {folder} has no such mark; it can be served from.\n"));
            }
            standing @ Standing::Filling(_) => {
                return Err(Failure::Findings(format!("the store in {folder}: {}", standing.explain())));
            }
        };
        if !self.yes {
            let standing = format!("The store in {folder} was moved to {address}, as the store {to}.\n");
            let question = "If anybody has served from there, its sagas have gone on, and serving from here as well does \
                            everything since the copy a second time: payments too.";
            confirm::ask(&standing, question)?;
        }
        transfer::reopen(&self.data).await.map_err(failed)?;
        say(&format!("The store in {folder} can be served from again. Never serve from {address} as it is now.\n"))
    }
}

fn say(text: &str) -> Result<(), Failure> {
    write_bytes(text.as_bytes())
}
