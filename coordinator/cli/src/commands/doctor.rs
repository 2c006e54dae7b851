//! `amends doctor`: is the store safe, and what could be lost?
//!
//! Reads the server's own settings and looks at the store itself, so it works while no coordinator runs. Changes nothing.
//! Invariant: it ends with 0 only when the coordinator would start on this store.

use std::path::PathBuf;

use amends_server::{Finding, Flags, Severity, config, doctor};
use clap::Args;
use owo_colors::{OwoColorize as _, Stream};
use serde_json::json;

use crate::exit::Failure;
use crate::output::Format;

/// Examines the store.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  amends doctor --store redis://amends:password@10.0.0.5\n  amends doctor --config amends.yaml"
)]
pub(crate) struct Doctor {
    /// The folder of the embedded store
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Which store: sqlite, or an address of Redis
    #[arg(long, value_name = "KIND|URL")]
    store: Option<String>,
    /// A file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Doctor {
    pub(crate) async fn run(self, output: Format) -> Result<(), Failure> {
        let flags = Flags { config: self.config, data: self.data, store: self.store, ..Flags::default() };
        let config = config::load(&flags).map_err(|error| Failure::Usage(error.to_string()))?;
        let findings = doctor::examine(&config).await;
        let findings = findings.map_err(|error| Failure::Findings(amends_server::chain(&error)))?;
        let list = |finding: &Finding| json!({ "verdict": word(finding), "message": finding.message });
        let shown = json!({ "findings": findings.iter().map(list).collect::<Vec<_>>() });
        output.print(|| Ok(shown), || findings.iter().map(line).collect())?;
        match findings.iter().filter(|finding| finding.severity == Severity::Error).count() {
            0 => Ok(()),
            1 => Err(Failure::Findings("one thing is refused: amends serve doesn't start on this store".to_owned())),
            many => {
                Err(Failure::Findings(format!("{many} things are refused: amends serve doesn't start on this store")))
            }
        }
    }
}

fn word(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::Info => "ok",
        Severity::Warning => "warn",
        Severity::Error => "refuse",
    }
}

fn line(finding: &Finding) -> String {
    let word = format!("{:<7}", word(finding));
    let shown = match finding.severity {
        Severity::Info => word.if_supports_color(Stream::Stdout, |word| word.green()).to_string(),
        Severity::Warning => word.if_supports_color(Stream::Stdout, |word| word.yellow()).to_string(),
        Severity::Error => word.if_supports_color(Stream::Stdout, |word| word.red()).to_string(),
    };
    format!("{shown} {}\n", finding.message)
}
