//! The owner writes its shard's audit log: what changes a saga with the commit that changes it, everything else by a small
//! write of its own.
//!
//! `scribe.rs` decides, this does. Invariants: an entry about a change is in the change's own commit, or there is no change;
//! nobody but the owner writes, and nothing before the log's end was read; after a write whose fate isn't known the tenure is
//! over, and the next one begins with what the store has.

use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::SagaKey;
use amends_engine::saga::Saga;
use amends_engine::standing::{self, StatusWord};
use amends_engine::time::Timestamp;
use amends_store::{Append, CommitError, Committed, Lease, Log, OpId, ShardId, Store, StoreError};
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::audit::{AuditResult, Entry, Note, Ticket, parts};
use crate::committer::{Appending, Write};
use crate::error::RequestError;
use crate::seam::{Running, sleep};

use super::ShardEvent;
use super::owner::{Ended, Owner};
use super::resident::{Staged, Work};
use super::scribe::{NotTaken, REMEMBERED, Scribe};
use super::supervise::TRY_AGAIN;

/// How often entries that are too old are looked for.
const TRIM_PERIOD: Duration = Duration::from_secs(3600);
/// Entries per page when the log is trimmed.
const TRIM_PAGE: usize = 256;
/// When to try again where too many notes wait.
const FULL_RETRY: Duration = Duration::from_millis(500);

/// Where the answer to a note goes.
pub(crate) type NoteReply = oneshot::Sender<Result<(), RequestError>>;

/// Something to be written down that changes no saga.
#[derive(Debug)]
pub(crate) struct NoteRequest {
    pub(crate) note: Note,
    /// It changed nothing, and may be left out where there are many.
    pub(crate) is_idle: bool,
    pub(crate) reply: NoteReply,
}

/// A log's next number, and its last entries.
pub(crate) type LogEnd = (u64, Vec<(u64, Bytes)>);

/// The log of one tenure.
#[derive(Debug)]
pub(crate) struct Auditing {
    scribe: Scribe<NoteReply>,
    /// Who waits for the write under way.
    replies: Vec<NoteReply>,
    /// Kept so that it ends with the tenure.
    reading: Option<Running>,
    trimming: Option<Running>,
    trim_at: Timestamp,
}

impl Auditing {
    pub(super) fn new(shard: ShardId, now: Timestamp) -> Self {
        Self { scribe: Scribe::new(shard, now), replies: Vec::new(), reading: None, trimming: None, trim_at: now }
    }

    /// Whether a write is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.scribe.is_writing()
    }
}

impl Work {
    fn ticket(&self) -> Option<&Arc<Ticket>> {
        match self {
            Self::Apply { ticket, .. } => ticket.as_ref(),
            Self::Start(_) => None,
        }
    }
}

impl Staged {
    /// Its entries are durable.
    pub(super) fn is_accounted_for(&self) {
        self.works.iter().filter_map(Work::ticket).for_each(|ticket| ticket.is_durable());
    }
}

