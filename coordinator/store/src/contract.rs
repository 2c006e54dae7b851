//! What every store promises: the trait, the values it takes and gives, and the rules between them.
//!
//! A store saves states; it never computes them and never matches on a status: the words in [`IndexRow`] are opaque to it.
//! Invariants, proven for every backend by `conformance`:
//! - all or nothing per saga, and a rejected commit fails alone, not its batch;
//! - a commit under an old epoch or nonce is [`CommitError::Fenced`];
//! - at a wrong revision it is [`CommitError::Stale`], which says nothing about what happened: reload, conclude nothing;
//! - with an entry that isn't its log's next it is [`CommitError::StaleLog`], and nothing of it is written;
//! - repeated with the same op id and content it is [`Committed::Duplicate`], and that is a success (semantics A16), as long
//!   as it is among the last [`OPS_REMEMBERED`] commits of its saga;
//! - what is answered `Ok` survives a kill of the process, and in strict durability a power cut;
//! - nothing unfinished ever expires; a finished saga's id stays reserved after its record is swept (semantics A9).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaKey, Version};
use amends_engine::payload::{Digest, Payload, PayloadKey};
use amends_engine::time::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;

pub use crate::census::{Census, OpenCount};
pub use crate::documents::Document;
use crate::error::{CommitError, StoreError};
pub use crate::logs::{Append, Log, Span};
pub use crate::membership::{Acquired, NodeRecord, Tenure};

/// A fixed partition of the sagas, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// Which tenure of a shard: every acquisition gets a higher one than any before it, in any store (semantics A7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Random, one per acquisition: tells two owners apart even where an epoch was lost and given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub u128);

/// Random, one per commit attempt, never derived from its content (semantics A16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u128);

/// How many of a saga's last commits are recognised when they are repeated. More than one, because a client library may send
/// a commit again after the next one went out behind it (semantics A16).
pub const OPS_REMEMBERED: usize = 4;

/// Where a store reads the time, so that tests and the simulation can give it theirs.
pub type TimeSource = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The right to write a shard's sagas. Safety rests on epoch and nonce; time only decides who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    /// Which shard.
    pub shard: ShardId,
    /// Which tenure.
    pub epoch: Epoch,
    /// Whose.
    pub nonce: Nonce,
}

/// The searchable side of a saga, as words that the store doesn't interpret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRow {
    /// The status word, as lists and filters use it.
    pub status: &'static str,
    /// Why it is stuck; absent when it isn't.
    pub stuck: Option<&'static str>,
    /// The definition's name.
    pub definition: DefinitionName,
    /// The definition's version.
    pub version: Version,
    /// Labels by which it can be found, sorted by key. Fixed at the first commit.
    pub labels: Vec<(String, String)>,
    /// When it was started. Fixed at the first commit.
    pub started_at: Timestamp,
    /// Whether it is unfinished: only then does [`Store::due`] or [`Store::open_sagas`] give it.
    pub open: bool,
    /// At which participant it is held up; absent where it isn't.
    pub held_up_at: Option<ParticipantName>,
    /// Whether somebody has acknowledged how it stands.
    pub acknowledged: bool,
}

/// One change of one saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The right under which it is written.
    pub lease: Lease,
    /// Which saga; must belong to the lease's shard.
    pub key: SagaKey,
    /// Names this very attempt to commit.
    pub op: OpId,
    /// The revision that it builds on; 0: the saga must not exist yet. The commit makes it `expected_revision + 1`.
    pub expected_revision: u64,
    /// The new state, as `record::encode_state` gives it.
    pub state: Bytes,
    /// Payloads written with it; each key is written once in a saga's life, a repeat with the same bytes is harmless.
    pub payloads: Vec<(PayloadKey, Payload)>,
    /// New history entries, as `record::encode_history` gives them, with their sequence numbers; each is written once, like
    /// a payload.
    pub history: Vec<(u64, Bytes)>,
    /// When the saga must be looked at again; `None` for a parked or finished one.
    pub due: Option<Timestamp>,
    /// Its searchable side.
    pub index: IndexRow,
    /// Until when a finished saga is kept; `None` for an unfinished one, which is kept for ever.
    pub retain_until: Option<Timestamp>,
    /// New entries of the shard's logs, written with it or not at all.
    pub logs: Vec<Append>,
}

impl Commit {
    /// What tells a repeat of this commit from another one that happens to carry the same op id.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.state)
    }
}

/// A commit that is in the store, with the shard's commit number: +1 for every commit that is accepted, never down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Now.
    Now {
        /// The number that this commit got.
        number: u64,
    },
    /// By an earlier attempt with the same op id and content; it counts only once.
    Duplicate {
        /// The shard's number now, which is at least the one that the earlier attempt got.
        number: u64,
    },
}

