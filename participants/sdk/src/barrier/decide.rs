//! The barrier's rules: what to do with a call, from the step's row and the highest epoch seen. Pure.
//!
//! No database, clock, I/O or gRPC, so that the simulation and other languages' ports can hold on to the same table.
//! Invariants: an action runs at most once and never after its compensate; confirm and compensate exclude each other; a
//! stored answer is repeated, never recomputed; nothing is called an empty success where the coordinator has recorded a
//! success. The interleaving behind each rule is in semantics A2, A4, A5, A7, A8, A9 and A14.

use crate::answer::Refusal;
use crate::barrier::row::{Digest, Ending, Leg, Row};
use crate::key::Operation;
use crate::planted::{self, Bug};

/// What the rules need to know of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Which operation.
    pub operation: Operation,
    /// The caller's fencing number.
    pub epoch: u64,
    /// The coordinator has recorded that the action succeeded.
    pub expects_succeeded: bool,
    /// Of the request.
    pub digest: Digest,
}

/// What to do with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Run the handler and record what comes of it ([`Row::after`]).
    Run,
    /// It was done before: this is the reply.
    Replay(Vec<u8>),
    /// It was accepted before and its effect is still to come.
    ReplayPending,
    /// It was refused before.
    ReplayRefusal(Refusal),
    /// A compensate with nothing to undo: succeed with an empty reply and run nothing.
    EmptyCompensation {
        /// Record it as [`Row::Sealed`], so that the action is refused when it comes.
        seal: bool,
    },
    /// Don't run it, and say why.
    Barred(Bar),
}

/// Why the barrier doesn't let a call through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Bar {
    /// An action or a confirm whose step has been compensated.
    #[error("this step has been compensated; it can't be carried out or confirmed any more")]
    AfterCompensate,
    /// A compensate whose step has been confirmed.
    #[error("this step has been confirmed; it can't be compensated any more")]
    AfterConfirm,
    /// A confirm of a step that wasn't tried here.
    #[error("this step was not tried here, so there is nothing to confirm")]
    NotTried,
    /// An action whose compensation is still under way: neither "nothing happened" nor "it stands" would be true.
    #[error("this step is being compensated and that is not settled yet")]
    CompensationPending,
    /// The coordinator knows of a success that this database doesn't: swept too early, or an old backup.
    #[error("the coordinator has recorded that this step succeeded, but this participant has no record of it")]
    RowMissing,
    /// The saga is below a floor by which rows were swept: it has ended and is forgotten, and this is a late copy.
    #[error("this saga has ended and is forgotten; its records here may have been removed")]
    SagaOver,
    /// The same key came before with another request.
    #[error("this idempotency key came before with another request")]
    KeyReused,
    /// The caller has been replaced by another coordinator node.
    #[error("a newer owner of this saga has called, with epoch {highest_seen}")]
    StaleEpoch {
        /// The highest epoch seen for this saga.
        highest_seen: u64,
    },
}

impl Bar {
    /// The reason in `google.rpc.ErrorInfo`, a stable part of the protocol.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AfterCompensate => "AMENDS_COMPENSATED",
            Self::AfterConfirm => "AMENDS_CONFIRMED",
            Self::NotTried => "AMENDS_NOT_TRIED",
            Self::CompensationPending => "AMENDS_COMPENSATION_PENDING",
            Self::RowMissing => "AMENDS_ROW_MISSING",
            Self::SagaOver => "AMENDS_SAGA_OVER",
            Self::KeyReused => "AMENDS_KEY_REUSED",
            Self::StaleEpoch { .. } => "AMENDS_STALE_EPOCH",
        }
    }
}

/// Decides what to do with a call. `epoch_seen` is the highest of this saga, 0 when none was.
pub fn decide(row: &Row, epoch_seen: u64, call: &Call) -> Decision {
    if call.epoch < epoch_seen && !planted::is(Bug::NoEpochAtBarrier) {
        return Decision::Barred(Bar::StaleEpoch { highest_seen: epoch_seen });
    }
    if row.digest_of(call.operation).is_some_and(|first| *first != call.digest) {
        return Decision::Barred(Bar::KeyReused);
    }
    match call.operation {
        Operation::Action => action(row),
        Operation::Confirm => confirm(row, call.expects_succeeded),
        Operation::Compensate => compensate(row, call.expects_succeeded),
    }
}

