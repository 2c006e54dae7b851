//! `amends saga list`: the sagas that match, with the reason where one is stuck or waits.

use amends_proto::v1::Saga;
use clap::Args;
use serde_json::json;

use super::filter::FilterFlags;
use super::row;
use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::payload::saga_to_json;

const PAGE_SIZE_MAX: usize = 1000;

/// The flags of `saga list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  amends saga list --status stuck --unacknowledged
  amends saga list --participant payment --older-than 10m
  amends saga list --error \"card declined\" --definition checkout --version 3")]
pub(crate) struct List {
    #[command(flatten)]
    filter: FilterFlags,
    /// At most so many; 0: all
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
}

impl List {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let mut sagas = Vec::new();
        let mut message = self.filter.list(common);
        let mut client = Connection::open(&common.address).await?.sagas();
        // A page may have fewer than asked for, even none, and yet not be the last.
        loop {
            message.page_size = self.page_size(sagas.len());
            let page = client.list(request(message.clone())).await?.into_inner();
            sagas.extend(page.sagas);
            message.page_token = page.next_page_token;
            if message.page_token.is_empty() || self.left(sagas.len()) == Some(0) {
                break;
            }
        }
        if !message.page_token.is_empty() {
            eprintln!("amends: more sagas match; see them with --limit");
        }
        print(common, &sagas)
    }

    /// How many more to ask for; `None` when there is no limit.
    fn left(&self, have: usize) -> Option<usize> {
        (self.limit > 0).then(|| self.limit.saturating_sub(have))
    }

    fn page_size(&self, have: usize) -> i32 {
        let size = self.left(have).map_or(PAGE_SIZE_MAX, |left| left.min(PAGE_SIZE_MAX));
        i32::try_from(size).unwrap_or(i32::MAX)
    }
}

fn print(common: &Common, sagas: &[Saga]) -> Result<(), Failure> {
    let json = || Ok(json!({ "sagas": sagas.iter().map(saga_to_json).collect::<Result<Vec<_>, _>>()? }));
    common.output.print(json, || row::sagas(sagas))
}