impl Committed {
    /// The shard's commit number after it.
    pub fn number(&self) -> u64 {
        match self {
            Self::Now { number } | Self::Duplicate { number } => *number,
        }
    }
}

/// A saga as it was last committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSaga {
    /// Which saga.
    pub key: SagaKey,
    /// Its revision, from 1.
    pub revision: u64,
    /// Its state, to be read by `record::decode_state`.
    pub state: Bytes,
    /// All its payloads, in the order of their keys.
    pub payloads: Vec<(PayloadKey, Payload)>,
    /// When it must be looked at again.
    pub due: Option<Timestamp>,
}

/// A saga in a list: its state without payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSaga {
    /// Which saga.
    pub key: SagaKey,
    /// Its revision.
    pub revision: u64,
    /// Its state, to be read by `record::decode_state`.
    pub state: Bytes,
    /// The status word of its last commit: right even where the state can't be read.
    pub status: String,
}

/// Which sagas to list; empty fields don't narrow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this tenant's.
    pub namespace: Option<Namespace>,
    /// Any of these status words.
    pub statuses: Vec<String>,
    /// Only of this definition.
    pub definition: Option<DefinitionName>,
    /// Only of this version.
    pub version: Option<Version>,
    /// Only stuck for this reason.
    pub stuck: Option<String>,
    /// All of these labels.
    pub labels: Vec<(String, String)>,
    /// Only those that are held up at this participant.
    pub held_up_at: Option<ParticipantName>,
    /// Only those that nobody has acknowledged.
    pub unacknowledged: bool,
    /// Only unfinished ones whose last error (`engine::standing::last_error`, as `CODE: message`) has this text in it, in
    /// upper or lower case. In no index: read from the states.
    pub error: Option<String>,
    /// Only unfinished ones that have been stuck since then or longer (`engine::standing::waiting_since`, read from the states),
    /// or that aren't stuck and were started by then.
    pub waiting_since: Option<Timestamp>,
}

/// A kind of sagas: all that they are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SagaKind {
    /// The definition's name.
    pub definition: DefinitionName,
    /// The definition's version.
    pub version: Version,
    /// The status word.
    pub status: String,
    /// Why they are stuck; absent when they aren't.
    pub stuck: Option<String>,
    /// At which participant they are held up; absent where they aren't.
    pub held_up_at: Option<ParticipantName>,
}

/// Where a listing goes on. Opaque to callers; stays right while sagas come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Start time of the last saga given.
    pub started_at: Timestamp,
    /// Its key.
    pub key: SagaKey,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What was found, at most as many as were asked for.
    pub items: Vec<T>,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<Cursor>,
}

/// That a version takes no new sagas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprecation {
    /// Since when.
    pub at: Timestamp,
    /// Who said so.
    pub principal: String,
    /// Why.
    pub reason: String,
}

/// A definition version as it was registered. Immutable, but for its deprecation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionRecord {
    /// Whose.
    pub namespace: Namespace,
    /// Its name.
    pub name: DefinitionName,
    /// Its version, given by the store: 1, 2, 3 … per name.
    pub version: Version,
    /// Digest of `body`, by which the same content is recognised.
    pub digest: Digest,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// By whom.
    pub principal: String,
    /// Source, descriptors and all that compiling needs, encoded by whoever registers.
    pub body: Bytes,
    /// Set on a version that takes no new sagas; its sagas run on. There is no delete.
    pub deprecated: Option<Deprecation>,
}

/// A participant as it was registered last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantRecord {
    /// Whose.
    pub namespace: Namespace,
    /// Its name.
    pub name: ParticipantName,
    /// +1 at every change, from 1.
    pub revision: u64,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// By whom.
    pub principal: String,
    /// Endpoints, promises and descriptors, encoded by whoever registers.
    pub body: Bytes,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Should be mended.
    Warning,
    /// Data is at risk.
    Error,
}

/// Something that `doctor` tells about a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was found, and what to do about it.
    pub message: String,
}

/// What a store is, for start-up logs, the console and `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInfo {
    /// "memory", "sqlite" …
    pub kind: &'static str,
    /// Random, given when the store was created.
    pub id: String,
    /// How many shards it has; fixed when it was created.
    pub shards: u16,
    /// What an answered commit survives, in plain words.
    pub durability: &'static str,
    /// Whether it survives a power cut of one machine.
    pub strict: bool,
}

