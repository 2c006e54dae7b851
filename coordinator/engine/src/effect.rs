//! Everything that a saga may ask of the world.
//!
//! Effects are derived from the state ([`crate::outstanding()`]), never stored, so that recovery is the normal road.
//! Invariant: an effect that calls a participant is in the state before it is in this list.

use crate::ids::{Operation, StepIndex};
use crate::time::Timestamp;

/// Something that should be under way for a saga in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Evaluate the step's condition (for an action) and request, and apply the result before committing.
    Prepare {
        /// The step.
        step: StepIndex,
        /// The operation whose request is needed.
        operation: Operation,
    },
    /// Call the participant; may run only once the state that asks for it is durable.
    Call {
        /// The step.
        step: StepIndex,
        /// The operation.
        operation: Operation,
        /// The attempt's number; with step and operation it names the call.
        attempt: u32,
        /// When to stop waiting for an answer.
        deadline: Timestamp,
        /// The action is recorded as succeeded, so the participant must know of it (`amends-expects: succeeded`).
        expects_succeeded: bool,
    },
}
