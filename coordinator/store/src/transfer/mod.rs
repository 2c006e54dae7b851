//! Moving a store's content to another store, whatever kind each is: what comes out ([`Export`]) and what goes in ([`Import`]).
//!
//! Apart from [`Store`], because no coordinator needs it: a copy is made while none runs. `saga.rs` has all that is kept of one
//! saga, `standing.rs` what says whether a store may be served from, `copy.rs` the copying, `verify.rs` the comparison and `logs.rs` both of logs and documents.
//!
//! Invariants, proven for every backend by `conformance::transfer`:
//! - what is put comes out as it was: revisions, versions, remembered commits and reserved ids too, so that participants' keys
//!   and repeats mean what they meant before;
//! - putting the same again changes nothing; other content under the same key is an error, and nothing of that put stays;
//! - nobody acquires a shard of a store that is being filled or has been moved, and whoever had one is fenced;
//! - every epoch that a filled store gives is higher than any that its source gave.

mod copy;
mod logs;
mod saga;
mod standing;
mod verify;

use amends_engine::ids::SagaKey;
use amends_engine::payload::Digest;
use amends_engine::time::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;

pub use self::copy::{Copied, CopyError, Progress, copy};
pub use self::saga::{IndexRecord, Remembered, SagaRecord};
pub use self::standing::{Filling, Moved, Standing};
pub use self::verify::{Line, Report, Sum};

use crate::contract::{DefinitionRecord, Document, Log, OpId, ParticipantRecord, ShardId, Span, Store};
use crate::error::StoreError;

/// The id of a saga that was swept: the first half of the SHA-256 of its key, since a store keeps these for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReservedId(pub [u8; 16]);

impl ReservedId {
    /// The one of this key.
    pub fn of(key: &SagaKey) -> Self {
        Self::of_text(&key.to_string())
    }

    pub(crate) fn of_text(key: &str) -> Self {
        let Digest(digest) = Digest::of(key.as_bytes());
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(half)
    }
}

/// Where reading reserved ids goes on. Opaque to callers; right as long as nothing is swept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservedPlace(pub(crate) String);

/// A page of reserved ids, in the store's own order, each given once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservedPage {
    /// The ids; a store may give more than were asked for.
    pub ids: Vec<ReservedId>,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<ReservedPlace>,
}

/// A log entry with all that is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its number.
    pub number: u64,
    /// The write that it came with, by which a repeat is recognised.
    pub op: OpId,
    /// What it says.
    pub body: Bytes,
}

/// Why something can't be moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The target has something under a key of the source's that the source has otherwise.
    #[error("the target has another {what} than the source")]
    Differs {
        /// What.
        what: String,
    },
    /// The target isn't empty, so what is in it is another's.
    #[error("the target already holds {what}: give an empty one (on Redis another store.redis.name will do)")]
    NotEmpty {
        /// What was found in it.
        what: String,
    },
    /// The store doesn't stand as the step needs it.
    #[error("{}", standing.explain())]
    Stands {
        /// How it stands.
        standing: Standing,
    },
    /// A node has a shard.
    #[error(
        "node {node} holds a lease on the store: stop every coordinator that uses it, or wait until its leases are over"
    )]
    Held {
        /// Who has it.
        node: String,
        /// Until when, by the store's clock.
        until: Timestamp,
    },
    /// The backend can't keep it as it is.
    #[error("{0}")]
    Unfit(String),
    /// A read or a write failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TransferError {
    pub(crate) fn differs_in_log(shard: ShardId, log: Log, number: u64) -> Self {
        Self::Differs { what: format!("entry {number} in the {} log of shard {}", log.name(), shard.0) }
    }
}

/// What comes out of a store, and how it stands.
#[async_trait]
pub trait Export: Store {
    /// Whether work may be taken from it.
    async fn standing(&self) -> Result<Standing, StoreError>;

    /// All that is kept of these sagas, in their order; `None` where there is none. A saga of which something can't be read
    /// as it is stored is [`StoreError::Corrupt`]; a state that no decoder takes is not.
    async fn records(&self, keys: &[SagaKey]) -> Result<Vec<Option<SagaRecord>>, StoreError>;

    /// About `limit` reserved ids, from a place on or from the beginning.
    async fn reserved(&self, from: Option<ReservedPlace>, limit: usize) -> Result<ReservedPage, StoreError>;

    /// How many reserved ids there are.
    async fn count_reserved(&self) -> Result<u64, StoreError>;

    /// Which of these ids are reserved, in their order.
    async fn are_reserved(&self, ids: &[ReservedId]) -> Result<Vec<bool>, StoreError>;

    /// Every version of every definition of all tenants, by namespace, name and version.
    async fn every_definition(&self) -> Result<Vec<DefinitionRecord>, StoreError>;

    /// Entries of a log with their op ids, as [`Store::read_log`] gives them without.
    async fn log_records(
        &self,
        shard: ShardId,
        log: Log,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogRecord>, StoreError>;

    /// Every kind of which there is a document, in order.
    async fn document_kinds(&self) -> Result<Vec<String>, StoreError>;

    /// Says where the store has gone: from now on nobody acquires a shard of it. Refused unless it is in use or was moved
    /// there already, and while a node has a shard.
    async fn mark_moved(&self, moved: &Moved) -> Result<(), TransferError>;

    /// Takes that mark away. Not an error where there is none; refused for a store that is being filled.
    async fn reopen(&self) -> Result<(), TransferError>;
}

/// What goes into a store. Every method but [`Import::begin`] and [`Import::finish`] needs the store to be filled under the
/// same [`Filling`], and may be repeated.
#[async_trait]
pub trait Import: Export {
    /// Begins, or goes on: refused unless the store is empty or is being filled under the same. Until [`Import::finish`] nobody
    /// acquires a shard, and afterwards every epoch is higher than the source's highest.
    async fn begin(&self, filling: &Filling) -> Result<(), TransferError>;

    /// Puts sagas; says how many weren't there yet.
    async fn put_sagas(&self, filling: &Filling, sagas: Vec<SagaRecord>) -> Result<u64, TransferError>;

    /// Reserves ids.
    async fn put_reserved(&self, filling: &Filling, ids: Vec<ReservedId>) -> Result<(), TransferError>;

    /// Puts definitions, with their version numbers and deprecations.
    async fn put_definitions(&self, filling: &Filling, records: Vec<DefinitionRecord>) -> Result<(), TransferError>;

    /// Puts participants, with their revisions.
    async fn put_participants(&self, filling: &Filling, records: Vec<ParticipantRecord>) -> Result<(), TransferError>;

    /// Says which numbers a log has, and puts entries of it. Its shard must be there, and the log have no other numbers yet.
    async fn put_log(
        &self,
        filling: &Filling,
        shard: ShardId,
        log: Log,
        span: Span,
        records: Vec<LogRecord>,
    ) -> Result<(), TransferError>;

    /// Puts documents, with their revisions; all later ones are higher.
    async fn put_documents(&self, filling: &Filling, documents: Vec<Document>) -> Result<(), TransferError>;

    /// Opens the store for work. Not an error where that was done already.
    async fn finish(&self, filling: &Filling) -> Result<(), TransferError>;
}
