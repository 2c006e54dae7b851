//! What people may ask of a saga: cancel, retry, skip, resolve, pause, resume, force-stop.
//!
//! Cancel turns back; force-stop stops and leaves residue: two verbs, two final states. Invariant: resolve and skip change
//! facts, so an action in doubt is sealed by its compensation first, and where that is impossible its effect stays `Possible`
//! in the residue for ever (semantics A11).

use crate::definition::Compensation;
use crate::event::Finding;
use crate::facts::{PivotGate, StepEffect};
use crate::history::Change;
use crate::ids::{Operation, StepIndex};
use crate::outcome::Why;
use crate::outstanding::OPERATIONS;
use crate::planted::{self, Bug};
use crate::saga::{By, CancelRequest, Cause, OperationStatus, Parked, Paused, Phase, SkippedBy, StuckReason};

use super::turn::Turn;
use super::{Decided, Ignored, IllegalEvent};

pub(super) fn cancel(turn: &mut Turn, by: &By) -> Decided {
    match turn.saga.pivot_gate() {
        PivotGate::Open => turn.decide_to_compensate(Cause::Cancelled(by.clone())),
        PivotGate::InDoubt if planted::is(Bug::CancelActsInDoubt) => {
            turn.decide_to_compensate(Cause::Cancelled(by.clone()));
        }
        PivotGate::InDoubt if turn.saga.state.cancel.is_some() => return Ok(Some(Ignored::AlreadySo)),
        PivotGate::InDoubt => {
            turn.saga.state.cancel = Some(CancelRequest { at: turn.now, by: by.clone() });
            turn.record(Change::CancelRecorded).by = Some(by.clone());
        }
        PivotGate::Passed => return Err(IllegalEvent::PastPivot),
    }
    Ok(None)
}

/// A fresh budget for what is stuck; what waits goes now.
pub(super) fn retry(turn: &mut Turn, only: Option<StepIndex>, by: &By) -> Decided {
    let mut found = turn.saga.state.parked.take().is_some();
    if found {
        turn.record(Change::Retried).by = Some(by.clone());
    }
    let steps: Vec<StepIndex> = turn.definition().indices().filter(|step| only.is_none_or(|it| it == *step)).collect();
    for step in steps {
        for operation in OPERATIONS {
            found |= turn.retry_now(step, operation, by);
        }
    }
    if found { Ok(None) } else { Err(IllegalEvent::NothingToRetry) }
}

pub(super) fn skip(turn: &mut Turn, step: StepIndex, operation: Operation, by: &By) -> Decided {
    let refuse = |why| -> Decided { Err(IllegalEvent::CannotSkip { operation, why }) };
    match unsettled(turn, step, operation) {
        Unsettled::Yes => {}
        Unsettled::Outstanding => return Err(IllegalEvent::Outstanding(operation)),
        Unsettled::No => {
            return refuse(
                "only what is stuck, pending or waiting for a retry can be; cancel the saga to undo it, or force-stop it",
            );
        }
    }
    match operation {
        Operation::Query => return refuse("a query has no effect; resolve the action instead"),
        Operation::Action if turn.definition().pivot() == Some(step) => {
            return refuse("it is the pivot; resolve it as happened or as not happened instead");
        }
        Operation::Action => turn.seal(step),
        Operation::Compensate | Operation::Confirm => {}
    }
    turn.set(step, operation, OperationStatus::Skipped(SkippedBy::Operator));
    turn.record_by(Change::Skipped, step, operation, by);
    Ok(None)
}

pub(super) fn resolve(turn: &mut Turn, step: StepIndex, operation: Operation, finding: &Finding, by: &By) -> Decided {
    let refuse = |why| -> Decided { Err(IllegalEvent::CannotResolve { operation, why }) };
    match unsettled(turn, step, operation) {
        Unsettled::Yes => {}
        Unsettled::Outstanding => return Err(IllegalEvent::Outstanding(operation)),
        Unsettled::No => {
            return refuse(
                "only what is stuck, pending or waiting for a retry can be; look at the saga to see what is",
            );
        }
    }
    match (finding, operation) {
        (_, Operation::Query) => return refuse("a query has no effect; resolve the action instead"),
        (Finding::Happened(output), _) => {
            turn.record_by(Change::ResolvedAsHappened, step, operation, by);
            turn.succeed(step, operation, output);
        }
        (Finding::DidNotHappen, Operation::Compensate | Operation::Confirm) => {
            return refuse("what must still happen is retried, or skipped with its effect left standing");
        }
        (Finding::DidNotHappen, Operation::Action) if turn.saga.pivot_gate() == PivotGate::Passed => {
            return refuse("after the pivot a step can only go forward: retry it, skip it, or resolve it as happened");
        }
        (Finding::DidNotHappen, Operation::Action) => {
            turn.record_by(Change::ResolvedAsNotHappened, step, operation, by);
            turn.turn_back_from(step);
        }
    }
    Ok(None)
}

