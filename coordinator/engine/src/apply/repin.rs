//! Moving a saga to another version of its definition, and noting that a person looks after what is stuck.
//!
//! Whether a move is allowed is said by `crate::repin`. Invariants: what is prepared stays prepared, what was called stays as it
//! is; only what is stuck on an expression, or was parked for want of its definition, goes on because of the move (semantics A12).

use std::sync::Arc;

use crate::event::Repin;
use crate::facts::Stuck;
use crate::history::Change;
use crate::ids::StepIndex;
use crate::outcome::Why;
use crate::outstanding::OPERATIONS;
use crate::planted::{self, Bug};
use crate::repin::Incompatible;
use crate::saga::{Acknowledgement, By, OperationStatus, Saga, StepState, StuckReason};

use super::turn::Turn;
use super::{Decided, Ignored, IllegalEvent};

pub(super) fn repin(turn: &mut Turn, repin: &Repin) -> Decided {
    let (at, there) = (turn.saga.state.head.version, &repin.definition);
    if there.version() == at && there.name() == turn.definition().name() {
        return Ok(Some(Ignored::AlreadySo));
    }
    if repin.from != at {
        return Err(IllegalEvent::CannotRepin(Incompatible::MovedMeanwhile(at)));
    }
    let checked = turn.saga.may_move_to(there, &repin.elsewhere);
    if !planted::is(Bug::RepinUnchecked) {
        checked.map_err(IllegalEvent::CannotRepin)?;
    }
    turn.move_to(repin);
    let entry = turn.record(Change::Repinned(there.version()));
    entry.by = Some(repin.by.clone());
    entry.why = Why::new("", format!("it was on version {at}"));
    Ok(None)
}

pub(super) fn acknowledge(turn: &mut Turn, by: &By) -> Decided {
    if turn.saga.stuck().is_none() {
        return Err(IllegalEvent::NotStuck);
    }
    if turn.saga.state.acknowledgement.as_ref().is_some_and(|earlier| earlier.by == *by) {
        return Ok(Some(Ignored::AlreadySo));
    }
    turn.saga.state.acknowledgement = Some(Acknowledgement { at: turn.now, by: by.clone() });
    turn.record(Change::Acknowledged).by = Some(by.clone());
    if planted::is(Bug::AcknowledgeGivesAttempts) {
        for state in turn.saga.state.steps.iter_mut() {
            state.compensate.failures = 0;
        }
    }
    Ok(None)
}

impl Turn {
    fn move_to(&mut self, repin: &Repin) {
        for step in self.definition().indices() {
            if !self.saga.is_step_touched(step) {
                // Asked for at most; what stands at this position there is asked for again in its own time.
                self.saga.state.steps[step.get()] = StepState::IDLE;
            }
        }
        self.saga.state.steps.resize(repin.definition.steps().len());
        Arc::make_mut(&mut self.saga.state.head).version = repin.definition.version();
        self.saga.definition = repin.definition.clone();
        let missing = StuckReason::DefinitionOrParticipantMissing;
        self.saga.state.parked.take_if(|parked| parked.reason == missing);
        for step in self.definition().indices() {
            self.prepare_anew(step);
            self.keep_planned(step);
        }
    }

    /// What couldn't be evaluated is asked for again; nothing of it was ever sent.
    fn prepare_anew(&mut self, step: StepIndex) {
        for operation in OPERATIONS {
            let state = self.op(step, operation);
            let stuck = matches!(state.status, OperationStatus::Stuck { reason: StuckReason::ExpressionFailed, .. });
            if stuck && state.request.is_none() {
                self.set(step, operation, OperationStatus::Ready);
            }
        }
    }

    /// An attempt that is planned is made, and one that is out counts, also where the new version would have allowed none any more;
    /// no operation has used up more than there is.
    fn keep_planned(&mut self, step: StepIndex) {
        for operation in OPERATIONS {
            let Some(most) = self.policy(step, operation).map(|policy| policy.max_attempts) else { continue };
            let state = self.op_mut(step, operation);
            let goes_on = matches!(state.status, OperationStatus::Retry { .. } | OperationStatus::InFlight { .. });
            state.failures = state.failures.min(if goes_on { most.saturating_sub(1) } else { most });
        }
    }

    /// An acknowledgement is about what was stuck when it was made: it goes when something new is, or nothing is any more.
    pub(super) fn drop_stale_acknowledgement(&mut self, before: &Saga) {
        if self.saga.state.acknowledgement.is_none() {
            return;
        }
        let (known, stuck): (Vec<Stuck>, Vec<Stuck>) = (before.all_stuck(), self.saga.all_stuck());
        if stuck.is_empty() || stuck.iter().any(|stuck| !known.contains(stuck)) {
            self.saga.state.acknowledgement = None;
        }
    }
}
