//! The state of one saga: everything that must survive a crash, and nothing else.
//!
//! Plain data; the rules are in [`mod@crate::apply`]. What can be derived (status, residue, what happens next) is derived in
//! `standing.rs` and never stored. Invariant: a state decoded from the store is the same value that was committed.

use std::sync::Arc;

use crate::definition::Definition;
use crate::ids::{DefinitionName, Operation, SagaKey, StepIndex, Version};
use crate::payload::Digest;
use crate::time::Timestamp;

pub use crate::step::{OperationState, OperationStatus, SkippedBy, StepState};
pub use crate::steps::Steps;

/// What is fixed when a saga is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaHead {
    /// Namespace and id.
    pub key: SagaKey,
    /// The definition's name.
    pub definition: DefinitionName,
    /// The version it is pinned to.
    pub version: Version,
    /// Digest of the input, so that a repeated start with other input is noticed.
    pub input: Digest,
    /// Searchable labels, sorted by key.
    pub labels: Vec<(String, String)>,
    /// Who started it.
    pub principal: String,
    /// The W3C `traceparent` that its calls continue; empty when there is none.
    pub traceparent: String,
}

/// Where a saga stands on its way. Stuck and paused are parked forms of a phase and keep it (design §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Actions run forward.
    Running,
    /// All actions succeeded; confirms run. A point of no return.
    Confirming,
    /// What was done is being undone.
    Compensating,
    /// Terminal: every step is done (and confirmed).
    Completed,
    /// Terminal: every effect is undone, but for the residue that an operator accepted.
    Compensated,
    /// Terminal: an operator stopped it; the residue stands.
    ForceStopped,
}

impl Phase {
    /// Whether nothing more will happen.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Compensated | Self::ForceStopped)
    }
}

/// Why automatic work gave up: the closed list of design §4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StuckReason {
    /// After the pivot, in confirm or in compensation: all attempts are used up.
    RetriesExhausted,
    /// The participant refuses to compensate.
    CompensationRefused,
    /// The participant refuses to confirm.
    ConfirmRefused,
    /// A step after the pivot was rejected.
    RejectedAfterPivot,
    /// Nobody knows whether the pivot happened.
    PivotUnknown,
    /// The participant lost the row of an action that is recorded as succeeded.
    BarrierRowMissing,
    /// The participant holds the same key with another request.
    KeyReused,
    /// A template or condition can't be evaluated.
    ExpressionFailed,
    /// The definition version or the participant isn't there.
    DefinitionOrParticipantMissing,
    /// Credentials, permission or method are wrong, and retries didn't help.
    Misconfigured,
    /// A panic or an unreadable record.
    Poison,
}

impl StuckReason {
    /// Every reason.
    pub const ALL: [StuckReason; 11] = [
        Self::RetriesExhausted,
        Self::CompensationRefused,
        Self::ConfirmRefused,
        Self::RejectedAfterPivot,
        Self::PivotUnknown,
        Self::BarrierRowMissing,
        Self::KeyReused,
        Self::ExpressionFailed,
        Self::DefinitionOrParticipantMissing,
        Self::Misconfigured,
        Self::Poison,
    ];

    /// The word used in lists, filters, alerts and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetriesExhausted => "retries_exhausted",
            Self::CompensationRefused => "compensation_refused",
            Self::ConfirmRefused => "confirm_refused",
            Self::RejectedAfterPivot => "rejected_after_pivot",
            Self::PivotUnknown => "pivot_unknown",
            Self::BarrierRowMissing => "barrier_row_missing",
            Self::KeyReused => "key_reused",
            Self::ExpressionFailed => "expression_failed",
            Self::DefinitionOrParticipantMissing => "definition_or_participant_missing",
            Self::Misconfigured => "misconfigured",
            Self::Poison => "poison",
        }
    }
}

/// A whole saga parked by something that isn't one operation's: poison, or a missing definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Why.
    pub reason: StuckReason,
    /// What was found, for people.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// Who asked for something and why; part of every change that a person makes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct By {
    /// Who.
    pub principal: String,
    /// Why; required where the machine is overridden.
    pub reason: String,
}

/// Since when, and by whom, a saga is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// Since when.
    pub since: Timestamp,
    /// By whom and why.
    pub by: By,
}

/// That a person looks after what is stuck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// When they said so.
    pub at: Timestamp,
    /// Who, with their note.
    pub by: By,
}

/// A cancel that had to wait because the pivot was in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRequest {
    /// When it came.
    pub at: Timestamp,
    /// From whom and why.
    pub by: By,
}

/// Why a saga turned back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// This step was refused.
    Rejected(StepIndex),
    /// This step's attempts or its time were used up.
    GaveUp(StepIndex),
    /// This step's request or condition can't be evaluated.
    ExpressionFailed(StepIndex),
    /// Somebody cancelled it.
    Cancelled(By),
    /// The saga's deadline passed.
    Deadline,
    /// An operator said that this step did not happen.
    ResolvedAsNotHappened(StepIndex),
}

/// The decision to compensate; durable before the first compensation is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Timestamp,
}

/// Everything about a saga that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaState {
    /// What is fixed. Shared by all copies of the state, of which every turn makes some.
    pub head: Arc<SagaHead>,
    /// +1 at every committed change; the basis of every compare-and-set. Set by whoever commits; 0 before the first commit.
    pub revision: u64,
    /// How many history entries there are; numbers the next one.
    pub history_length: u64,
    /// Where it stands.
    pub phase: Phase,
    /// Parked as a whole.
    pub parked: Option<Parked>,
    /// Paused by an operator.
    pub paused: Option<Paused>,
    /// Why it turned back, once it has.
    pub decision: Option<Decision>,
    /// A cancel that waits for the pivot.
    pub cancel: Option<CancelRequest>,
    /// Somebody looks after what is stuck; gone once something else is, or nothing is any more.
    pub acknowledgement: Option<Acknowledgement>,
    /// When it is to be compensated if the pivot hasn't been begun; later only an alarm.
    pub deadline: Timestamp,
    /// The deadline has passed where it can only raise an alarm.
    pub late: bool,
    /// Replies that differed from the first recorded output.
    pub nondeterministic: u32,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it reached a terminal phase.
    pub ended_at: Option<Timestamp>,
    /// One for each step of the definition.
    pub steps: Steps,
}

/// A state together with the definition that it is pinned to: what the machine works on.
#[derive(Debug, Clone, PartialEq)]
pub struct Saga {
    /// The definition.
    pub definition: Arc<Definition>,
    /// The state.
    pub state: SagaState,
}

/// A stored state that doesn't fit its definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("saga {key}: its state has {steps} steps, its definition {expected}")]
pub struct Mismatch {
    /// Which saga.
    pub key: SagaKey,
    /// Steps in the state.
    pub steps: usize,
    /// Steps in the definition.
    pub expected: usize,
}

impl Saga {
    /// Puts a loaded state and its definition together again.
    pub fn resume(state: SagaState, definition: Arc<Definition>) -> Result<Self, Mismatch> {
        let expected = definition.steps().len();
        if state.steps.len() != expected {
            return Err(Mismatch { key: state.head.key.clone(), steps: state.steps.len(), expected });
        }
        Ok(Self { definition, state })
    }

    /// The state of a step.
    pub fn step(&self, index: StepIndex) -> &StepState {
        &self.state.steps[index.get()]
    }

    /// The state of an operation.
    pub fn operation(&self, index: StepIndex, operation: Operation) -> &OperationState {
        self.step(index).operation(operation)
    }
}
