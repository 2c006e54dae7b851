//! Everything that can happen to a saga.
//!
//! Events are facts or requests that somebody else observed; they carry what the engine may not find out by itself (the time,
//! a random delay, evaluated templates). Invariant: applying the same events in the same order gives the same saga.

use std::sync::Arc;
use std::time::Duration;

use crate::definition::Definition;
use crate::ids::{Operation, StepIndex, Version};
use crate::outcome::{CallFacts, Outcome, Why};
use crate::payload::Payload;
use crate::saga::{By, StuckReason};

/// What an operator found out about an operation in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It did happen; this is its output.
    Happened(Payload),
    /// It did not happen.
    DidNotHappen,
}

/// What a participant tells us later about a pending operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The effect stands; this is its output.
    Succeeded(Payload),
    /// It was refused.
    Rejected {
        /// Why.
        why: Why,
        /// See [`Outcome::Rejected`].
        last_word: bool,
    },
}

/// Another version of a saga's definition, and how it was compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Repin {
    /// The version that `elsewhere` was compared with; the saga must still be on it.
    pub from: Version,
    /// The version to go on by.
    pub definition: Arc<Definition>,
    /// The operations that call something else there: another protocol or method.
    pub elsewhere: Vec<(StepIndex, Operation)>,
    /// Who and why.
    pub by: By,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The owner (re)loaded the saga: attempts that are outstanding in it count as sent and unknown (semantics A1).
    Loaded,
    /// A step's requests were evaluated: that of the operation that was asked for, and any other that is complete already.
    Prepared {
        /// The step.
        step: StepIndex,
        /// The operation whose request was asked for.
        operation: Operation,
        /// Requests by operation; holds at least the one that was asked for.
        requests: Vec<(Operation, Payload)>,
    },
    /// A step's `when` is false.
    ConditionFalse {
        /// The step.
        step: StepIndex,
    },
    /// A step's condition or request can't be evaluated.
    PrepareFailed {
        /// The step.
        step: StepIndex,
        /// The operation whose request was asked for.
        operation: Operation,
        /// What went wrong, with the place in the definition.
        message: String,
    },
    /// An attempt ended.
    Answered {
        /// The step.
        step: StepIndex,
        /// The operation.
        operation: Operation,
        /// Which attempt.
        attempt: u32,
        /// How it ended.
        outcome: Outcome,
        /// How long to wait before the next attempt, should there be one.
        retry_after: Duration,
        /// Facts for the history.
        call: CallFacts,
    },
    /// A participant tells us about a pending operation (`CompleteStep`).
    CalledBack {
        /// The step.
        step: StepIndex,
        /// The operation.
        operation: Operation,
        /// What it says.
        verdict: Verdict,
        /// How long to wait before the next attempt, should there be one.
        retry_after: Duration,
        /// Who told us.
        by: By,
    },
    /// Some time that the saga waits for has come.
    Due,
    /// Turn back, if that is still possible.
    Cancel(By),
    /// Give stuck operations a fresh budget, and let waiting ones go now.
    Retry {
        /// Only this step's; all when absent.
        step: Option<StepIndex>,
        /// Who and why.
        by: By,
    },
    /// Do without this operation.
    Skip {
        /// The step.
        step: StepIndex,
        /// The operation.
        operation: Operation,
        /// Who and why.
        by: By,
    },
    /// State a fact about an operation in doubt.
    Resolve {
        /// The step.
        step: StepIndex,
        /// The operation.
        operation: Operation,
        /// The fact.
        finding: Finding,
        /// Who and why.
        by: By,
    },
    /// Stop here; what stands stays standing.
    ForceStop(By),
    /// Start nothing more until resumed.
    Pause(By),
    /// Go on.
    Resume(By),
    /// Note that a person looks after what is stuck.
    Acknowledge(By),
    /// Go on by another version of the definition.
    Repin(Repin),
    /// Park the whole saga: poison, or a missing definition.
    Park {
        /// Why.
        reason: StuckReason,
        /// What was found.
        message: String,
    },
}
