//! `amends batch list`, `describe` and `items`: what is planned, how far it is, and what was left alone.

use amends_proto::v1::{
    Batch, BatchItem, BatchItemStatus, BatchStatus, GetBatchRequest, ListBatchItemsRequest, ListBatchesRequest,
};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::output::{Tone, cell, fields, harmless, heading, indent, table};
use crate::payload::to_json;
use crate::time::{age, instant, until};
use crate::words::{self, or_dash};

const PAGE_SIZE_MAX: i32 = 1000;

/// The flags of `batch list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    limit: i32,
}

impl List {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message =
            ListBatchesRequest { namespace: common.namespace.clone(), page_size: self.limit, ..Default::default() };
        let mut client = Connection::open(&common.address).await?.batches();
        let page = client.list(request(message)).await?.into_inner();
        if !page.next_page_token.is_empty() {
            eprintln!("amends: there are more; see them with --limit");
        }
        common.output.print(|| to_json(&page), || rows(&page.batches))
    }
}

/// The flags of `batch describe`.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// The plan or batch
    id: String,
}

impl Describe {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = GetBatchRequest { namespace: common.namespace.clone(), id: self.id };
        let mut client = Connection::open(&common.address).await?.batches();
        let found = client.get(request(message)).await?.into_inner();
        common.output.print(|| to_json(&found), || batch(&found))
    }
}

/// The flags of `batch items`.
#[derive(Debug, Args)]
#[command(after_help = "For example: amends batch items 01f3…9c2e --status refused,moved")]
pub(crate) struct Items {
    /// The plan or batch
    id: String,
    /// Only with one of these statuses
    #[arg(long, value_enum, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<ItemStatusArgument>,
}

/// A status that can be named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ItemStatusArgument {
    Waiting,
    Done,
    Moved,
    Refused,
}

impl From<ItemStatusArgument> for BatchItemStatus {
    fn from(argument: ItemStatusArgument) -> Self {
        match argument {
            ItemStatusArgument::Waiting => Self::Waiting,
            ItemStatusArgument::Done => Self::Done,
            ItemStatusArgument::Moved => Self::Moved,
            ItemStatusArgument::Refused => Self::Refused,
        }
    }
}

impl Items {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let connection = Connection::open(&common.address).await?;
        let statuses: Vec<BatchItemStatus> = match self.status.as_slice() {
            [] => vec![BatchItemStatus::Unspecified],
            named => named.iter().map(|status| BatchItemStatus::from(*status)).collect(),
        };
        let mut found = Vec::new();
        for status in statuses {
            found.extend(items(&connection, common, &self.id, status).await?);
        }
        let json = || Ok(json!({ "items": found.iter().map(to_json).collect::<Result<Vec<_>, _>>()? }));
        let failed = [ItemStatusArgument::Moved, ItemStatusArgument::Refused];
        let is_failed = !self.status.is_empty() && self.status.iter().all(|status| failed.contains(status));
        common.output.print(json, || if is_failed { reasons(&found) } else { item_rows(&found) })
    }
}

/// All items of a status.
pub(super) async fn items(
    connection: &Connection,
    common: &Common,
    id: &str,
    status: BatchItemStatus,
) -> Result<Vec<BatchItem>, Failure> {
    let mut message = ListBatchItemsRequest {
        namespace: common.namespace.clone(),
        id: id.to_owned(),
        status: status.into(),
        page_size: PAGE_SIZE_MAX,
        page_token: String::new(),
    };
    let mut found = Vec::new();
    loop {
        let page = connection.batches().list_items(request(message.clone())).await?.into_inner();
        found.extend(page.items);
        message.page_token = page.next_page_token;
        if message.page_token.is_empty() {
            return Ok(found);
        }
    }
}

