//! `amends definition diff`: what a version or a file does differently, whom it leaves behind, and the texts side by side.
//!
//! Compares on this machine, with the crate that the coordinator compiles with; the coordinator only gives the texts and the
//! numbers of open sagas. It changes nothing.

use std::path::Path;

use amends_definition::{Difference, Format, Repin};
use amends_proto::v1::{Definition, DefinitionVersion, GetDefinitionRequest, SourceFormat};
use clap::Args;
use serde_json::{Value, json};

use super::{is_json, versions};
use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::input::read_text;
use crate::output::{Tone, cell, heading, table};

/// The flags of `definition diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A definition's name; or a file, to compare it with what is registered
    #[arg(value_name = "NAME|FILE")]
    what: String,
    /// With a file: the registered definition, instead of the one that the file names
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The version to compare from: the one before `--to`, or with a file the newest
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    from: Option<u32>,
    /// The version to compare to, instead of the newest
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    to: Option<u32>,
}

/// One of the two texts.
struct Side {
    label: String,
    source: String,
    format: Format,
}

impl Diff {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let file = self.name.is_some() || looks_like_file(&self.what);
        if file && self.to.is_some() {
            return Err(Failure::Usage("a file is what is compared to: leave --to out".to_owned()));
        }
        let (name, new) = if file {
            let side = of_file(Path::new(&self.what))?;
            (self.name.map_or_else(|| name_in(&side), Ok)?, Some(side))
        } else {
            (self.what, None)
        };
        let all = versions::fetch(common, &name).await?;
        let newest = all.iter().map(number).max().unwrap_or_default();
        let to = self.to.unwrap_or(newest);
        let from = self.from.unwrap_or(if new.is_some() { newest } else { to.saturating_sub(1) });
        if from == 0 {
            return Err(Failure::Usage(format!("version {to} of {name} is the first: there is nothing before it")));
        }
        let old = registered(common, &name, from).await?;
        let behind: Vec<&DefinitionVersion> =
            all.iter().filter(|version| new.is_some() || number(version) < to).collect();
        let new = match new {
            Some(side) => side,
            None => registered(common, &name, to).await?,
        };
        let differences = amends_definition::diff((&old.source, old.format), (&new.source, new.format));
        let differences = differences.map_err(|findings| {
            let first = findings.first().map(ToString::to_string).unwrap_or_default();
            Failure::Findings(format!("they can't be compared: {first}"))
        })?;
        let texts = unified(&old, &new);
        common.output.print(
            || Ok(to_json(&name, &old, &new, &differences, &behind, &texts)),
            || text(&name, (&old, &new), &differences, &behind, &texts),
        )
    }
}

fn looks_like_file(text: &str) -> bool {
    let extension = Path::new(text).extension().and_then(|extension| extension.to_str());
    text.contains('/') || matches!(extension, Some("yaml" | "yml" | "json"))
}

fn of_file(path: &Path) -> Result<Side, Failure> {
    let format = if is_json(path) { Format::Json } else { Format::Yaml };
    Ok(Side { label: path.display().to_string(), source: read_text(path)?, format })
}

/// The name that the file gives its definition.
fn name_in(side: &Side) -> Result<String, Failure> {
    match amends_definition::parse(&side.source, side.format, &side.label) {
        Ok(document) => Ok(document.name().to_string()),
        Err(findings) => {
            findings.iter().for_each(|finding| eprintln!("{finding}"));
            super::fail_on(findings.len(), &side.label).map(|()| String::new())
        }
    }
}

async fn registered(common: &Common, name: &str, version: u32) -> Result<Side, Failure> {
    let message = GetDefinitionRequest { namespace: common.namespace.clone(), name: name.to_owned(), version };
    let mut client = Connection::open(&common.address).await?.definitions();
    let definition: Definition = client.get(request(message)).await?.into_inner();
    let format = if definition.format() == SourceFormat::Json { Format::Json } else { Format::Yaml };
    Ok(Side { label: format!("{name} version {version}"), source: definition.source, format })
}

fn number(version: &DefinitionVersion) -> u32 {
    version.definition.as_ref().map_or(0, |definition| definition.version)
}

fn text(
    name: &str,
    (old, new): (&Side, &Side),
    differences: &[Difference],
    behind: &[&DefinitionVersion],
    texts: &str,
) -> String {
    let mut text = heading(&format!("{} → {}", old.label, new.label)) + "\n";
    if differences.is_empty() {
        text += "They do the same.\n";
    } else {
        let rows = differences.iter().map(|one| {
            let tone = if one.repin == Repin::Any { Tone::Plain } else { Tone::Notable };
            vec![
                cell(one.step.as_deref().unwrap_or("-"), Tone::Plain),
                cell(&one.change, Tone::Plain),
                cell(one.repin.to_string(), tone),
            ]
        });
        text += &table(&["STEP", "CHANGE", "AN OPEN SAGA COULD BE REPINNED"], rows);
    }
    text += &format!("\n{}\n", heading("Open sagas that stay behind"));
    let open: Vec<_> = behind.iter().map(|version| (number(version), versions::open_and_stuck(version))).collect();
    let open: Vec<_> = open.into_iter().filter(|(_, (open, _))| *open > 0).collect();
    if open.is_empty() {
        text += &format!("None of {name}.\n");
    } else {
        let rows = open.iter().map(|(number, (open, stuck))| {
            [number.to_string(), open.to_string(), stuck.to_string()].map(|text| cell(text, Tone::Plain)).to_vec()
        });
        text += &table(&["VERSION", "OPEN", "STUCK"], rows);
    }
    if !texts.is_empty() {
        text += &format!("\n{}\n{texts}", heading("Text"));
    }
    text
}

/// Empty where the texts are the same.
fn unified(old: &Side, new: &Side) -> String {
    let diff = similar::TextDiff::from_lines(&old.source, &new.source);
    diff.unified_diff().context_radius(3).header(&old.label, &new.label).to_string()
}

fn to_json(
    name: &str,
    old: &Side,
    new: &Side,
    differences: &[Difference],
    behind: &[&DefinitionVersion],
    texts: &str,
) -> Value {
    let difference = |one: &Difference| {
        let steps = match &one.repin {
            Repin::Any => &[],
            Repin::NotAttempted(steps) => steps.as_slice(),
        };
        json!({ "step": one.step, "change": one.change, "notOnceAttempted": steps })
    };
    let version = |version: &&DefinitionVersion| {
        let (open, stuck) = versions::open_and_stuck(version);
        json!({ "version": number(version), "open": open, "stuck": stuck })
    };
    json!({
        "definition": name,
        "from": old.label,
        "to": new.label,
        "differences": differences.iter().map(difference).collect::<Vec<_>>(),
        "behind": behind.iter().map(version).collect::<Vec<_>>(),
        "text": texts,
    })
}