pub(super) fn force_stop(turn: &mut Turn, by: &By) -> Decided {
    turn.end(Phase::ForceStopped, Change::ForceStopped);
    if let Some(entry) = turn.history.last_mut() {
        entry.by = Some(by.clone());
    }
    Ok(None)
}

pub(super) fn pause(turn: &mut Turn, by: &By) -> Decided {
    if turn.saga.state.paused.is_some() {
        return Ok(Some(Ignored::AlreadySo));
    }
    turn.saga.state.paused = Some(Paused { since: turn.now, by: by.clone() });
    turn.record(Change::Paused).by = Some(by.clone());
    Ok(None)
}

pub(super) fn resume(turn: &mut Turn, by: &By) -> Decided {
    if turn.saga.state.paused.take().is_none() {
        return Ok(Some(Ignored::AlreadySo));
    }
    turn.record(Change::Resumed).by = Some(by.clone());
    Ok(None)
}

pub(super) fn park(turn: &mut Turn, reason: StuckReason, message: &str) -> Decided {
    if turn.saga.state.parked.is_some() {
        return Ok(Some(Ignored::AlreadySo));
    }
    // Cut to the length that a message may have: this one is part of the state.
    let why = Why::new("", message);
    turn.saga.state.parked = Some(Parked { reason, message: why.message.clone(), since: turn.now });
    turn.record(Change::Parked(reason)).why = why;
    Ok(None)
}

/// Whether a person may state something about an operation.
enum Unsettled {
    /// It was begun, isn't settled, and no attempt is out.
    Yes,
    /// An attempt is out.
    Outstanding,
    /// It wasn't begun, or is settled.
    No,
}

fn unsettled(turn: &Turn, step: StepIndex, operation: Operation) -> Unsettled {
    match turn.op(step, operation).status {
        OperationStatus::InFlight { .. } => Unsettled::Outstanding,
        OperationStatus::Stuck { .. }
        | OperationStatus::Retry { .. }
        | OperationStatus::Asking
        | OperationStatus::Pending { .. }
            if turn.saga.is_live(step, operation) =>
        {
            Unsettled::Yes
        }
        OperationStatus::Stuck { .. }
        | OperationStatus::Retry { .. }
        | OperationStatus::Asking
        | OperationStatus::Pending { .. }
        | OperationStatus::Idle
        | OperationStatus::Ready
        | OperationStatus::Succeeded
        | OperationStatus::Rejected
        | OperationStatus::GaveUp
        | OperationStatus::Skipped(_) => Unsettled::No,
    }
}

impl Turn {
    fn retry_now(&mut self, step: StepIndex, operation: Operation, by: &By) -> bool {
        let now = self.now;
        match self.op(step, operation).status {
            OperationStatus::Stuck { .. } => {
                self.set(step, Operation::Query, OperationStatus::Idle);
                let state = self.op_mut(step, operation);
                state.failures = 0;
                state.begun_at = state.begun_at.map(|_| now);
                state.status =
                    if state.request.is_some() { OperationStatus::Retry { due: now } } else { OperationStatus::Ready };
            }
            OperationStatus::Retry { .. } if self.saga.is_live(step, operation) => {
                self.set(step, operation, OperationStatus::Retry { due: now });
            }
            OperationStatus::Retry { .. }
            | OperationStatus::Idle
            | OperationStatus::Ready
            | OperationStatus::InFlight { .. }
            | OperationStatus::Asking
            | OperationStatus::Pending { .. }
            | OperationStatus::Succeeded
            | OperationStatus::Rejected
            | OperationStatus::GaveUp
            | OperationStatus::Skipped(_) => return false,
        }
        self.record_by(Change::Retried, step, operation, by);
        true
    }

    /// Before an action in doubt is skipped, its key is to be sealed by the compensation, where there is one.
    fn seal(&mut self, step: StepIndex) {
        let possible = self.saga.action_effect(step) != StepEffect::None;
        let can_seal = matches!(self.definition().step(step).compensate, Compensation::Call(_));
        let state = &mut self.saga.state.steps[step.get()];
        state.action.uncertain = possible;
        state.query.status = OperationStatus::Idle;
        state.sealing = possible && can_seal;
    }

    /// "It did not happen": turn back. If the action may be on its way all the same, its compensation is the tombstone; where
    /// there is none, the step keeps its possible effect in the residue.
    fn turn_back_from(&mut self, step: StepIndex) {
        let possible = self.saga.action_effect(step) != StepEffect::None;
        let action = self.op_mut(step, Operation::Action);
        action.uncertain = possible;
        action.status = OperationStatus::GaveUp;
        self.decide_to_compensate(Cause::ResolvedAsNotHappened(step));
    }
}
