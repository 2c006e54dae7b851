//! `amends audit verify`: checks an exported file without a coordinator.
//!
//! Invariant: it says that a log is good only after the last line was checked.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use amends_proto::v1::AuditEntry;
use clap::Args;
use serde_json::json;

use super::chain::{Chains, Span};
use crate::args::Common;
use crate::exit::Failure;
use crate::output::{Tone, cell, table};

/// The flags of `audit verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
A file that passes holds, per shard, every entry from its first one on, as it was written. That nothing is missing at the end
only a digest can say that was kept elsewhere: the head that `amends audit export` prints, or an older export.

Examples:
  amends audit verify audit.jsonl
  amends audit verify audit.jsonl --head 5d0f…
  amends audit verify november.jsonl --against october.jsonl")]
pub(crate) struct Verify {
    /// What `amends audit export` wrote
    file: PathBuf,
    /// The head that the export printed: notices entries that are missing at the end
    #[arg(long, value_name = "DIGEST")]
    head: Option<String>,
    /// An older export, which this one must go on from
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

impl Verify {
    pub(crate) fn run(self, common: &Common) -> Result<(), Failure> {
        let older = match &self.against {
            Some(path) => read(path, |_| {})?,
            None => Chains::default(),
        };
        let mut ahead = Ahead::new(&older);
        let chains = read(&self.file, |entry| ahead.see(entry))?;
        if chains.entries() == 0 {
            let problem = "it holds no entry, so there is nothing to verify: is it what `amends audit export` wrote?";
            return Err(Failure::Findings(format!("{}: {problem}", self.file.display())));
        }
        if let Some(problem) = ahead.problem(&chains) {
            return Err(Failure::Findings(format!("{}: {problem}", self.file.display())));
        }
        let head = chains.head();
        if let Some(noted) = self.head.filter(|noted| !noted.trim().eq_ignore_ascii_case(&head)) {
            let problem = format!(
                "its head is {head}, not {noted}: entries are missing at its end, or that is the head of another export"
            );
            return Err(Failure::Findings(format!("{}: {problem}", self.file.display())));
        }
        report(common, &chains)
    }
}

/// Checks a file, and shows each good entry to `see`.
fn read(path: &Path, mut see: impl FnMut(&AuditEntry)) -> Result<Chains, Failure> {
    let unreadable = |source| Failure::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut chains = Chains::default();
    for (line, text) in (1_u64..).zip(BufReader::new(file).lines()) {
        let text = text.map_err(unreadable)?;
        let entry: AuditEntry = serde_json::from_str(&text).map_err(|error| {
            Failure::Findings(format!("{}:{line}: not an entry of the audit log: {error}", path.display()))
        })?;
        chains.add(&entry).map_err(|broken| Failure::Findings(format!("{}:{line}: {broken}", path.display())))?;
        see(&entry);
    }
    Ok(chains)
}

/// Looks for the ends of an older export in a newer one.
struct Ahead<'a> {
    wanted: Vec<(u32, &'a Span)>,
    different: Option<u32>,
}

impl<'a> Ahead<'a> {
    fn new(older: &'a Chains) -> Self {
        Self { wanted: older.shards().iter().map(|(shard, span)| (*shard, span)).collect(), different: None }
    }

    fn see(&mut self, entry: &AuditEntry) {
        let is_end = |(shard, span): &(u32, &Span)| *shard == entry.shard && span.last == entry.number;
        if let Some(place) = self.wanted.iter().position(is_end) {
            let (shard, span) = self.wanted.swap_remove(place);
            if span.digest != entry.digest {
                self.different.get_or_insert(shard);
            }
        }
    }

    /// An end that isn't there is one that was trimmed, or is missing.
    fn problem(&self, newer: &Chains) -> Option<String> {
        if let Some(shard) = self.different {
            return Some(format!("shard {shard} isn't what the older export had: its log was written anew"));
        }
        let is_trimmed =
            |(shard, span): &&(u32, &Span)| newer.shards().get(shard).is_some_and(|now| now.first > span.last);
        let (shard, span) = self.wanted.iter().find(|wanted| !is_trimmed(wanted))?;
        Some(format!("shard {shard} lacks entry {}, which the older export had: its end is missing", span.last))
    }
}

/// What was found to be good.
pub(super) fn report(common: &Common, chains: &Chains) -> Result<(), Failure> {
    let json = || {
        let shard = |(shard, span): (&u32, &Span)| json!({ "shard": shard, "first": span.first, "last": span.last, "digest": span.digest });
        let shards: Vec<_> = chains.shards().iter().map(shard).collect();
        Ok(json!({ "entries": chains.entries(), "head": chains.head(), "shards": shards }))
    };
    common.output.print(json, || {
        let rows = chains.shards().iter().map(|(shard, span)| {
            let texts = [shard.to_string(), span.first.to_string(), span.last.to_string(), span.digest.clone()];
            texts.map(|text| cell(text, Tone::Plain)).to_vec()
        });
        let table = table(&["SHARD", "FIRST", "LAST", "DIGEST OF THE LAST"], rows);
        format!("{table}\n{} entries, all as they were written\nhead {}\n", chains.entries(), chains.head())
    })
}
