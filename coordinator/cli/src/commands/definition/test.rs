//! `amends definition test`: runs scenarios on the engine, without a coordinator, participants or a network.
//!
//! Never connects and never waits: time is counted. A scenarios file names its definition; given a definition, the file beside
//! it is taken (`checkout.saga.yaml` → `checkout.scenarios.yaml`). Invariant: exit code 0 means that every scenario passed.

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use amends_definition::scenario::{Report, Scenarios};
use amends_definition::{Compiled, Finding, parse, parse_scenarios, stand_in};
use bytes::Bytes;
use clap::Args;
use serde_json::json;

use super::{fail_on, format_of};
use crate::args::Common;
use crate::exit::Failure;
use crate::input::{key_value, read_file, read_text};

/// The flags of `definition test`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Files of scenarios, or definitions that have one beside them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A participant's FileDescriptorSet, to check requests and replies against; may be repeated
    #[arg(long, value_name = "PARTICIPANT=FILE", value_parser = key_value)]
    descriptors: Vec<(String, String)>,
    /// Show what happened in every scenario, not only in those that failed
    #[arg(long)]
    timeline: bool,
    /// Write a JUnit report too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// What came of one file.
struct Tested {
    file: PathBuf,
    reports: Vec<Report>,
}

impl Test {
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let begun = Instant::now();
        let (mut all, mut called) = (Vec::new(), BTreeSet::new());
        for file in &self.files {
            let scenarios = scenarios_of(file);
            if scenarios != *file && !scenarios.exists() {
                let (scenarios, file) = (scenarios.display(), file.display());
                let message = format!("{scenarios}: no such file: the scenarios of {file} belong there, beside it");
                return Err(Failure::Usage(message));
            }
            all.push(self.file(&scenarios, &mut called)?);
        }
        self.refuse_strangers(&called)?;
        let took = begun.elapsed();
        let (count, failed) = (report::count(&all, |_| true), report::count(&all, |report| !report.passed()));
        common.output.print(
            || Ok(json!({ "files": all.iter().map(report::to_json).collect::<Vec<_>>(), "failed": failed })),
            || report::text(&all, self.timeline),
        )?;
        if let Some(path) = &self.junit {
            let written = std::fs::write(path, report::junit(&all));
            written.map_err(|source| Failure::File { path: path.clone(), source })?;
        }
        eprintln!(
            "amends: {}, {} passed, {failed} failed, in {:.1} ms",
            scenarios(count),
            count - failed,
            took.as_secs_f64() * 1000.0
        );
        match failed {
            0 => Ok(()),
            failed => Err(Failure::Findings(format!("{failed} of {} failed", scenarios(count)))),
        }
    }

    /// Descriptors that no definition needs are a typing mistake, and would leave something unchecked.
    fn refuse_strangers(&self, called: &BTreeSet<String>) -> Result<(), Failure> {
        match self.descriptors.iter().find(|(name, _)| !called.contains(name)) {
            None => Ok(()),
            Some((stranger, _)) => {
                let called = Vec::from_iter(called.iter().map(String::as_str)).join(", ");
                Err(Failure::Usage(format!("--descriptors {stranger}=…: nobody calls it; called are {called}")))
            }
        }
    }

    fn file(&self, path: &Path, called: &mut BTreeSet<String>) -> Result<Tested, Failure> {
        let name = path.display().to_string();
        let scenarios = shown(parse_scenarios(&read_text(path)?, format_of(path), &name), path)?;
        let definition = path.parent().unwrap_or(Path::new("")).join(scenarios.definition());
        if !definition.exists() {
            let message = format!("{name}: `definition` names {}, and there is no such file", definition.display());
            return Err(Failure::Usage(message));
        }
        let compiled = self.compile(&definition)?;
        called.extend(compiled.participants().iter().map(ToString::to_string));
        let scenarios: Scenarios = shown(scenarios.bind(&compiled), path)?;
        Ok(Tested { file: path.to_owned(), reports: scenarios.run(&compiled).collect() })
    }

    fn compile(&self, path: &Path) -> Result<Compiled, Failure> {
        let document = shown(parse(&read_text(path)?, format_of(path), &path.display().to_string()), path)?;
        let mut descriptors = BTreeMap::new();
        for participant in document.calls().into_keys() {
            let given = self.descriptors.iter().find(|(name, _)| *name == participant.as_str());
            if let Some((_, file)) = given {
                descriptors.insert(participant, Bytes::from(read_file(file.as_ref())?));
            }
        }
        let unchecked = stand_in(&document, &mut descriptors);
        if !unchecked.is_empty() && !self.descriptors.is_empty() {
            let names: Vec<&str> = unchecked.iter().map(|name| name.as_str()).collect();
            eprintln!("amends: no descriptors of {}: their requests and replies aren't checked", names.join(", "));
        }
        // Which version it will be doesn't matter here.
        shown(Compiled::compile(&document, amends_definition::FIRST_VERSION, &descriptors), path)
    }
}

/// Findings go to stderr: what was asked for, results of scenarios, isn't there.
pub(crate) fn shown<T>(result: Result<T, Vec<Finding>>, path: &Path) -> Result<T, Failure> {
    result.map_err(|findings| {
        findings.iter().for_each(|finding| eprintln!("{finding}"));
        fail_on(findings.len(), &path.display().to_string())
            .err()
            .unwrap_or_else(|| Failure::Findings(path.display().to_string()))
    })
}

fn scenarios(count: usize) -> String {
    format!("{count} {}", if count == 1 { "scenario" } else { "scenarios" })
}

/// The file of scenarios that is meant.
pub(crate) fn scenarios_of(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name.strip_suffix(".saga.yaml").or_else(|| name.strip_suffix(".saga.json")) {
        Some(stem) => path.with_file_name(format!("{stem}.scenarios.yaml")),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_lie_beside_their_definition() {
        let beside = |path: &str| scenarios_of(Path::new(path)).display().to_string();
        assert_eq!(beside("a/checkout.saga.yaml"), "a/checkout.scenarios.yaml");
        assert_eq!(beside("a/checkout.scenarios.yaml"), "a/checkout.scenarios.yaml");
        assert_eq!(beside("refunds.yaml"), "refunds.yaml");
    }
}
