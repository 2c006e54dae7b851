//! The state of one step and of its operations: the smallest parts of what is stored.
//!
//! Plain data, re-exported by [`crate::saga`]. Invariant: `uncertain` says that some attempt may have had its effect though no
//! answer says so; nothing but a success, a final refusal or a key that was never ours ends that doubt (semantics A1, A2, A9).

use crate::ids::Operation;
use crate::outcome::LastOutcome;
use crate::payload::Digest;
use crate::saga::StuckReason;
use crate::time::Timestamp;

/// Why an operation was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkippedBy {
    /// Its `when` was false.
    Condition,
    /// An operator.
    Operator,
}

/// Where one operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationStatus {
    /// Not asked for.
    Idle,
    /// Asked for; its request is still to be prepared.
    Ready,
    /// An attempt is outstanding: its intent is in this state.
    InFlight {
        /// When the caller gives up waiting for an answer.
        deadline: Timestamp,
    },
    /// The next attempt is due then.
    Retry {
        /// When.
        due: Timestamp,
    },
    /// The outcome is in doubt and the step's query is asking.
    Asking,
    /// The participant will tell us by `CompleteStep`.
    Pending {
        /// Since when.
        since: Timestamp,
    },
    /// Done; for an action: the effect stands.
    Succeeded,
    /// Refused. Whether the effect may stand all the same is said by `uncertain`.
    Rejected,
    /// No more attempts. Whether the effect may stand is said by `uncertain`.
    GaveUp,
    /// Not run.
    Skipped(SkippedBy),
    /// Automatic work gave up; an operator is needed.
    Stuck {
        /// Why.
        reason: StuckReason,
        /// Since when.
        since: Timestamp,
    },
}

/// One operation of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationState {
    /// Where it stands.
    pub status: OperationStatus,
    /// The number of the last attempt; 0 when there was none. Never reused.
    pub attempt: u32,
    /// Attempts that count against the budget since it was last given.
    pub failures: u32,
    /// Some attempt may have had its effect though no answer says so. Only a final refusal clears it (semantics A1, A2).
    pub uncertain: bool,
    /// When the first attempt's intent was recorded.
    pub begun_at: Option<Timestamp>,
    /// Until when an unanswered attempt may still be on its way.
    pub quiet_at: Option<Timestamp>,
    /// Digest of the prepared request.
    pub request: Option<Digest>,
    /// Digest of the first recorded output.
    pub output: Option<Digest>,
    /// The last outcome.
    pub last: Option<LastOutcome>,
}

impl OperationState {
    /// An operation that hasn't been asked for.
    pub const IDLE: OperationState = OperationState {
        status: OperationStatus::Idle,
        attempt: 0,
        failures: 0,
        uncertain: false,
        begun_at: None,
        quiet_at: None,
        request: None,
        output: None,
        last: None,
    };

    /// Whether an attempt is outstanding.
    pub fn is_in_flight(&self) -> bool {
        matches!(self.status, OperationStatus::InFlight { .. })
    }
}

/// One step of a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepState {
    /// The action (TCC: try).
    pub action: OperationState,
    /// The compensation (TCC: cancel).
    pub compensate: OperationState,
    /// The confirm.
    pub confirm: OperationState,
    /// The query.
    pub query: OperationState,
    /// An operator skipped the action while its outcome was in doubt: its compensation runs, in any phase, as a tombstone on
    /// the key (semantics A11).
    pub sealing: bool,
}

impl StepState {
    /// A step that nothing has happened to.
    pub const IDLE: StepState = StepState {
        action: OperationState::IDLE,
        compensate: OperationState::IDLE,
        confirm: OperationState::IDLE,
        query: OperationState::IDLE,
        sealing: false,
    };

    /// One of its operations.
    pub fn operation(&self, operation: Operation) -> &OperationState {
        match operation {
            Operation::Action => &self.action,
            Operation::Compensate => &self.compensate,
            Operation::Confirm => &self.confirm,
            Operation::Query => &self.query,
        }
    }

    /// One of its operations, to be changed.
    pub fn operation_mut(&mut self, operation: Operation) -> &mut OperationState {
        match operation {
            Operation::Action => &mut self.action,
            Operation::Compensate => &mut self.compensate,
            Operation::Confirm => &mut self.confirm,
            Operation::Query => &mut self.query,
        }
    }
}
