//! A shard's logs: entries that are numbered from 1 without gaps, and what is asked of a new one.
//!
//! A store doesn't look into an entry. Invariants: an entry is written only under the log's next number, in the same
//! all-or-nothing write as all that is written with it; a number is never given twice, not even when its entry was trimmed.

use bytes::Bytes;

use crate::contract::{Finding, Severity, ShardId};
use crate::error::CommitError;
use crate::planted;

/// Which of a shard's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Log {
    /// Who asked for what, and what came of it.
    Audit,
    /// What is still to be told to others.
    Outbox,
}

impl Log {
    /// All of them, in the order in which they are stored.
    pub const ALL: [Self; 2] = [Self::Audit, Self::Outbox];

    /// Its name, as people and the backends know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Outbox => "outbox",
        }
    }

    /// Its place in [`Log::ALL`].
    pub(crate) fn place(self) -> usize {
        match self {
            Self::Audit => 0,
            Self::Outbox => 1,
        }
    }
}

/// A new entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Which log of the shard.
    pub log: Log,
    /// Its number, which must be the log's next one; else nothing is written, and it is [`CommitError::StaleLog`]. Several
    /// entries of one log in one write follow each other.
    pub number: u64,
    /// What it says.
    pub body: Bytes,
}

/// Which numbers a log has: `first..next`. Both are 1 before the first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first entry that wasn't trimmed; `next` where there is none.
    pub first: u64,
    /// The number of the next new entry: one more than any before it.
    pub next: u64,
}

impl Span {
    /// A log that never had an entry.
    pub const NEW: Self = Self { first: 1, next: 1 };

    /// What is left when the entries below a number are gone; never more than it has.
    pub(crate) fn trimmed(self, below: u64) -> Self {
        Self { first: self.first.max(below.min(self.next)), ..self }
    }
}

/// The spans of all of a shard's logs, in the order of [`Log::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spans(pub(crate) [Span; Log::ALL.len()]);

impl Spans {
    pub(crate) const NEW: Self = Self([Span::NEW; Log::ALL.len()]);

    pub(crate) fn of(&self, log: Log) -> Span {
        self.0[log.place()]
    }

    pub(crate) fn set(&mut self, log: Log, span: Span) {
        self.0[log.place()] = span;
    }

    /// As they are with these entries; an error where one of them doesn't come next.
    pub(crate) fn with(mut self, entries: &[Append]) -> Result<Self, CommitError> {
        for entry in entries {
            let span = &mut self.0[entry.log.place()];
            if entry.number != span.next && !planted::is("log_number_unchecked") {
                return Err(CommitError::StaleLog { log: entry.log, expected: entry.number, next: span.next });
            }
            span.next = entry.number.saturating_add(1);
        }
        Ok(self)
    }
}

/// What to say of a log that doesn't have as many entries as its span says.
pub(crate) fn damaged_log(shard: ShardId, log: Log, expected: u64, found: u64) -> Option<Finding> {
    let message = format!(
        "the {} log of shard {} has {found} entries where it should have {expected}: entries were lost or added by others; \
         restore a backup that has them",
        log.name(),
        shard.0
    );
    (expected != found).then_some(Finding { severity: Severity::Error, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_each_log_follow_each_other() {
        let append = |log, number| Append { log, number, body: Bytes::new() };
        let both = [append(Log::Audit, 1), append(Log::Outbox, 1), append(Log::Audit, 2)];
        let spans = Spans::NEW.with(&both).unwrap();
        assert_eq!(Log::ALL.map(|log| spans.of(log)), [Span { first: 1, next: 3 }, Span { first: 1, next: 2 }]);
        for wrong in [0, 2, 4] {
            let error = spans.with(&[append(Log::Audit, wrong)]).unwrap_err();
            assert!(matches!(error, CommitError::StaleLog { log: Log::Audit, next: 3, .. }), "{error}");
        }
    }

    #[test]
    fn trimming_gives_nothing_back() {
        let span = Span { first: 3, next: 7 };
        for (below, first) in [(0, 3), (3, 3), (5, 5), (7, 7), (u64::MAX, 7)] {
            assert_eq!(span.trimmed(below), Span { first, next: 7 });
        }
    }
}
