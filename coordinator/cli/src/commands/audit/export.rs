//! `amends audit export`: the whole log as JSON lines, shard by shard, oldest first.
//!
//! Every entry is checked on its way. Invariant: a file that is there already is never overwritten, since it may be the only
//! evidence; one that couldn't be finished doesn't stay.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use amends_proto::v1::ListAuditRequest;
use clap::Args;

use super::chain::{Broken, Chains};
use super::verify::report;
use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;

/// Entries per request.
const PAGE_SIZE: i32 = 1000;

/// The flags of `audit export`.
#[derive(Debug, Args)]
#[command(after_help = "\
One entry per line, as `amends audit verify` and any JSON tool read it. Note the head that is printed, or keep the file,
somewhere that whoever runs the coordinator can't write to.

Examples:
  amends audit export audit.jsonl
  amends audit export /backup/audit-$(date +%F).jsonl -o json | jq -r .head")]
pub(crate) struct Export {
    /// Where to write; must not exist
    file: PathBuf,
}

impl Export {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let connection = Connection::open(&common.address).await?;
        let unwritable = |source| Failure::File { path: self.file.clone(), source };
        let file = File::create_new(&self.file).map_err(unwritable)?;
        match write_all(connection, &self.file, file).await {
            Ok((chains, None)) => report(common, &chains),
            // It is kept: what is broken in it is the evidence.
            Ok((_, Some(broken))) => Err(Failure::Findings(format!(
                "{}: the coordinator's log is broken: {broken}; the file holds it as it is",
                self.file.display()
            ))),
            Err(failure) => {
                // Half a log would look like a log.
                let _ = std::fs::remove_file(&self.file);
                Err(failure)
            }
        }
    }
}

async fn write_all(connection: Connection, path: &Path, file: File) -> Result<(Chains, Option<Broken>), Failure> {
    let unwritable = |source| Failure::File { path: path.to_owned(), source };
    let mut client = connection.audit();
    let (mut out, mut chains, mut broken) = (BufWriter::new(file), Chains::default(), None);
    let (mut shard, mut shards) = (1, 1);
    while shard <= shards {
        let mut message = ListAuditRequest { shard, page_size: PAGE_SIZE, ..ListAuditRequest::default() };
        loop {
            let page = client.list(request(message.clone())).await?.into_inner();
            shards = page.shards;
            for entry in &page.entries {
                if broken.is_none() {
                    broken = chains.add(entry).err();
                }
                serde_json::to_writer(&mut out, entry).map_err(Failure::Answer)?;
                out.write_all(b"\n").map_err(unwritable)?;
            }
            message.page_token = page.next_page_token;
            if message.page_token.is_empty() {
                break;
            }
        }
        shard += 1;
    }
    let file = out.into_inner().map_err(|error| unwritable(error.into_error()))?;
    file.sync_all().map_err(unwritable)?;
    Ok((chains, broken))
}