/// A batch as a whole.
pub(super) fn batch(batch: &Batch) -> String {
    let action = batch.action.clone().unwrap_or_default();
    let place = words::place(&action.step, action.operation);
    let verb = format!("{} {place}", words::batch_verb(action.verb));
    let sagas = match batch.refusals {
        0 => batch.planned.to_string(),
        refusals => format!("{}, of which {refusals} are going to refuse it", batch.planned),
    };
    let by = |who: &str, why: &str| format!("{who}: {why}");
    let mut lines = vec![
        ("status", standing(batch)),
        ("do", verb.trim().to_owned()),
        ("sagas", sagas),
        ("planned", by(&batch.principal, &batch.reason)),
    ];
    if batch.apply_time.is_some() {
        lines.push(("applied", by(&batch.applied_by, &batch.apply_reason)));
        lines.push(("rate", format!("{}/s", batch.rate_per_second)));
        lines.push(("done", batch.done.to_string()));
        lines.push(("left alone", format!("{} moved, {} refused", batch.moved, batch.refused)));
    }
    if !batch.held_up.is_empty() {
        lines.push(("held up", batch.held_up.clone()));
    }
    let mut text = format!("{}\n{}", heading(&format!("Batch {}", harmless(&batch.id))), fields(&lines));
    if !batch.calls.is_empty() {
        text += &format!("\n{}\n{}", heading("Calls at once"), indent(&call_rows(batch)));
    }
    if !batch.sample.is_empty() {
        let title = format!("Sagas as planned ({} of {})", batch.sample.len(), batch.planned);
        text += &format!("\n{}\n{}", heading(&title), indent(&item_rows(&batch.sample)));
    }
    text
}

fn standing(batch: &Batch) -> String {
    let word = words::batch_status(batch.status);
    match (batch.status(), &batch.expire_time) {
        (BatchStatus::Planned, Some(expires)) => {
            format!("{word}; can be applied until {}, {}", instant(Some(expires)), until(expires))
        }
        _ => word,
    }
}

fn call_rows(batch: &Batch) -> String {
    let rows = batch.calls.iter().map(|calls| {
        vec![
            cell(&calls.participant, Tone::Plain),
            cell(&calls.method, Tone::Plain),
            cell(words::operation(calls.operation), Tone::Plain),
            cell(calls.count.to_string(), Tone::Plain),
        ]
    });
    table(&["PARTICIPANT", "METHOD", "OPERATION", "COUNT"], rows)
}

/// Which sagas, and why some are left alone; of the others, what is called.
pub(super) fn item_rows(items: &[BatchItem]) -> String {
    let rows = items.iter().map(|item| {
        let tone = match item.status() {
            BatchItemStatus::Done => Tone::Good,
            BatchItemStatus::Moved => Tone::Notable,
            BatchItemStatus::Refused => Tone::Bad,
            BatchItemStatus::Waiting | BatchItemStatus::Unspecified => Tone::Plain,
        };
        vec![
            cell(&item.saga_id, Tone::Plain),
            cell(item.revision.to_string(), Tone::Plain),
            cell(words::item_status(item.status), tone),
            cell(or_dash(&item.message), Tone::Plain),
            cell(or_dash(&calls(item)), Tone::Plain),
        ]
    });
    table(&["ID", "REVISION", "STATUS", "REASON", "CALLS"], rows)
}

/// Which were left alone, and why.
pub(super) fn reasons(items: &[BatchItem]) -> String {
    let rows = items.iter().map(|item| vec![cell(&item.saga_id, Tone::Plain), cell(&item.message, Tone::Plain)]);
    table(&["ID", "REASON"], rows)
}

fn calls(item: &BatchItem) -> String {
    let call = |call: &amends_proto::v1::BatchItemCall| format!("{} ({})", call.method, call.idempotency_key);
    item.calls.iter().map(call).collect::<Vec<_>>().join(", ")
}

pub(super) fn rows(batches: &[Batch]) -> String {
    let rows = batches.iter().map(|batch| {
        let tone = match batch.status() {
            BatchStatus::Done => Tone::Good,
            BatchStatus::Running => Tone::Notable,
            _ => Tone::Plain,
        };
        vec![
            cell(&batch.id, Tone::Plain),
            cell(words::batch_status(batch.status), tone),
            cell(words::batch_verb(batch.action.as_ref().map_or(0, |action| action.verb)), Tone::Plain),
            cell(batch.planned.to_string(), Tone::Plain),
            cell(batch.done.to_string(), Tone::Plain),
            cell(batch.moved.to_string(), Tone::Plain),
            cell(batch.refused.to_string(), Tone::Plain),
            cell(age(batch.create_time.as_ref()), Tone::Plain),
            cell(or_dash(&batch.principal), Tone::Plain),
            cell(or_dash(&batch.reason), Tone::Plain),
        ]
    });
    table(&["ID", "STATUS", "DO", "SAGAS", "DONE", "MOVED", "REFUSED", "AGE", "BY", "REASON"], rows)
}
