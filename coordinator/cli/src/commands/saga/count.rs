//! `amends saga count`: how many sagas match, by what they are, with the total.

use amends_proto::v1::{CountSagasResponse, SagaCount};
use clap::Args;
use comfy_table::Cell;

use super::filter::FilterFlags;
use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::output::{Tone, cell, table};
use crate::payload::to_json;
use crate::words;

const HEADER: [&str; 5] = ["DEFINITION", "STATUS", "REASON", "PARTICIPANT", "COUNT"];

/// The flags of `saga count`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  amends saga count
  amends saga count --status stuck --unacknowledged
  amends saga count --participant payment --older-than 1h -o json")]
pub(crate) struct Count {
    #[command(flatten)]
    filter: FilterFlags,
}

impl Count {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let mut client = Connection::open(&common.address).await?.sagas();
        let counted = client.count(request(self.filter.count(common))).await?.into_inner();
        common.output.print(|| to_json(&counted), || text(&counted))
    }
}

fn text(counted: &CountSagasResponse) -> String {
    let total = vec![
        cell("total", Tone::Plain),
        cell("", Tone::Plain),
        cell("", Tone::Plain),
        cell("", Tone::Plain),
        cell(counted.total.to_string(), Tone::Plain),
    ];
    table(&HEADER, counted.counts.iter().map(row).chain([total]))
}

fn row(counted: &SagaCount) -> Vec<Cell> {
    let SagaCount { definition, version, status, stuck_reason, participant, count } = counted;
    vec![
        cell(format!("{definition} v{version}"), Tone::Plain),
        cell(words::status(*status), Tone::Plain),
        cell(words::or_dash(&words::stuck_reason(*stuck_reason)), Tone::Plain),
        cell(words::or_dash(participant), Tone::Plain),
        cell(count.to_string(), Tone::Plain),
    ]
}
