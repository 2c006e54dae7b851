//! What a shard's owner knows of its audit log: the next number, the last digest, what waits to be written.
//!
//! Pure: it reads no clock and no store. One write is under way at a time, so that a write that is rejected takes no other with
//! it: what comes meanwhile waits. Refused attempts and repeats are cheap for whoever makes them, so each needs a place in a
//! bucket that fills slowly; those without are counted, and the next entry of whatever kind says how many they were. Invariants:
//! number and digest are the store's from the moment they were read; they move on only when a write is known to be durable.

use std::collections::VecDeque;
use std::time::Duration;

use amends_engine::ids::SagaKey;
use amends_engine::payload::Digest;
use amends_engine::time::Timestamp;
use amends_store::{Append, Log, ShardId};
use bytes::Bytes;

use crate::audit::{AuditResult, Entry, NONE, Note, chained, parts};

/// How many of the last entries are read when a tenure begins, and remembered: a note that comes twice is written once.
pub(super) const REMEMBERED: usize = 128;
/// Most notes in one write.
const NOTES_PER_WRITE: usize = 64;
/// Most notes that wait.
const NOTES_WAITING_MAX: usize = 1024;
/// How many refused attempts of a shard may have an entry at once.
const BUCKET: u32 = 256;
/// How long it takes until one more may.
const REFILL: Duration = Duration::from_secs(60);

/// Why a note isn't taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It is written already.
    Written,
    /// It is only counted.
    LeftOut,
    /// There is no room for it now.
    Full,
}

/// Whether the log can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Its end isn't known yet.
    Opening,
    /// It can.
    Free,
    /// A write is under way that leads to this end and tells of so many that were left out.
    Writing(End, u64),
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    next: u64,
    digest: Digest,
    last_at: Timestamp,
    /// Calls of the last entries.
    calls: VecDeque<u128>,
}

/// See the file's first lines.
#[derive(Debug)]
pub(super) struct Scribe<R> {
    shard: ShardId,
    state: State,
    end: End,
    /// Sagas whose turn comes when the log is free.
    sagas: VecDeque<SagaKey>,
    notes: VecDeque<(Note, R)>,
    /// Attempts without an entry that no entry tells of yet.
    left_out: u64,
    tokens: u32,
    filled_at: Timestamp,
}

impl<R> Scribe<R> {
    /// Of a shard whose log wasn't read yet.
    pub(super) fn new(shard: ShardId, now: Timestamp) -> Self {
        let end = End { next: 1, digest: NONE, last_at: Timestamp(0), calls: VecDeque::new() };
        Self {
            shard,
            state: State::Opening,
            end,
            sagas: VecDeque::new(),
            notes: VecDeque::new(),
            left_out: 0,
            tokens: BUCKET,
            filled_at: now,
        }
    }

    /// The log was read: its next number, and its last entries.
    pub(super) fn opened(&mut self, next: u64, tail: &[(u64, Bytes)]) {
        self.end.next = next;
        for (_, body) in tail {
            self.end.digest = Digest::of(body);
            // One that can't be read holds the chain together all the same.
            let entry = parts(body).and_then(|(_, record)| Entry::decode(&record).ok());
            if let Some(entry) = entry {
                self.end.last_at = self.end.last_at.max(entry.note.at);
                self.end.remember(entry.note.call.id);
            }
        }
        if crate::planted::is("audit_chain_begins_anew") {
            self.end.digest = NONE;
        }
        self.state = State::Free;
    }

    /// Whether a write is under way.
    pub(super) fn is_writing(&self) -> bool {
        matches!(self.state, State::Writing(..))
    }

    /// Whether anything can be written now.
    pub(super) fn is_free(&self) -> bool {
        self.state == State::Free
    }

    /// Whether it never had an entry, as far as is known.
    pub(super) fn is_empty(&self) -> bool {
        self.end.next == 1
    }

    /// A saga's turn has to wait for the log; see [`Scribe::next_saga`].
    pub(super) fn wait(&mut self, key: SagaKey) {
        self.sagas.push_back(key);
    }

    /// The next saga whose turn has come.
    pub(super) fn next_saga(&mut self) -> Option<SagaKey> {
        self.is_free().then(|| self.sagas.pop_front()).flatten()
    }

    /// Takes a note in, or says why not; `reply` comes back with the write that holds it, or here.
    pub(super) fn admit(&mut self, note: Note, reply: R, is_idle: bool, now: Timestamp) -> Result<(), (NotTaken, R)> {
        let id = note.call.id;
        if self.end.calls.contains(&id) || self.notes.iter().any(|(waiting, _)| waiting.call.id == id) {
            return Err((NotTaken::Written, reply));
        }
        let is_bounded = is_idle || note.result == AuditResult::Refused;
        if is_bounded && !self.has_token(now) {
            self.left_out += 1;
            return Err((NotTaken::LeftOut, reply));
        }
        if self.notes.len() >= NOTES_WAITING_MAX {
            if is_bounded {
                self.left_out += 1;
            }
            return Err((if is_bounded { NotTaken::LeftOut } else { NotTaken::Full }, reply));
        }
        self.notes.push_back((note, reply));
        Ok(())
    }

    fn has_token(&mut self, now: Timestamp) -> bool {
        let passed = now.since(self.filled_at).as_secs() / REFILL.as_secs();
        self.tokens = self.tokens.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX)).min(BUCKET);
        self.filled_at = self.filled_at + REFILL * u32::try_from(passed).unwrap_or(u32::MAX);
        let has = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        has
    }

    /// The notes that go into the next write, if there are any and it can begin.
    pub(super) fn next_notes(&mut self) -> Vec<(Note, R)> {
        if !self.is_free() {
            return Vec::new();
        }
        let count = self.notes.len().min(NOTES_PER_WRITE);
        self.notes.drain(..count).collect()
    }

    /// Begins a write of these notes: their entries, chained. The log must be free.
    pub(super) fn begin(&mut self, notes: impl IntoIterator<Item = Note>) -> Vec<Append> {
        let (mut end, mut left_out) = (self.end.clone(), self.left_out);
        let appends = notes.into_iter().map(|note| end.add(self.shard, note, std::mem::take(&mut left_out))).collect();
        self.state = State::Writing(end, self.left_out - left_out);
        appends
    }

    /// The write is durable, or certainly wasn't made. What became of it must be known: else the tenure is over.
    pub(super) fn ended(&mut self, is_durable: bool) {
        let was = std::mem::replace(&mut self.state, State::Free);
        if let State::Writing(end, told) = was
            && is_durable
        {
            self.end = end;
            self.left_out -= told;
        }
    }
}

impl End {
    fn add(&mut self, shard: ShardId, note: Note, left_out: u64) -> Append {
        let mut note = note.cut();
        // Clocks of two nodes may differ; the times of a log never go back.
        note.at = note.at.max(self.last_at);
        let (at, id) = (note.at, note.call.id);
        let entry = Entry { shard, number: self.next, note, left_out };
        let body = chained(self.digest, &entry.encode());
        let append = Append { log: Log::Audit, number: self.next, body };
        self.digest = Digest::of(&append.body);
        self.next += 1;
        self.last_at = at;
        self.remember(id);
        append
    }

    fn remember(&mut self, call: u128) {
        if self.calls.len() >= REMEMBERED {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }
}

#[cfg(test)]
mod tests;
