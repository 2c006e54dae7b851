//! The logs of one shard in the memory store.
//!
//! Who may write is judged by `mod.rs`. Invariant: what is kept of a log is exactly what its span says.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::contract::{Append, Log, OpId, ShardId, Span};
use crate::error::CommitError;
use crate::logs::Spans;
use crate::transfer::{LogRecord, TransferError};

/// The logs of one shard, each entry with the write that it came with.
#[derive(Debug, Clone)]
pub(super) struct Logs {
    spans: Spans,
    entries: BTreeMap<(Log, u64), (OpId, Bytes)>,
}

impl Logs {
    pub(super) const NEW: Self = Self { spans: Spans::NEW, entries: BTreeMap::new() };

    /// Whether these entries come next.
    pub(super) fn judge(&self, entries: &[Append]) -> Result<(), CommitError> {
        self.spans.with(entries).map(|_| ())
    }

    /// Whether this write is in the logs already.
    pub(super) fn has(&self, op: OpId, entries: &[Append]) -> bool {
        let is_there = |entry: &Append| {
            let there = self.entries.get(&(entry.log, entry.number));
            there.is_some_and(|(by, body)| *by == op && *body == entry.body)
        };
        entries.iter().all(is_there)
    }

    /// Writes entries that were judged.
    pub(super) fn write(&mut self, op: OpId, entries: Vec<Append>) {
        for Append { log, number, body } in entries {
            self.spans.set(log, Span { next: number + 1, ..self.spans.of(log) });
            self.entries.insert((log, number), (op, body));
        }
    }

    /// See [`crate::Store::read_log`].
    pub(super) fn read(&self, log: Log, from: u64, limit: usize) -> Vec<(u64, Bytes)> {
        self.records(log, from, limit).into_iter().map(|it| (it.number, it.body)).collect()
    }

    /// See [`crate::transfer::Export::log_records`].
    pub(super) fn records(&self, log: Log, from: u64, limit: usize) -> Vec<LogRecord> {
        let entries = self.entries.range((log, from)..=(log, u64::MAX)).take(limit);
        entries.map(|((_, number), (op, body))| LogRecord { number: *number, op: *op, body: body.clone() }).collect()
    }

    /// See [`crate::transfer::Import::put_log`].
    pub(super) fn put(
        &mut self,
        (shard, log): (ShardId, Log),
        span: Span,
        records: Vec<LogRecord>,
    ) -> Result<(), TransferError> {
        let there = self.span(log);
        if there != span && there != Span::NEW {
            return Err(TransferError::Differs { what: format!("{} log of shard {}", log.name(), shard.0) });
        }
        let differs = |it: &&LogRecord| {
            self.entries.get(&(log, it.number)).is_some_and(|(op, body)| (*op, body) != (it.op, &it.body))
        };
        if let Some(it) = records.iter().find(differs) {
            return Err(TransferError::differs_in_log(shard, log, it.number));
        }
        self.spans.set(log, span);
        self.entries.extend(records.into_iter().map(|it| ((log, it.number), (it.op, it.body))));
        Ok(())
    }

    /// Whether there was ever an entry.
    pub(super) fn is_new(&self) -> bool {
        self.spans == Spans::NEW
    }

    /// See [`crate::Store::log_span`].
    pub(super) fn span(&self, log: Log) -> Span {
        self.spans.of(log)
    }

    /// See [`crate::Store::trim_log`].
    pub(super) fn trim(&mut self, log: Log, below: u64) {
        let span = self.spans.of(log).trimmed(below);
        self.spans.set(log, span);
        self.entries.retain(|(of, number), _| *of != log || *number >= span.first);
    }
}
