//! `amends definition versions`, `deprecate` and `undeprecate`: which versions there are, who is on them, and which take new
//! sagas.
//!
//! There is no delete: sagas are pinned to their version. Invariant: whatever changes has a reason.

use amends_proto::v1::{
    DefinitionVersion, DeprecateDefinitionRequest, ListDefinitionVersionsRequest, ListDefinitionVersionsResponse,
    SagaStatus,
};
use clap::Args;

use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::output::{Tone, cell, table};
use crate::payload::to_json;
use crate::time::age;
use crate::words::or_dash;

/// The flags of `definition versions`.
#[derive(Debug, Args)]
pub(crate) struct Versions {
    /// The definition
    name: String,
}

impl Versions {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let all = ListDefinitionVersionsResponse { versions: fetch(common, &self.name).await?, ..Default::default() };
        common.output.print(|| to_json(&all), || rows(&all.versions))
    }
}

/// All versions of a definition, the newest first.
pub(super) async fn fetch(common: &Common, name: &str) -> Result<Vec<DefinitionVersion>, Failure> {
    let mut client = Connection::open(&common.address).await?.definitions();
    let mut message = ListDefinitionVersionsRequest {
        namespace: common.namespace.clone(),
        name: name.to_owned(),
        ..Default::default()
    };
    let mut all = Vec::new();
    loop {
        let page = client.list_versions(request(message.clone())).await?.into_inner();
        all.extend(page.versions);
        message.page_token = page.next_page_token;
        if message.page_token.is_empty() {
            return Ok(all);
        }
    }
}

/// How many open sagas a version has, and how many of them are stuck.
pub(super) fn open_and_stuck(version: &DefinitionVersion) -> (u64, u64) {
    let count = |wanted: fn(SagaStatus) -> bool| {
        version.open_sagas.iter().filter(|one| wanted(one.status())).map(|one| one.count).sum()
    };
    (count(|_| true), count(|status| status == SagaStatus::Stuck))
}

/// OPEN is the sum of what follows it.
fn rows(versions: &[DefinitionVersion]) -> String {
    let rows = versions.iter().map(|version| {
        let (open, stuck) = open_and_stuck(version);
        let of = |status: SagaStatus| {
            version.open_sagas.iter().filter(|one| one.status() == status).map(|one| one.count).sum::<u64>()
        };
        let definition = version.definition.clone().unwrap_or_default();
        let deprecation = definition.deprecation.as_ref();
        let since = deprecation.map(|it| format!("{} ago by {}: {}", age(it.time.as_ref()), it.principal, it.reason));
        vec![
            cell(definition.version.to_string(), Tone::Plain),
            cell(open.to_string(), Tone::Plain),
            cell(of(SagaStatus::Running).to_string(), Tone::Plain),
            cell(of(SagaStatus::Confirming).to_string(), Tone::Plain),
            cell(of(SagaStatus::Compensating).to_string(), Tone::Plain),
            cell(of(SagaStatus::Paused).to_string(), Tone::Plain),
            cell(stuck.to_string(), if stuck > 0 { Tone::Bad } else { Tone::Plain }),
            cell(age(definition.create_time.as_ref()), Tone::Plain),
            cell(or_dash(&definition.principal), Tone::Plain),
            cell(since.as_deref().unwrap_or("-"), if since.is_some() { Tone::Notable } else { Tone::Plain }),
        ]
    });
    let header =
        ["VERSION", "OPEN", "RUNNING", "CONFIRMING", "COMPENSATING", "PAUSED", "STUCK", "AGE", "BY", "DEPRECATED"];
    table(&header, rows)
}

/// The flags of `definition deprecate` and `undeprecate`.
#[derive(Debug, Args)]
pub(crate) struct Deprecate {
    /// The definition
    name: String,
    /// The version
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    version: u32,
    /// Why; recorded with your name and the time
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Deprecate {
    pub(super) async fn run(self, common: &Common, undo: bool) -> Result<(), Failure> {
        let message = DeprecateDefinitionRequest {
            namespace: common.namespace.clone(),
            name: self.name,
            version: self.version,
            reason: self.reason,
            undo,
        };
        let mut client = Connection::open(&common.address).await?.definitions();
        let definition = client.deprecate(request(message)).await?.into_inner();
        let what = if undo { "takes new sagas again" } else { "takes no new sagas; those that are on it run on" };
        eprintln!("amends: version {} of {} {what}", definition.version, definition.name);
        common.output.print(|| to_json(&definition), || super::rows(std::slice::from_ref(&definition)))
    }
}
