//! A shard: a fixed part of the sagas with one single-threaded owner.
//!
//! ```text
//!   requests ──►┐                         ┌──► commit ──► group commit ──► store
//!   answers ───►│ select! names an event  │                                  │
//!   commits ───►│ a plain function        │◄────────── committed ◄───────────┘
//!   clock ─────►┘ handles it: apply ──────┴──► only then: calls, replies, notices
//! ```
//!
//! `owner.rs` is the loop, `committed.rs` what follows a commit, `resident.rs` a saga in memory, `turn.rs` the pure part of a turn, `admission.rs` asks whether it may, `asleep.rs` keeps those that wait out of memory, `auditing.rs` writes the audit log, `calls.rs` starts calls, `reading.rs`
//! understands their answers, `load.rs` reads sagas back, `supervise.rs` acquires and renews the lease, `telling.rs` counts and traces. Invariant: nothing is called, answered or told before the
//! commit that says so; a lost shard drops all its memory and starts from the store.

mod admission;
mod asleep;
mod auditing;
mod calls;
mod committed;
mod load;
pub(crate) mod overtaken;
mod owner;
mod reading;
pub(crate) mod rejected;
mod resident;
mod scribe;
mod supervise;
mod telling;
pub(crate) mod turn;

use std::sync::Arc;

use amends_definition::Compiled;
use amends_engine::event::Event;
use amends_engine::ids::SagaKey;
use amends_engine::payload::Payload;
use amends_engine::saga::SagaHead;
use amends_engine::time::Timestamp;
use amends_store::{CommitError, Committed, Epoch};
use tokio::sync::{oneshot, watch};

use crate::audit::Ticket;
use crate::coordinator::{Answered, Progress};
use crate::error::RequestError;
use crate::participant::protection::{Permit, Who};
use crate::snapshot::Snapshot;
use crate::stored::Revived;

pub(crate) use auditing::{LogEnd, NoteRequest};
pub(crate) use reading::OperationReading;
pub(crate) use resident::Values;
pub(crate) use supervise::{ShardContext, Shared, supervise};
pub use telling::Waits;

/// Where the answer to a request goes.
pub(crate) type Reply = oneshot::Sender<Result<Answered, RequestError>>;

/// Where it is told once that a saga has ended or is stuck. Dropped where its owner lets go of it.
pub(crate) type Rest = oneshot::Sender<Arc<Snapshot>>;

/// A saga to be started: everything is checked, only durability is missing.
#[derive(Debug)]
pub(crate) struct StartRequest {
    pub(crate) head: Arc<SagaHead>,
    pub(crate) compiled: Arc<Compiled>,
    /// The input as expressions see it.
    pub(crate) value: serde_json::Value,
    pub(crate) input: Payload,
    pub(crate) reply: Reply,
    /// Who waits for its end, if this is its first start.
    pub(crate) rest: Option<Rest>,
}

/// What comes from outside; bounded, and read only after all that finishes work.
#[expect(clippy::large_enum_variant, reason = "requests are moved once, from the queue to their handler")]
#[derive(Debug)]
pub(crate) enum Request {
    /// Start a saga.
    Start(Box<StartRequest>),
    /// Apply an event that somebody asked for.
    Ask { key: SagaKey, event: Event, expected_revision: Option<u64>, reply: Reply, ticket: Option<Arc<Ticket>> },
    /// Write something down.
    Note(Box<NoteRequest>),
    /// Tell of every commit of a saga.
    Watch { key: SagaKey, reply: oneshot::Sender<watch::Receiver<Option<Progress>>> },
    /// Say what the sagas in memory wait for.
    Waits(oneshot::Sender<Waits>),
    /// Say under which epoch the shard is owned.
    Epoch(oneshot::Sender<Epoch>),
}

impl Request {
    /// Tells whoever asks that nothing is done here, and why.
    pub(crate) fn refuse(self, error: impl FnOnce(&SagaKey) -> RequestError) {
        // Whoever asked may have gone away; a watcher sees the end of its channel.
        match self {
            Self::Start(start) => {
                let error = error(&start.head.key);
                let _ = start.reply.send(Err(error));
            }
            Self::Ask { key, reply, .. } => {
                let _ = reply.send(Err(error(&key)));
            }
            Self::Note(note) => {
                let why = "the shard whose log it belongs to is with another node just now, or is being taken over";
                let _ = note.reply.send(Err(RequestError::Unavailable(why.to_owned())));
            }
            Self::Watch { .. } | Self::Waits(_) | Self::Epoch(_) => {}
        }
    }
}

/// What comes from the owner's own work.
#[derive(Debug)]
pub(crate) enum ShardEvent {
    /// A call ended.
    Answered { key: SagaKey, event: Event },
    /// An attempt that was held back may begin.
    Admitted { who: Arc<Who>, permit: Permit },
    /// The saga's definition isn't paused any more.
    Released { key: SagaKey },
    /// Commits were made, or not.
    Committed(Vec<(SagaKey, Result<Committed, CommitError>)>),
    /// A saga that was asked for is here, or isn't.
    Loaded { key: SagaKey, loaded: Result<Option<Box<Revived>>, RequestError> },
    /// A saga of the due index was read.
    Found(Box<Revived>),
    /// A page of the due index was read, and all that it has was sent; up to `until` when `last`. The next one comes once `taken` is
    /// dropped.
    Scanned { read: Result<(), RequestError>, until: Timestamp, last: bool, taken: oneshot::Sender<()> },
    /// The end of the audit log was read.
    LogOpened(LogEnd),
    /// Entries that belong to no saga were written, or not.
    Appended(Result<Committed, CommitError>),
}

impl ShardEvent {
    /// How many sagas it brings something for: what taking it in costs.
    fn sagas(&self) -> usize {
        match self {
            Self::Committed(results) => results.len(),
            Self::Answered { .. }
            | Self::Admitted { .. }
            | Self::Released { .. }
            | Self::Loaded { .. }
            | Self::Found(_)
            | Self::Scanned { .. }
            | Self::LogOpened(_)
            | Self::Appended(_) => 1,
        }
    }
}
