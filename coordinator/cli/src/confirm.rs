//! Asks before a change that overrides the machine.
//!
//! Never asks where nobody can answer: without a terminal the command needs `--yes`. Invariant: what the user agreed to
//! is what happens, because the change is tied to the revision that was shown.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::OnceLock;

use crate::exit::Failure;

/// Which profile the command uses; once for the process.
static PROFILE: OnceLock<String> = OnceLock::new();

/// What is asked from now on says which coordinator it is about.
pub(crate) fn on_profile(name: String) {
    // There is one command in a process.
    let _ = PROFILE.set(name);
}

/// Shows what stands, asks, and waits for an answer; anything but `y` or `yes` is a no.
pub(crate) fn ask(standing: &str, question: &str) -> Result<(), Failure> {
    eprint!("{standing}");
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let mend = "Nobody can be asked here: give --yes if that is what you want.";
        return Err(Failure::Usage(format!("{question} {mend}")));
    }
    let place = PROFILE.get().map(|name| format!(" on {name}")).unwrap_or_default();
    eprint!("{question}\nGo on{place}? [y/N] ");
    std::io::stderr().flush().map_err(Failure::Process)?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(Failure::Process)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Declined),
    }
}
