//! What the history says about a change, from the machine's side.
//!
//! The runtime adds node and epoch, the store the bytes. Invariant: one entry per change, numbered without gaps within a
//! saga; no payload bytes, digests only.

use crate::ids::{Operation, StepIndex, Version};
use crate::outcome::{CallFacts, OutcomeKind, Why};
use crate::payload::Digest;
use crate::saga::{By, Cause, StuckReason};
use crate::time::Timestamp;

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The saga was started.
    Started,
    /// The step's `when` was false.
    ConditionFalse,
    /// A request or condition could not be evaluated.
    PrepareFailed,
    /// An attempt ended with this outcome.
    AttemptEnded(OutcomeKind),
    /// An answer came for an attempt that no longer counts; recorded, not acted on as progress.
    LateAnswer(OutcomeKind),
    /// A repeat gave another output than the first one recorded.
    Nondeterministic,
    /// A participant told us about a pending operation.
    CalledBack(OutcomeKind),
    /// The pending operation's time is over.
    PendingExpired,
    /// The saga turned back.
    DecidedToCompensate(Cause),
    /// All actions succeeded; confirming began.
    DecidedToConfirm,
    /// A cancel was recorded while the pivot is in doubt.
    CancelRecorded,
    /// The deadline passed where it can only raise an alarm.
    Late,
    /// An operation got stuck.
    Stuck(StuckReason),
    /// The saga was parked as a whole.
    Parked(StuckReason),
    /// An operator gave a fresh budget of attempts.
    Retried,
    /// An operator skipped an operation.
    Skipped,
    /// An operator stated that an operation did happen.
    ResolvedAsHappened,
    /// An operator stated that an operation did not happen.
    ResolvedAsNotHappened,
    /// Paused.
    Paused,
    /// Resumed.
    Resumed,
    /// Terminal: completed.
    Completed,
    /// Terminal: compensated.
    Compensated,
    /// Terminal: force-stopped.
    ForceStopped,
    /// A person looks after what is stuck.
    Acknowledged,
    /// Moved to this version of its definition.
    Repinned(Version),
}

/// One line of a saga's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its number within the saga, from 0.
    pub sequence: u64,
    /// When it was applied.
    pub at: Timestamp,
    /// What changed.
    pub change: Change,
    /// The step, where it is about one.
    pub step: Option<StepIndex>,
    /// The operation, where it is about one.
    pub operation: Option<Operation>,
    /// The attempt, where it is about one.
    pub attempt: Option<u32>,
    /// Code and message, where there are any.
    pub why: Why,
    /// Facts about the call, for an attempt.
    pub call: Option<CallFacts>,
    /// Digest of the request's bytes, for an attempt.
    pub request: Option<Digest>,
    /// When the next attempt is due, where one was planned.
    pub next_due: Option<Timestamp>,
    /// Who asked for it and why, where somebody did.
    pub by: Option<By>,
}

impl HistoryEntry {
    /// An entry about the saga as a whole, with no details yet.
    pub fn new(sequence: u64, at: Timestamp, change: Change) -> Self {
        Self {
            sequence,
            at,
            change,
            step: None,
            operation: None,
            attempt: None,
            why: Why::default(),
            call: None,
            request: None,
            next_due: None,
            by: None,
        }
    }
}
