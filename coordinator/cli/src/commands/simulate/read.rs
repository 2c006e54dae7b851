//! What a simulation needs of a team's files: the definition as it would be registered, inputs, and what successes answer.
//!
//! It runs nothing. Invariant: what it gives compiles, and every input is one that the definition takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use amends_definition::scenario::Scenarios;
use amends_definition::{Body, Compiled, FIRST_VERSION, Format, parse, parse_scenarios, read_json, stand_in};
use amends_simulation::Subject;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::commands::definition::format_of;
use crate::commands::definition::test::{scenarios_of, shown};
use crate::exit::Failure;
use crate::input::{read_file, read_text};

/// What was given to be simulated.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) subject: Subject,
    pub(super) compiled: Compiled,
    has_scenarios: bool,
}

impl Given {
    /// What to do where a saga doesn't complete by itself.
    pub(super) fn mend(&self, file: &Path) -> String {
        let beside = scenarios_of(file).display().to_string();
        if self.has_scenarios {
            return format!(
                "`amends definition test {beside}` shows what happens; a success answers what is written first there"
            );
        }
        format!("its calls are answered by empty replies: write what they answer, and inputs, into {beside}")
    }
}

/// Reads it all.
pub(super) fn given(file: &Path, inputs: &[PathBuf], descriptors: &[(String, String)]) -> Result<Given, Failure> {
    let (name, source, format) = (file.display().to_string(), read_text(file)?, format_of(file));
    if matches!(format, Format::Yaml) && is_scenarios(&source) {
        let message = format!("{name}: these are scenarios: name the definition that they are about");
        return Err(Failure::Usage(message));
    }
    let document = shown(parse(&source, format, &name), file)?;
    let mut sets = BTreeMap::new();
    for participant in document.calls().into_keys() {
        let of_it = descriptors.iter().find(|(name, _)| *name == participant.as_str());
        if let Some((_, path)) = of_it {
            sets.insert(participant, Bytes::from(read_file(path.as_ref())?));
        }
    }
    let called = || document.calls().into_keys().map(|it| it.to_string()).collect::<Vec<_>>();
    if let Some((stranger, _)) = descriptors.iter().find(|(name, _)| !called().contains(name)) {
        let called = called().join(", ");
        let message = format!("--descriptors {stranger}=…: nobody calls it by gRPC; called are {called}");
        return Err(Failure::Usage(message));
    }
    stand_in(&document, &mut sets);
    let body = Body::new(&source, format, &document, &sets);
    let body = body.map_err(|error| Failure::Findings(format!("{name}: {error}")))?;
    let compiled = shown(body.compile(FIRST_VERSION), file)?;
    let scenarios = scenarios(file, &compiled)?;
    let replies = scenarios.as_ref().map(|it| it.successes(&compiled)).unwrap_or_default();
    let inputs = match inputs {
        [] => startable(file, scenarios.as_ref(), &compiled)?,
        files => read_inputs(files, &compiled)?,
    };
    let has_scenarios = scenarios.is_some();
    let subject = Subject { body, inputs, replies };
    Ok(Given { subject, compiled, has_scenarios })
}

/// A file of scenarios begins with the definition that it tests.
fn is_scenarios(source: &str) -> bool {
    source.lines().any(|line| line.starts_with("scenarios:"))
}

fn scenarios(file: &Path, compiled: &Compiled) -> Result<Option<Scenarios>, Failure> {
    let path = scenarios_of(file);
    if path == file || !path.exists() {
        return Ok(None);
    }
    let name = path.display().to_string();
    let scenarios = shown(parse_scenarios(&read_text(&path)?, format_of(&path), &name), &path)?;
    shown(scenarios.bind(compiled), &path).map(Some)
}

/// What was given by hand; every one must be right.
fn read_inputs(files: &[PathBuf], compiled: &Compiled) -> Result<Vec<Value>, Failure> {
    let read = |path: &PathBuf| {
        let bad = |why: String| Failure::Usage(format!("{}: a saga can't be started: {why}", path.display()));
        let value = read_json(&read_file(path)?).map_err(|error| bad(error.to_string()))?;
        refused(compiled, &value).map_or(Ok(value), |why| Err(bad(why)))
    };
    files.iter().map(read).collect()
}

/// Inputs of scenarios that a saga can be started with; or nothing at all, if that will do. Some scenarios are there because a
/// saga can't be started with theirs.
fn startable(file: &Path, scenarios: Option<&Scenarios>, compiled: &Compiled) -> Result<Vec<Value>, Failure> {
    let all = scenarios.map_or_else(|| vec![json!({})], Scenarios::inputs);
    let why = all.iter().find_map(|input| refused(compiled, input));
    let good: Vec<Value> = all.into_iter().filter(|input| refused(compiled, input).is_none()).collect();
    match why {
        Some(why) if good.is_empty() => Err(Failure::Usage(format!(
            "{}: a saga can't be started: {why}\n  give `--input FILE`, or write scenarios with an `input` into {}",
            file.display(),
            scenarios_of(file).display(),
        ))),
        _ => Ok(good),
    }
}

fn refused(compiled: &Compiled, input: &Value) -> Option<String> {
    let input = match compiled.check_input(input.to_string().as_bytes()) {
        Ok(input) => input,
        Err(error) => return Some(error.to_string()),
    };
    compiled.labels(&input).err().map(|error| error.to_string())
}
