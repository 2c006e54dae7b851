//! What can go wrong in a store, and whether trying again helps.
//!
//! Backends put their own error in `source`; nobody outside a backend sees its types.

use std::error::Error;

use amends_engine::payload::PayloadKey;
use amends_engine::time::Timestamp;

use crate::logs::Log;

/// The backend's own error.
pub type Source = Box<dyn Error + Send + Sync>;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Trying again may help.
    Retryable,
    /// Somebody else was first: read again and decide anew.
    Conflict,
    /// Trying again won't help; a person has to look.
    Permanent,
}

/// A read, a lease or a registration that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another node's lease is valid until then.
    #[error("the shard is held by node {node} until {until}")]
    Held {
        /// Who has it.
        node: String,
        /// Until when, by the store's clock.
        until: Timestamp,
    },
    /// The lease isn't the shard's current one any more.
    #[error("the lease was lost: somebody else has acquired the shard")]
    LeaseLost,
    /// A compare-and-set found another revision.
    #[error("it is at revision {found}, not at {expected}")]
    Conflict {
        /// What was expected.
        expected: u64,
        /// What was found; 0: it isn't there.
        found: u64,
    },
    /// The shard number is out of range.
    #[error("this store has {shards} shards; there is no shard {given}")]
    NoSuchShard {
        /// What was asked for.
        given: u16,
        /// How many there are.
        shards: u16,
    },
    /// The store is an unfinished copy, or was moved elsewhere: nobody may work on it.
    #[error("the store takes no work: {why}")]
    Closed {
        /// Why, and the mend.
        why: String,
    },
    /// The store can't be reached or is busy; a write may have happened.
    #[error("the store didn't answer")]
    Unavailable(#[source] Source),
    /// The store can't do it just now: its memory or disk is full, a replica is missing. Nothing was written.
    #[error("the store refuses")]
    Refused(#[source] Source),
    /// The store must not be used as it is: it isn't as durable as it has to be, was wiped, or isn't the right one. Nothing was
    /// written. It can be used again by itself when what is said is mended.
    #[error("the store is frozen: {0}")]
    Frozen(String),
    /// The store is damaged or was made by something else.
    #[error("the store can't be read: {what}")]
    Corrupt {
        /// What was found and what to do.
        what: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Source>,
    },
}

impl StoreError {
    /// Whether the store says this itself, once, so that nobody who meets it need log it again: each shard would.
    pub fn is_said_by_store(&self) -> bool {
        matches!(self, Self::Frozen(_))
    }

    /// Whether a retry helps.
    pub fn class(&self) -> Class {
        match self {
            Self::Held { .. } | Self::Unavailable(_) | Self::Refused(_) => Class::Retryable,
            Self::LeaseLost | Self::Conflict { .. } => Class::Conflict,
            Self::NoSuchShard { .. } | Self::Closed { .. } | Self::Frozen(_) | Self::Corrupt { .. } => Class::Permanent,
        }
    }
}

/// A commit that was not made, or of which nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Written under an epoch or nonce that isn't the shard's current one: this node no longer owns it.
    #[error("fenced: another owner has the shard")]
    Fenced,
    /// The saga isn't at the expected revision. As ambiguous as a time-out: an earlier attempt of this very commit may be
    /// the reason. Reload and conclude nothing.
    #[error("stale: the saga is at revision {found}, not at {expected}")]
    Stale {
        /// What was expected.
        expected: u64,
        /// What was found; 0: it isn't there.
        found: u64,
    },
    /// A log entry doesn't come next in its log. Says nothing about the saga that it would have been written with: read the
    /// log's span again and conclude nothing, as after [`CommitError::Stale`].
    #[error("stale: the {} log's next entry is number {next}, not {expected}", log.name())]
    StaleLog {
        /// Which log.
        log: Log,
        /// The number that the entry had.
        expected: u64,
        /// The number that it should have had.
        next: u64,
    },
    /// The id belongs to a saga that was finished and swept; it can't be used again yet (semantics A9).
    #[error("the id is reserved: a saga with it has finished and was removed after its retention")]
    Reserved,
    /// The commit's saga isn't of the lease's shard: a programming error, caught here because it would break fencing.
    #[error("the saga doesn't belong to the lease's shard")]
    WrongShard,
    /// A payload or history entry that is written once would get other bytes: a programming error, caught here because a
    /// request that was sent must never change.
    #[error("the commit would overwrite {what}, which is written once")]
    Overwrite {
        /// Which one.
        what: String,
    },
    /// The disk is full; nothing was written.
    #[error("the store is full: make room on its disk; running sagas go on as far as its reserve lasts")]
    Full,
    /// Nobody knows whether it was written.
    #[error("the store didn't answer: the commit may or may not have happened")]
    Ambiguous(#[source] Source),
}

impl CommitError {
    /// A payload that would be overwritten.
    pub(crate) fn overwrites_payload(key: PayloadKey) -> Self {
        Self::Overwrite { what: format!("payload {key:?}") }
    }

    /// A history entry that would be overwritten.
    pub(crate) fn overwrites_history(sequence: u64) -> Self {
        Self::Overwrite { what: format!("history entry {sequence}") }
    }
}
