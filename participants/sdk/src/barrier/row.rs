//! What the barrier remembers of one step.
//!
//! Pure data: no database, no gRPC. Invariant: the type has no value for a state that can't be, such as a step both
//! confirmed and compensated, or a refused step with an ending. `decide.rs` reads it; `columns.rs` and `rows.rs`
//! store it.

use crate::answer::Refusal;
use crate::key::Operation;

/// SHA-256 of a request: the same key must always come with the same request.
pub type Digest = [u8; 32];

/// The state of one step (or of one element of a `for_each` step) at this participant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Row {
    /// Nothing was ever recorded: there is no row.
    #[default]
    Absent,
    /// Compensated before any action came (a tombstone): an action that comes later is refused.
    Sealed {
        /// Of the compensate request.
        compensate: Digest,
    },
    /// The action was refused; that is final.
    Refused {
        /// Of the action's request.
        action: Digest,
        /// What every copy is told.
        refusal: Refusal,
    },
    /// The action was accepted and its effect comes later.
    Pending {
        /// Of the action's request.
        action: Digest,
        /// The compensation that overtook the effect; from then on the effect is refused.
        compensate: Option<Leg>,
    },
    /// The action took effect (TCC: was tried).
    Succeeded {
        /// Of the action's request.
        action: Digest,
        /// What every copy is told.
        reply: Vec<u8>,
        /// Confirm or compensate, whichever came first.
        ending: Option<Ending>,
    },
}

/// Confirm and compensate exclude each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Confirm came first.
    Confirm(Leg),
    /// Compensate came first.
    Compensate(Leg),
}

/// How far a confirm or a compensate has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leg {
    /// Accepted; its effect comes later.
    Pending {
        /// Of the request.
        digest: Digest,
    },
    /// Done.
    Done {
        /// Of the request.
        digest: Digest,
        /// What every copy is told.
        reply: Vec<u8>,
    },
}

impl Leg {
    /// Of the request that it answers.
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Pending { digest } | Self::Done { digest, .. } => digest,
        }
    }
}

/// What came of running a handler, as the row keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// The effect stands; the reply's bytes.
    Done(Vec<u8>),
    /// The effect comes later.
    Pending,
    /// Refused, and rolled back.
    Refused(Refusal),
}

impl Row {
    /// The digest that came with the first accepted request of an operation.
    pub fn digest_of(&self, operation: Operation) -> Option<&Digest> {
        match (operation, self) {
            (_, Self::Absent) | (Operation::Action, Self::Sealed { .. }) => None,
            (
                Operation::Action,
                Self::Refused { action, .. } | Self::Pending { action, .. } | Self::Succeeded { action, .. },
            ) => Some(action),
            (Operation::Compensate, Self::Sealed { compensate }) => Some(compensate),
            (Operation::Compensate, _) => self.compensation().map(Leg::digest),
            (Operation::Confirm, _) => self.confirmation().map(Leg::digest),
        }
    }

    /// The compensation of an action that was accepted, if it has begun.
    pub fn compensation(&self) -> Option<&Leg> {
        match self {
            Self::Pending { compensate: Some(leg), .. }
            | Self::Succeeded { ending: Some(Ending::Compensate(leg)), .. } => Some(leg),
            _ => None,
        }
    }

    /// The confirm, if it has begun.
    pub fn confirmation(&self) -> Option<&Leg> {
        match self {
            Self::Succeeded { ending: Some(Ending::Confirm(leg)), .. } => Some(leg),
            _ => None,
        }
    }

    /// The row after a handler ran for `operation`.
    ///
    /// A refused action is final (semantics A2: otherwise a late copy could still take effect after the coordinator has
    /// concluded that nothing happened). A refused confirm or compensate is not: the coordinator concludes nothing from
    /// it, retries, then parks the saga, and an operator who has removed the cause must be able to retry with the same
    /// key.
    #[must_use]
    pub fn after(self, operation: Operation, digest: Digest, ran: Ran) -> Self {
        let leg = match (operation, ran) {
            (Operation::Action, Ran::Done(reply)) => {
                return Self::Succeeded { action: digest, reply, ending: None };
            }
            (Operation::Action, Ran::Pending) => return Self::Pending { action: digest, compensate: None },
            (Operation::Action, Ran::Refused(refusal)) => return Self::Refused { action: digest, refusal },
            (_, Ran::Done(reply)) => Some(Leg::Done { digest, reply }),
            (_, Ran::Pending) => Some(Leg::Pending { digest }),
            (_, Ran::Refused(_)) => None,
        };
        match self {
            Self::Succeeded { action, reply, .. } => {
                let ending = leg.map(|leg| match operation {
                    Operation::Confirm => Ending::Confirm(leg),
                    Operation::Action | Operation::Compensate => Ending::Compensate(leg),
                });
                Self::Succeeded { action, reply, ending }
            }
            Self::Pending { action, .. } => Self::Pending { action, compensate: leg },
            unchanged @ (Self::Absent | Self::Sealed { .. } | Self::Refused { .. }) => unchanged,
        }
    }
}
