//! `amends audit list`: who did, or tried to do, what and why.

use amends_proto::v1::{AuditEntry, AuditResult, ListAuditRequest};
use clap::{Args, ValueEnum};
use pbjson_types::Timestamp;
use serde_json::json;

use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::input::duration;
use crate::output::{Tone, cell, table};
use crate::payload::to_json;
use crate::time::instant;
use crate::words::{self, or_dash};

const PAGE_SIZE_MAX: usize = 1000;

/// The flags of `audit list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  amends audit list --target sagas/order-1
  amends audit list --principal mallory --result refused --since 24h
  amends audit list --method Operations/ForceStop --limit 0 -o json")]
pub(crate) struct List {
    /// Only about this: sagas/ID, definitions/NAME, participants/NAME, nodes/NAME, batches/ID
    #[arg(long, value_name = "WHAT")]
    target: Option<String>,
    /// Only by this principal
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// Only this method
    #[arg(long, value_name = "SERVICE/METHOD")]
    method: Option<String>,
    /// Only of this batch
    #[arg(long, value_name = "ID")]
    batch: Option<String>,
    /// Only with this result
    #[arg(long, value_enum, value_name = "RESULT")]
    result: Option<ResultArgument>,
    /// Not before: how long ago (24h), or a time (2026-11-21T03:04:05Z)
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    since: Option<Timestamp>,
    /// Before: how long ago, or a time
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    until: Option<Timestamp>,
    /// At most so many; 0: all
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
}

/// A result that can be named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ResultArgument {
    Done,
    Refused,
    Unknown,
}

impl From<ResultArgument> for AuditResult {
    fn from(argument: ResultArgument) -> Self {
        match argument {
            ResultArgument::Done => Self::Done,
            ResultArgument::Refused => Self::Refused,
            ResultArgument::Unknown => Self::Unknown,
        }
    }
}

/// `24h`, or a time as RFC 3339 has it; for clap.
fn point_in_time(text: &str) -> Result<Timestamp, String> {
    let at = match (duration(text), text.parse::<jiff::Timestamp>()) {
        (Ok(ago), _) => jiff::Timestamp::now().checked_sub(ago).map_err(|error| error.to_string())?,
        (Err(_), Ok(at)) => at,
        (Err(_), Err(_)) => {
            return Err("write how long ago, such as 24h, or a time such as 2026-11-21T03:04:05Z".to_owned());
        }
    };
    Ok(Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() })
}

impl List {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let mut client = Connection::open(&common.address).await?.audit();
        let (limit, mut entries) = (self.limit, Vec::new());
        let mut message = self.first_page(common);
        loop {
            let left = if limit == 0 { PAGE_SIZE_MAX } else { (limit - entries.len()).min(PAGE_SIZE_MAX) };
            message.page_size = i32::try_from(left).unwrap_or(i32::MAX);
            let page = client.list(request(message.clone())).await?.into_inner();
            entries.extend(page.entries);
            message.page_token = page.next_page_token;
            if message.page_token.is_empty() || (limit > 0 && entries.len() >= limit) {
                break;
            }
        }
        if !message.page_token.is_empty() {
            eprintln!("amends: more entries match; see them with --limit");
        }
        let json = || Ok(json!({ "entries": entries.iter().map(to_json).collect::<Result<Vec<_>, _>>()? }));
        common.output.print(json, || rows(&entries))
    }

    fn first_page(self, common: &Common) -> ListAuditRequest {
        ListAuditRequest {
            namespace: common.namespace.clone(),
            target: self.target.unwrap_or_default(),
            principal: self.principal.unwrap_or_default(),
            method: self.method.unwrap_or_default(),
            batch: self.batch.unwrap_or_default(),
            result: self.result.map(AuditResult::from).unwrap_or_default().into(),
            from: self.since,
            until: self.until,
            ..ListAuditRequest::default()
        }
    }
}

fn rows(entries: &[AuditEntry]) -> String {
    let rows = entries.iter().map(|entry| {
        let tone = match entry.result() {
            AuditResult::Done => Tone::Plain,
            AuditResult::Refused | AuditResult::Unspecified => Tone::Notable,
            AuditResult::Unknown => Tone::Bad,
        };
        let left_out = match entry.left_out {
            0 => String::new(),
            more => format!(" (and {more} refused ones before it that have no entry)"),
        };
        vec![
            cell(instant(entry.time.as_ref()), Tone::Plain),
            cell(or_dash(&entry.principal), Tone::Plain),
            cell(&entry.method, Tone::Plain),
            cell(or_dash(&entry.target), Tone::Plain),
            cell(words::audit_result(entry.result), tone),
            cell(or_dash(&entry.reason), Tone::Plain),
            cell(format!("{}{left_out}", or_dash(&entry.message)), Tone::Plain),
        ]
    });
    table(&["TIME", "WHO", "WHAT", "TARGET", "RESULT", "REASON", "MESSAGE"], rows)
}
