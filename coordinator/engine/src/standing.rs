//! Where a saga stands, in the words that people and filters use: its status, and why it isn't moving.
//!
//! Derived from the state, never stored, so that a list can't disagree with the machine. Breaker, limits and frozen shards are
//! known to the runtime only and aren't here. Invariant: an open saga is calling or preparing something, or [`waits`] says
//! for what it waits, or [`Saga::stuck`] says why.

use crate::ids::{Operation, StepIndex};
use crate::outstanding;
use crate::saga::{OperationStatus, Phase, Saga};
use crate::time::Timestamp;

mod held_up;

pub use held_up::{LastError, held_up_at, last_error, waiting_since};

/// A saga's status: its phase, or that it is parked in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusWord {
    /// Actions run forward.
    Running,
    /// Confirms run; a point of no return.
    Confirming,
    /// What was done is being undone.
    Compensating,
    /// Automatic work gave up somewhere; an operator is needed.
    Stuck,
    /// An operator paused it.
    Paused,
    /// Ended: every step is done.
    Completed,
    /// Ended: every effect is undone, but for the residue.
    Compensated,
    /// Ended by an operator where it stood.
    ForceStopped,
}

impl StatusWord {
    /// Every status, in the order of a saga's life.
    pub const ALL: [StatusWord; 8] = [
        Self::Running,
        Self::Confirming,
        Self::Compensating,
        Self::Stuck,
        Self::Paused,
        Self::Completed,
        Self::Compensated,
        Self::ForceStopped,
    ];

    /// The word used in lists, filters, metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Confirming => "confirming",
            Self::Compensating => "compensating",
            Self::Stuck => "stuck",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
            Self::ForceStopped => "force_stopped",
        }
    }
}

impl std::fmt::Display for StatusWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The status of a saga. One that is stuck and paused is stuck: resuming it would not be enough.
pub fn status(saga: &Saga) -> StatusWord {
    match saga.state.phase {
        Phase::Completed => StatusWord::Completed,
        Phase::Compensated => StatusWord::Compensated,
        Phase::ForceStopped => StatusWord::ForceStopped,
        Phase::Running | Phase::Confirming | Phase::Compensating if saga.stuck().is_some() => StatusWord::Stuck,
        Phase::Running | Phase::Confirming | Phase::Compensating if saga.state.paused.is_some() => StatusWord::Paused,
        Phase::Running => StatusWord::Running,
        Phase::Confirming => StatusWord::Confirming,
        Phase::Compensating => StatusWord::Compensating,
    }
}

/// What an open saga waits for that comes by itself or from outside; being stuck is something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitingReason {
    /// The next attempt is due at a known time.
    RetryDue,
    /// The participant will tell us by `CompleteStep`.
    Pending,
    /// An unanswered attempt may still be on its way; its step is compensated once it can't be.
    Quiet,
    /// An operator paused the saga.
    Paused,
    /// Its participant doesn't answer, so nobody calls it for now. Known to the runtime only.
    BreakerOpen,
    /// Other calls of its participant come first. Known to the runtime only.
    Limit,
}

impl WaitingReason {
    /// Every reason that follows from a state.
    pub const ALL: [WaitingReason; 4] = [Self::RetryDue, Self::Pending, Self::Quiet, Self::Paused];

    /// The word used in lists and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryDue => "retry_due",
            Self::Pending => "pending",
            Self::Quiet => "quiet",
            Self::Paused => "paused",
            Self::BreakerOpen => "breaker_open",
            Self::Limit => "limit",
        }
    }
}

/// Why a saga isn't moving just now, since when, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// For what.
    pub reason: WaitingReason,
    /// The step concerned; `None` when it is the saga as a whole.
    pub step: Option<StepIndex>,
    /// The operation concerned.
    pub operation: Option<Operation>,
    /// Since when.
    pub since: Timestamp,
    /// When it goes on at the latest; `None` when that depends on somebody else.
    pub until: Option<Timestamp>,
}

/// All that an open saga waits for, what ends first at the head and what has no end of its own last; also beside a stuck step
/// that doesn't hold it up. Empty while it is calling or preparing something, and for a saga that is parked as a whole or has
/// ended. A paused saga waits for nothing else, even while answers are outstanding.
pub fn waits(saga: &Saga) -> Vec<Waiting> {
    if saga.state.phase.is_terminal() || saga.state.parked.is_some() {
        return Vec::new();
    }
    if let Some(paused) = &saga.state.paused {
        let since = paused.since;
        return vec![Waiting { reason: WaitingReason::Paused, step: None, operation: None, since, until: None }];
    }
    if !outstanding::outstanding(saga).is_empty() {
        return Vec::new();
    }
    let steps = saga.definition.indices();
    let places = steps.flat_map(|step| outstanding::OPERATIONS.map(|operation| waiting_of(saga, step, operation)));
    let mut waits: Vec<Waiting> = places.flatten().collect();
    waits.sort_by_key(|waiting| (waiting.until.is_none(), waiting.until));
    waits
}

/// The first of [`waits`].
pub fn waiting(saga: &Saga) -> Option<Waiting> {
    waits(saga).into_iter().next()
}

fn waiting_of(saga: &Saga, step: StepIndex, operation: Operation) -> Option<Waiting> {
    let state = saga.operation(step, operation);
    let wait =
        |reason, since, until| Some(Waiting { reason, step: Some(step), operation: Some(operation), since, until });
    match state.status {
        OperationStatus::Retry { due } if saga.is_live(step, operation) => {
            let since = state.last.as_ref().map_or(saga.state.updated_at, |last| last.at);
            wait(WaitingReason::RetryDue, since, Some(due))
        }
        OperationStatus::Pending { since } if saga.is_live(step, operation) => {
            wait(WaitingReason::Pending, since, saga.pending_end(step, operation))
        }
        OperationStatus::Idle if operation == Operation::Compensate => {
            let until = outstanding::quiet_until(saga, step)?;
            let since = saga.state.decision.as_ref().map_or(saga.state.updated_at, |decision| decision.at);
            wait(WaitingReason::Quiet, since, Some(until))
        }
        OperationStatus::Retry { .. }
        | OperationStatus::Pending { .. }
        | OperationStatus::Idle
        | OperationStatus::Ready
        | OperationStatus::InFlight { .. }
        | OperationStatus::Asking
        | OperationStatus::Succeeded
        | OperationStatus::Rejected
        | OperationStatus::GaveUp
        | OperationStatus::Skipped(_)
        | OperationStatus::Stuck { .. } => None,
    }
}