fn action(row: &Row) -> Decision {
    match row {
        Row::Absent => Decision::Run,
        Row::Sealed { .. } => Decision::Barred(Bar::AfterCompensate),
        Row::Refused { refusal, .. } => Decision::ReplayRefusal(refusal.clone()),
        Row::Pending { compensate: None, .. } => Decision::ReplayPending,
        // Not the stored reply: a coordinator whose store has lost its tail would go forward on a step that is undone.
        Row::Pending { compensate: Some(leg), .. } | Row::Succeeded { ending: Some(Ending::Compensate(leg)), .. } => {
            match leg {
                Leg::Pending { .. } => Decision::Barred(Bar::CompensationPending),
                Leg::Done { .. } => Decision::Barred(Bar::AfterCompensate),
            }
        }
        Row::Succeeded { reply, ending: None | Some(Ending::Confirm(_)), .. } => Decision::Replay(reply.clone()),
    }
}

fn confirm(row: &Row, expects_succeeded: bool) -> Decision {
    let without_success = |bar| Decision::Barred(if expects_succeeded { Bar::RowMissing } else { bar });
    match row {
        Row::Absent | Row::Refused { .. } => without_success(Bar::NotTried),
        Row::Sealed { .. } => without_success(Bar::AfterCompensate),
        // The row is there, so nothing is missing: the coordinator may have been told of the effect before we were.
        Row::Pending { compensate: None, .. } => Decision::Barred(Bar::NotTried),
        Row::Pending { compensate: Some(_), .. } => Decision::Barred(Bar::AfterCompensate),
        Row::Succeeded { ending: None, .. } => Decision::Run,
        Row::Succeeded { ending: Some(Ending::Confirm(leg)), .. } => repeat(leg),
        Row::Succeeded { ending: Some(Ending::Compensate(_)), .. } => Decision::Barred(Bar::AfterCompensate),
    }
}

fn compensate(row: &Row, expects_succeeded: bool) -> Decision {
    let without_success = |decision| if expects_succeeded { Decision::Barred(Bar::RowMissing) } else { decision };
    match row {
        Row::Absent => without_success(Decision::EmptyCompensation { seal: true }),
        Row::Sealed { .. } | Row::Refused { .. } => without_success(Decision::EmptyCompensation { seal: false }),
        // Also when a success is expected: the effect that this row still waits for is refused from here on.
        Row::Pending { compensate: None, .. } => Decision::Run,
        Row::Pending { compensate: Some(leg), .. } => repeat(leg),
        Row::Succeeded { ending: None, .. } => Decision::Run,
        Row::Succeeded { ending: Some(Ending::Compensate(leg)), .. } => repeat(leg),
        Row::Succeeded { ending: Some(Ending::Confirm(_)), .. } => Decision::Barred(Bar::AfterConfirm),
    }
}

fn repeat(leg: &Leg) -> Decision {
    match leg {
        Leg::Pending { .. } => Decision::ReplayPending,
        Leg::Done { reply, .. } => Decision::Replay(reply.clone()),
    }
}

/// What to do when the effect of a pending operation comes at last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// Run the handler and record what comes of it under this digest.
    Run(Digest),
    /// It was completed before: this is the reply.
    Replay(Vec<u8>),
    /// It was completed before, with this refusal.
    ReplayRefusal(Refusal),
    /// The step has been compensated in the meantime, or is being: the effect must not happen.
    AfterCompensate,
    /// No such operation is pending here.
    NotPending,
}

/// Decides whether the effect of a pending operation may happen now.
pub fn decide_completion(row: &Row, operation: Operation) -> Completion {
    match operation {
        Operation::Action => match row {
            Row::Absent => Completion::NotPending,
            Row::Refused { refusal, .. } => Completion::ReplayRefusal(refusal.clone()),
            Row::Pending { action, compensate: None } => Completion::Run(*action),
            Row::Sealed { .. }
            | Row::Pending { compensate: Some(_), .. }
            | Row::Succeeded { ending: Some(Ending::Compensate(_)), .. } => Completion::AfterCompensate,
            Row::Succeeded { reply, ending: None | Some(Ending::Confirm(_)), .. } => Completion::Replay(reply.clone()),
        },
        Operation::Confirm => complete_leg(row.confirmation()),
        Operation::Compensate => complete_leg(row.compensation()),
    }
}

fn complete_leg(leg: Option<&Leg>) -> Completion {
    match leg {
        None => Completion::NotPending,
        Some(Leg::Pending { digest }) => Completion::Run(*digest),
        Some(Leg::Done { reply, .. }) => Completion::Replay(reply.clone()),
    }
}

#[cfg(test)]
mod tests;
