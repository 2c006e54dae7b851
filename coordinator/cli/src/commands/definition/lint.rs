//! `amends definition lint`: what can be found in definitions without asking anybody.
//!
//! Never connects: it works on a laptop and in a pipeline. With the participants' descriptors in files it finds what
//! registering would find; without them it says whose requests were not checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use amends_definition::{Document, Finding, ParticipantName, Severity};
use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use super::report::{Source, render};
use super::{fail_on, format_of};
use crate::args::Common;
use crate::exit::Failure;
use crate::input::{key_value, read_file, read_text};
use crate::output::Stream;

/// The flags of `definition lint`.
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// The definitions, YAML or JSON
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A participant's FileDescriptorSet, to check its requests and replies; may be repeated
    #[arg(long, value_name = "PARTICIPANT=FILE", value_parser = key_value)]
    descriptors: Vec<(String, String)>,
    /// Print SARIF 2.1.0, for code hosts and editors
    #[arg(long)]
    sarif: bool,
}

/// One file and what was found in it.
struct Checked {
    path: PathBuf,
    text: String,
    findings: Vec<Finding>,
}

impl Lint {
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let descriptors = self.descriptors()?;
        let (mut checked, mut called) = (Vec::new(), BTreeSet::new());
        for path in &self.files {
            let text = read_text(path)?;
            let (findings, document) = check(path, &text, &descriptors);
            called.extend(document.iter().flat_map(|document| document.calls().into_keys()));
            checked.push(Checked { path: path.clone(), text, findings });
            if document.is_none() {
                // Nobody knows whom it calls, so that no descriptors are too many.
                called.extend(descriptors.keys().cloned());
            }
        }
        if let Some(stranger) = descriptors.keys().find(|name| !called.contains(*name)) {
            return Err(Failure::Usage(format!("--descriptors {stranger}=…: no definition calls this participant")));
        }
        self.print(common, &checked)?;
        let unchecked: Vec<&str> =
            called.iter().filter(|name| !descriptors.contains_key(*name)).map(ParticipantName::as_str).collect();
        if !unchecked.is_empty() {
            let names = unchecked.join(", ");
            eprintln!("amends: not checked: requests to {names} — add `--descriptors PARTICIPANT=FILE`");
        }
        let errors = |checked: &Checked| checked.findings.iter().filter(|one| one.severity == Severity::Error).count();
        match checked.as_slice() {
            [one] => fail_on(errors(one), &one.path.display().to_string()),
            many => fail_on(many.iter().map(errors).sum(), &format!("{} files", many.len())),
        }
    }

    fn descriptors(&self) -> Result<BTreeMap<ParticipantName, Bytes>, Failure> {
        let mut sets = BTreeMap::new();
        for (participant, file) in &self.descriptors {
            let name = ParticipantName::parse(participant)
                .map_err(|_| Failure::Usage(format!("--descriptors: {participant:?} is no name for a participant")))?;
            if sets.insert(name, Bytes::from(read_file(file.as_ref())?)).is_some() {
                return Err(Failure::Usage(format!("--descriptors {participant}=… stands twice")));
            }
        }
        Ok(sets)
    }

    fn print(&self, common: &Common, checked: &[Checked]) -> Result<(), Failure> {
        if self.sarif {
            let all = checked.iter().flat_map(|one| &one.findings);
            let version = env!("CARGO_PKG_VERSION");
            return crate::output::Format::Json.print(|| Ok(amends_definition::sarif(version, all)), String::new);
        }
        let json = || checked.iter().flat_map(|one| &one.findings).map(to_json).collect::<Vec<_>>();
        let text = || {
            let rendered = checked.iter().flat_map(|one| {
                let source = Source { file: one.path.display().to_string(), text: &one.text };
                one.findings.iter().map(move |finding| render(&finding.into(), &source, Stream::Stdout))
            });
            rendered.collect::<Vec<_>>().join("\n")
        };
        common.output.print(|| Ok(json!({ "findings": json() })), text)?;
        for clean in checked.iter().filter(|one| one.findings.is_empty()) {
            eprintln!("amends: {}: nothing found", clean.path.display());
        }
        Ok(())
    }
}

fn check(path: &Path, text: &str, descriptors: &BTreeMap<ParticipantName, Bytes>) -> (Vec<Finding>, Option<Document>) {
    match amends_definition::parse(text, format_of(path), &path.display().to_string()) {
        Ok(document) => (amends_definition::check(&document, descriptors), Some(document)),
        Err(findings) => (findings, None),
    }
}

/// The fields and words of the API's `Finding`, and the file.
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
        "file": *finding.file,
        "line": finding.line,
        "column": finding.column,
        "step": finding.step.as_deref().unwrap_or_default(),
    })
}