impl Owner<'_> {
    /// Reads the end of the log; it comes as [`ShardEvent::LogOpened`].
    pub(super) fn open_log(&mut self) {
        let (shared, events, shard) = (self.context.shared.clone(), self.events.clone(), self.lease.shard);
        self.auditing.reading = Some(Running::spawn(async move {
            let end = loop {
                match read_end(&*shared.store, shard).await {
                    Ok(end) => break end,
                    Err(_) if events.is_closed() => return,
                    Err(error) => {
                        if !error.is_said_by_store() {
                            let error = crate::error::with_sources(&error);
                            tracing::warn!(
                                shard = shard.0,
                                error,
                                "the audit log can't be read; what has to be in it waits"
                            );
                        }
                        sleep(TRY_AGAIN).await;
                    }
                }
            };
            // The tenure may be over; then nobody needs the answer.
            let _ = events.send(ShardEvent::LogOpened(end));
        }));
    }

    pub(super) fn log_opened(&mut self, (next, tail): LogEnd) {
        self.auditing.scribe.opened(next, &tail);
        self.trim_log();
        self.write_next();
    }

    /// Whether a saga's work has to wait for the log, because some of it must be in it. It is remembered then.
    pub(super) fn waits_for_log(&mut self, key: &SagaKey) -> bool {
        let Some(resident) = self.residents.get(key) else { return false };
        let waits = !self.auditing.scribe.is_free() && resident.queue.iter().any(|work| work.ticket().is_some());
        if waits {
            self.auditing.scribe.wait(key.clone());
        }
        waits
    }

    /// The entries of a change that these works make, for its commit.
    pub(super) fn entries(&mut self, was: StatusWord, saga: &Saga, works: &[Work], now: Timestamp) -> Vec<Append> {
        let node = &self.context.config.node;
        let note = |ticket: &Arc<Ticket>| Note {
            call: ticket.call.clone(),
            at: now,
            result: AuditResult::Done,
            message: moved(was, standing::status(saga)),
            revision: saga.state.revision,
            node: node.clone(),
        };
        let notes: Vec<Note> = works.iter().filter_map(Work::ticket).map(note).collect();
        if notes.is_empty() || crate::planted::is("audit_entry_left_out") {
            return Vec::new();
        }
        self.auditing.scribe.begin(notes)
    }

    /// A write with entries is durable, or certainly wasn't made: whatever waits for the log comes next.
    pub(super) fn log_written(&mut self, is_durable: bool) {
        self.auditing.scribe.ended(is_durable);
        for reply in self.auditing.replies.drain(..) {
            // Whoever waited may have gone away.
            let _ = reply.send(if is_durable { Ok(()) } else { Err(RequestError::StoreFull) });
        }
        self.write_next();
    }

    pub(super) fn note(&mut self, request: NoteRequest) {
        let NoteRequest { note, is_idle, reply } = request;
        let now = self.context.seams.now();
        if let Err((why, reply)) = self.auditing.scribe.admit(note, reply, is_idle, now) {
            if why == NotTaken::LeftOut {
                self.context.shared.telemetry.meters.audit_left_out();
            }
            let answer = match why {
                NotTaken::Full => Err(RequestError::Overloaded { retry_after: FULL_RETRY }),
                NotTaken::Written | NotTaken::LeftOut => Ok(()),
            };
            let _ = reply.send(answer);
        }
        self.write_next();
    }

    /// Begins the next write, if there is something to write and the log is free. Notes come first: they are bounded.
    fn write_next(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let (notes, replies): (Vec<_>, Vec<_>) = self.auditing.scribe.next_notes().into_iter().unzip();
        if !notes.is_empty() {
            self.auditing.replies = replies;
            let entries = self.auditing.scribe.begin(notes);
            let op = OpId(self.context.seams.bits());
            let append = Appending { lease: self.lease, op, entries, answer_to: self.events.clone() };
            if self.context.commits.send(Write::Append(append)).is_err() {
                self.ended = Some(Ended::Lost);
            }
            return;
        }
        // A turn may have nothing to write after all; then the next one comes at once.
        while let Some(key) = self.auditing.scribe.next_saga() {
            self.turn(&key);
        }
    }

    pub(super) fn appended(&mut self, result: Result<Committed, CommitError>) {
        match result {
            Ok(committed) => {
                if self.count(committed) {
                    self.log_written(true);
                }
            }
            Err(CommitError::Full) => self.log_written(false),
            Err(CommitError::Fenced) => self.ended = Some(Ended::Lost),
            Err(error) => {
                let error = crate::error::with_sources(&error);
                tracing::warn!(
                    shard = self.lease.shard.0,
                    error,
                    "an entry of the audit log is in doubt; starting again from the store"
                );
                self.ended = Some(Ended::Doubtful);
            }
        }
    }

    /// Lets go of entries that are older than they have to be kept, now and then.
    pub(super) fn trim_log(&mut self) {
        let now = self.context.seams.now();
        let auditing = &mut self.auditing;
        let is_running = auditing.trimming.as_ref().is_some_and(|running| !running.is_finished());
        if auditing.scribe.is_empty() || now < auditing.trim_at || is_running {
            return;
        }
        auditing.trim_at = now + TRIM_PERIOD;
        let before = Timestamp(
            now.since(Timestamp(0) + self.context.config.audit_retention).as_millis().try_into().unwrap_or(0),
        );
        let (shared, lease) = (self.context.shared.clone(), self.lease);
        auditing.trimming = Some(Running::spawn(async move {
            if let Err(error) = trim(&*shared.store, lease, before).await {
                let error = crate::error::with_sources(&error);
                tracing::warn!(shard = lease.shard.0, error, "the audit log can't be trimmed; trying again in an hour");
            }
        }));
    }
}

/// What a change did, in words.
fn moved(was: StatusWord, is: StatusWord) -> String {
    if was == is { format!("it is {is}") } else { format!("it was {was}, and is {is}") }
}

async fn read_end(store: &dyn Store, shard: ShardId) -> Result<LogEnd, StoreError> {
    let span = store.log_span(shard, Log::Audit).await?;
    if span.first == span.next {
        return Ok((span.next, Vec::new()));
    }
    let from = span.first.max(span.next.saturating_sub(REMEMBERED as u64));
    Ok((span.next, store.read_log(shard, Log::Audit, from, REMEMBERED).await?))
}

/// Removes entries from before a time. The last one stays, whatever its age: the next one is chained to it.
async fn trim(store: &dyn Store, lease: Lease, before: Timestamp) -> Result<(), StoreError> {
    let span = store.log_span(lease.shard, Log::Audit).await?;
    let mut below = span.first;
    loop {
        let page = store.read_log(lease.shard, Log::Audit, below, TRIM_PAGE).await?;
        let old = page.iter().take_while(|(_, body)| is_before(body, before)).map(|(number, _)| *number).last();
        let Some(old) = old else { break };
        below = old + 1;
        if page.last().is_none_or(|(last, _)| *last != old) {
            break;
        }
    }
    let below = below.min(span.next.saturating_sub(1));
    if below > span.first {
        store.trim_log(lease, Log::Audit, below).await?;
        tracing::info!(shard = lease.shard.0, from = below, "old entries of the audit log are gone");
    }
    Ok(())
}

/// One that can't be read is kept.
fn is_before(body: &Bytes, before: Timestamp) -> bool {
    let entry = parts(body).and_then(|(_, record)| Entry::decode(&record).ok());
    entry.is_some_and(|entry| entry.note.at < before)
}
