//! Asks before a change that overrides the machine.
//!
//! Never asks where nobody can answer: without a terminal the command needs `--yes`. Invariant: what the user agreed to
//! is what happens, because the change is tied to the revision that was shown.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::exit::Failure;

/// Shows what stands, asks, and waits for an answer; anything but `y` or `yes` is a no.
pub(crate) fn ask(standing: &str, question: &str) -> Result<(), Failure> {
    eprint!("{standing}");
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let mend = "Nobody can be asked here: give --yes if that is what you want.";
        return Err(Failure::Usage(format!("{question} {mend}")));
    }
    eprint!("{question}\nGo on? [y/N] ");
    std::io::stderr().flush().map_err(Failure::Process)?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(Failure::Process)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Declined),
    }
}
