//! `amends definition …`: check and register definitions, and look at them.
//!
//! Never judges a definition itself: `lint` shows what `amends-definition` finds without the participants, `register`
//! what the coordinator finds with them.

mod diff;
mod explain;
mod lint;
mod pausing;
mod register;
mod report;
mod schema;
pub(crate) mod test;
mod versions;

use std::path::Path;

use amends_proto::v1::{Definition, GetDefinitionRequest, ListDefinitionsRequest, ListDefinitionsResponse};
use clap::{Args, Subcommand};

use super::as_client;
use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::output::{Tone, cell, table};
use crate::payload::to_json;
use crate::time::age;
use crate::words::or_dash;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum DefinitionCommand {
    /// Check definitions without a coordinator
    Lint(lint::Lint),
    /// Say what a rule of the lint means, with a broken and a mended example
    Explain(explain::Explain),
    /// Run the scenarios that are written beside a definition, without a coordinator and participants
    Test(test::Test),
    /// Print the JSON Schema of the language, for editors
    Schema(schema::Schema),
    /// Register a definition; the same content gives the same version
    Register(register::Register),
    /// List definitions in their newest version
    List,
    /// Print the source of a definition
    Show(Show),
    /// List all versions of a definition with their open sagas
    Versions(versions::Versions),
    /// Show what a version or a file changes, and which open sagas stay behind
    Diff(diff::Diff),
    /// Let a version take no new sagas; those that are on it run on
    Deprecate(versions::Deprecate),
    /// Let a deprecated version take new sagas again
    Undeprecate(versions::Deprecate),
    /// Hold back all sagas of a definition
    Pause(pausing::Pausing),
    /// Let the sagas of a paused definition go on
    Resume(pausing::Pausing),
}

impl DefinitionCommand {
    pub(crate) fn run(self, common: &Common) -> Result<(), Failure> {
        match self {
            Self::Lint(command) => command.run(common),
            Self::Explain(command) => command.run(common),
            Self::Test(command) => command.run(common),
            Self::Schema(command) => command.run(),
            Self::Register(command) => as_client(command.run(common)),
            Self::List => as_client(list(common)),
            Self::Show(command) => as_client(command.run(common)),
            Self::Versions(command) => as_client(command.run(common)),
            Self::Diff(command) => as_client(command.run(common)),
            Self::Deprecate(command) => as_client(command.run(common, false)),
            Self::Undeprecate(command) => as_client(command.run(common, true)),
            Self::Pause(command) => as_client(command.pause(common)),
            Self::Resume(command) => as_client(command.resume(common)),
        }
    }
}

async fn list(common: &Common) -> Result<(), Failure> {
    let mut client = Connection::open(&common.address).await?.definitions();
    let mut message = ListDefinitionsRequest { namespace: common.namespace.clone(), ..Default::default() };
    let mut all = ListDefinitionsResponse::default();
    loop {
        let page = client.list(request(message.clone())).await?.into_inner();
        all.definitions.extend(page.definitions);
        message.page_token = page.next_page_token;
        if message.page_token.is_empty() {
            break;
        }
    }
    common.output.print(|| to_json(&all), || rows(&all.definitions))
}

fn rows(definitions: &[Definition]) -> String {
    let rows = definitions.iter().map(|definition| {
        let short_digest: String = definition.digest.chars().take(12).collect();
        vec![
            match definition.paused {
                Some(_) => cell(format!("{} (paused)", definition.name), Tone::Notable),
                None => cell(&definition.name, Tone::Plain),
            },
            match definition.deprecation {
                Some(_) => cell(format!("{} (deprecated)", definition.version), Tone::Notable),
                None => cell(definition.version.to_string(), Tone::Plain),
            },
            cell(definition.steps.len().to_string(), Tone::Plain),
            cell(or_dash(&definition.participants.join(",")), Tone::Plain),
            cell(short_digest, Tone::Plain),
            cell(age(definition.create_time.as_ref()), Tone::Plain),
        ]
    });
    table(&["NAME", "VERSION", "STEPS", "PARTICIPANTS", "DIGEST", "AGE"], rows)
}

/// The flags of `definition show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The definition
    name: String,
    /// This version instead of the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    version: u32,
}

impl Show {
    /// The source goes to stdout as it was registered, so that it can be redirected into a file.
    async fn run(self, common: &Common) -> Result<(), Failure> {
        let message =
            GetDefinitionRequest { namespace: common.namespace.clone(), name: self.name, version: self.version };
        let mut client = Connection::open(&common.address).await?.definitions();
        let definition = client.get(request(message)).await?.into_inner();
        eprintln!("amends: {} version {}, digest {}", definition.name, definition.version, definition.digest);
        if let Some(why) = &definition.deprecation {
            eprintln!("amends: deprecated by {}: {}", why.principal, why.reason);
        }
        if let Some(why) = &definition.paused {
            eprintln!("amends: paused by {}: {}", why.principal, why.reason);
        }
        common.output.print(|| to_json(&definition), || definition.source.clone())
    }
}

/// JSON is YAML too, but a mistake in it is better explained by a JSON reader.
fn is_json(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "json")
}

pub(crate) fn format_of(file: &Path) -> amends_definition::Format {
    if is_json(file) { amends_definition::Format::Json } else { amends_definition::Format::Yaml }
}

/// Errors among the findings are a failure of the command; warnings are not.
fn fail_on(errors: usize, what: &str) -> Result<(), Failure> {
    match errors {
        0 => Ok(()),
        1 => Err(Failure::Findings(format!("{what}: 1 error"))),
        errors => Err(Failure::Findings(format!("{what}: {errors} errors"))),
    }
}