/// Remembers sagas, definitions and participants.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// What this store is.
    fn info(&self) -> StoreInfo;

    /// The store's clock; the only one that owners on several machines share.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// Takes a shard, whoever had it: the new epoch is max(stored epoch + 1, store time in ms), so that it is higher than
    /// any earlier one of any shard, store, restore or migration. Refused with [`StoreError::Held`] while another node's
    /// lease is still valid, and with [`StoreError::Closed`] for a store that isn't in use (`transfer::Standing`).
    async fn acquire(
        &self,
        shard: ShardId,
        node: &str,
        nonce: Nonce,
        lease_for: Duration,
    ) -> Result<Acquired, StoreError>;

    /// Makes a lease valid for another `lease_for` from now. [`StoreError::LeaseLost`] when somebody else has the shard.
    async fn renew(&self, lease: Lease, lease_for: Duration) -> Result<(), StoreError>;

    /// Gives a shard back, so that another node can take it at once; the lease writes nothing more. Not an error when it was
    /// lost already.
    async fn release(&self, lease: Lease) -> Result<(), StoreError>;

    /// Who has which shard: every one that was ever acquired, by shard. One cheap read, for placement and for people.
    async fn tenures(&self) -> Result<Vec<Tenure>, StoreError>;

    /// Says that a node is there: adds its record or replaces the one of that name, and sets when it was heard.
    async fn heartbeat(&self, node: &NodeRecord) -> Result<(), StoreError>;

    /// Removes a node's record: it has stopped, or has been silent for long. Not an error when there is none.
    async fn forget_node(&self, name: &str) -> Result<(), StoreError>;

    /// All nodes that were heard and not forgotten, by name. Whether one still lives is the caller's judgement, by its age.
    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError>;

    /// Writes each commit or says why not, in the order given; the answers are in the same order. A commit is judged in this
    /// order: shard, fence, repeat, revision, log numbers, written once. Times past `i64::MAX` ms may be kept as that.
    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed, CommitError>>;

    /// One saga; `None` when it isn't there.
    async fn get(&self, key: &SagaKey) -> Result<Option<StoredSaga>, StoreError>;

    /// History entries from sequence number `from` on, at most `limit`, in order.
    async fn history(&self, key: &SagaKey, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StoreError>;

    /// Open sagas of a shard with `after < due <= until`, the earliest first and by key where they are due together, at most
    /// `limit`; with `after` absent, from the beginning. Sagas with one due time may be cut by `limit`: ask again with
    /// `resume` set to the last (due, key) given. A saga whose payloads can't be read is given with an empty state, which no
    /// decoder takes, here and by [`Store::get`].
    async fn due(
        &self,
        shard: ShardId,
        after: Option<Timestamp>,
        until: Timestamp,
        resume: Option<(Timestamp, SagaKey)>,
        limit: usize,
    ) -> Result<Vec<StoredSaga>, StoreError>;

    /// How many unfinished sagas there are in a shard.
    async fn open_sagas(&self, shard: ShardId) -> Result<u64, StoreError>;

    /// How many unfinished sagas of each kind a shard has, and its commit number at that very moment. Once per tenure: it may
    /// walk all unfinished sagas of the shard.
    async fn census(&self, shard: ShardId) -> Result<Census, StoreError>;

    /// When the oldest unfinished saga of a shard with this status word started; `None` when there is none. Costs no walk over
    /// the others of that shard.
    async fn oldest_open(&self, shard: ShardId, status: &str) -> Result<Option<Timestamp>, StoreError>;

    /// When the oldest saga started that the store still has, whatever its status; `None` when it has none.
    async fn oldest_start(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Sagas that match, newest start first, and from the highest key down where they started together. A saga's place never
    /// changes: none comes twice, and none is left out that matched all the time, whatever moves meanwhile. A filter that isn't
    /// answered by an index alone may give a page with fewer than `limit`, even none, and a place where it goes on.
    async fn list(&self, filter: &Filter, after: Option<&Cursor>, limit: usize)
    -> Result<Page<ListedSaga>, StoreError>;

    /// How many sagas match, exactly, by kind and in the order of the kinds; each at least 1. Costs no walk over them, unless
    /// the filter has labels (all with the first label are walked), an error or an age (the unfinished ones are).
    async fn count(&self, filter: &Filter) -> Result<Vec<(SagaKind, u64)>, StoreError>;

    /// How many unfinished sagas of a definition there are, by version and status word, in the order of both.
    async fn count_open(
        &self,
        namespace: &Namespace,
        definition: &DefinitionName,
    ) -> Result<Vec<(Version, String, u64)>, StoreError>;

    /// Removes finished sagas whose retention has passed (`retain_until <= now`), those first that passed it first, at most
    /// `limit`, keeping their ids reserved; says how many.
    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError>;

    /// Registers a definition: the same content gives the version it has already, other content the next one.
    async fn put_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        body: Bytes,
        principal: &str,
        now: Timestamp,
    ) -> Result<DefinitionRecord, StoreError>;

    /// A definition's version, or its latest when none is named.
    async fn get_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Option<Version>,
    ) -> Result<Option<DefinitionRecord>, StoreError>;

    /// All versions of a definition, the oldest first.
    async fn definition_versions(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
    ) -> Result<Vec<DefinitionRecord>, StoreError>;

    /// Marks a version as deprecated, or takes the mark away; the last word counts. `None`: there is no such version.
    async fn deprecate_definition(
        &self,
        namespace: &Namespace,
        name: &DefinitionName,
        version: Version,
        deprecation: Option<Deprecation>,
    ) -> Result<Option<DefinitionRecord>, StoreError>;

    /// The latest version of every definition of a tenant, by name.
    async fn list_definitions(&self, namespace: &Namespace) -> Result<Vec<DefinitionRecord>, StoreError>;

    /// Registers or changes a participant; every accepted put is a change. With `expected` it must be at that revision (0:
    /// not there), else [`StoreError::Conflict`].
    async fn put_participant(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
        body: Bytes,
        expected: Option<u64>,
        principal: &str,
        now: Timestamp,
    ) -> Result<ParticipantRecord, StoreError>;

    /// One participant.
    async fn get_participant(
        &self,
        namespace: &Namespace,
        name: &ParticipantName,
    ) -> Result<Option<ParticipantRecord>, StoreError>;

    /// All participants of a tenant, by name.
    async fn list_participants(&self, namespace: &Namespace) -> Result<Vec<ParticipantRecord>, StoreError>;

    /// The participants of all tenants, by namespace and name: whoever takes up open sagas needs them all.
    async fn all_participants(&self) -> Result<Vec<ParticipantRecord>, StoreError>;

    /// What can be found wrong at a glance, without reading what it holds: for pages that are looked at all the time.
    async fn glance(&self) -> Result<Vec<Finding>, StoreError>;

    /// Writes entries to a shard's logs without a saga, all or nothing; counts as one commit of the shard. Repeated with the same
    /// op id and entries it is [`Committed::Duplicate`], as long as none of them was trimmed. Judged in this order: fence,
    /// repeat, numbers; a shard that there isn't is fenced. No entries are a repeat of nothing.
    ///
    /// Commits that are under way may be answered behind it with lower numbers: whoever watches for numbers that fall must not
    /// take this one for the highest that was confirmed before.
    async fn append(&self, lease: Lease, op: OpId, entries: Vec<Append>) -> Result<Committed, CommitError>;

    /// Entries of a log with their numbers, from number `from` on, at most `limit`, in order. What was trimmed is left out.
    async fn read_log(
        &self,
        shard: ShardId,
        log: Log,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError>;

    /// Which numbers a log has. A shard's owner is the only one who writes its logs, so it needs this once per tenure and
    /// after a [`CommitError::StaleLog`] or [`CommitError::Ambiguous`].
    async fn log_span(&self, shard: ShardId, log: Log) -> Result<Span, StoreError>;

    /// Removes a log's entries below a number, at most all there are; their numbers are never given again. Not an error where
    /// they are gone already; [`StoreError::LeaseLost`] under any lease but the shard's current one.
    async fn trim_log(&self, lease: Lease, log: Log, below: u64) -> Result<(), StoreError>;

    /// Makes or changes a document, and says its new revision. With `expected` it must be at that revision (0: not there), else
    /// [`StoreError::Conflict`].
    async fn put_document(&self, kind: &str, id: &str, body: Bytes, expected: Option<u64>) -> Result<u64, StoreError>;

    /// One document.
    async fn get_document(&self, kind: &str, id: &str) -> Result<Option<Document>, StoreError>;

    /// Documents of a kind whose id comes after `after`, by id, at most `limit`.
    async fn list_documents(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<Document>, StoreError>;

    /// Removes a document; says whether there was one. With `expected` it must be at that revision, as for a put.
    async fn delete_document(&self, kind: &str, id: &str, expected: Option<u64>) -> Result<bool, StoreError>;

    /// Looks for damage: for `doctor` and for start-up.
    async fn check(&self) -> Result<Vec<Finding>, StoreError>;
}

/// The shard that a saga belongs to, for ever: the first bytes of the SHA-256 of its key, modulo the number of shards.
pub fn shard_of(key: &SagaKey, shards: u16) -> ShardId {
    let Digest(digest) = Digest::of(key.to_string().as_bytes());
    ShardId(u16::from_be_bytes([digest[0], digest[1]]) % shards.max(1))
}
