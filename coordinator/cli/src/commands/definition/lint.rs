//! `amends definition lint`: what can be found in a definition without asking anybody.
//!
//! Never connects: it works on a laptop and in a pipeline. What needs the participants' descriptors is found by
//! `amends definition register --dry-run`.

use std::path::{Path, PathBuf};

use amends_definition::{Finding, Format, Severity};
use clap::Args;
use serde_json::{Value, json};

use super::{fail_on, is_json};
use crate::args::Common;
use crate::exit::Failure;
use crate::input::read_text;

/// The flags of `definition lint`.
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// The definition, YAML or JSON
    file: PathBuf,
}

impl Lint {
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let findings = lint(&self.file)?;
        let text = || findings.iter().map(|finding| format!("{finding}\n")).collect();
        common.output.print(|| Ok(json!({ "findings": findings.iter().map(to_json).collect::<Vec<_>>() })), text)?;
        if findings.is_empty() {
            eprintln!("amends: {}: nothing found", self.file.display());
        }
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        fail_on(errors, &self.file)
    }
}

fn lint(file: &Path) -> Result<Vec<Finding>, Failure> {
    let source = read_text(file)?;
    let format = if is_json(file) { Format::Json } else { Format::Yaml };
    match amends_definition::parse(&source, format, &file.display().to_string()) {
        Ok(document) => Ok(amends_definition::lint(&document)),
        Err(findings) => Ok(findings),
    }
}

/// The fields and words of the API's `Finding`.
fn to_json(finding: &Finding) -> Value {
    let severity = match finding.severity {
        Severity::Error => "SEVERITY_ERROR",
        Severity::Warning => "SEVERITY_WARNING",
    };
    json!({
        "severity": severity,
        "rule": finding.rule,
        "message": finding.message,
        "help": finding.mend,
        "line": finding.line,
        "column": finding.column,
        "step": finding.step.as_deref().unwrap_or_default(),
    })
}
