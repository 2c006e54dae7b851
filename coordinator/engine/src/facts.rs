//! What a saga's state says about the world: which effects stand, what is done, whether the saga may still turn back.
//!
//! Read-only questions, asked by the rules in [`mod@crate::apply`], by lists and by the checker. Invariant: an effect is
//! [`StepEffect::None`] only if every attempt that may have been sent was refused, or none was (semantics A1, A2).

use crate::definition::Compensation;
use crate::ids::{Operation, StepIndex};
use crate::outcome::OutcomeKind;
use crate::outstanding::OPERATIONS;
use crate::saga::{OperationStatus, Parked, Phase, Saga, SkippedBy, StuckReason};
use crate::time::Timestamp;

/// What is known of a step's effect at its participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepEffect {
    /// Nothing happened.
    None,
    /// It may have happened.
    Possible,
    /// It happened and stands.
    Stands,
    /// It was undone.
    Undone,
}

/// Whether a saga may turn back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PivotGate {
    /// There is no pivot, or nothing of it can have happened.
    Open,
    /// The pivot was begun and isn't settled: turning back would guess (semantics A3).
    InDoubt,
    /// The pivot succeeded: only forward.
    Passed,
}

/// An effect that still stands, or may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residue {
    /// Of which step.
    pub step: StepIndex,
    /// Whether it is certain.
    pub effect: StepEffect,
    /// It was tried and never confirmed, though the saga went forward.
    pub unconfirmed: bool,
    /// Since when it stands, or may: the first intent of the action since it last got fresh attempts. `None`: it was never called,
    /// and somebody stated that it happened.
    pub since: Option<Timestamp>,
}

/// Where automatic work gave up, why and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck {
    /// Why.
    pub reason: StuckReason,
    /// Since when.
    pub since: Timestamp,
    /// The step; `None` for the saga as a whole.
    pub step: Option<StepIndex>,
    /// The operation.
    pub operation: Option<Operation>,
}

impl Saga {
    /// What the action of a step has done, whatever was done about it later.
    pub(crate) fn action_effect(&self, index: StepIndex) -> StepEffect {
        let action = &self.step(index).action;
        match action.status {
            OperationStatus::Succeeded => StepEffect::Stands,
            OperationStatus::InFlight { .. } | OperationStatus::Asking | OperationStatus::Pending { .. } => {
                StepEffect::Possible
            }
            OperationStatus::Idle | OperationStatus::Ready => StepEffect::None,
            OperationStatus::Retry { .. }
            | OperationStatus::Rejected
            | OperationStatus::GaveUp
            | OperationStatus::Skipped(_)
            | OperationStatus::Stuck { .. } => {
                if action.uncertain {
                    StepEffect::Possible
                } else {
                    StepEffect::None
                }
            }
        }
    }

    /// What is known of a step's effect now.
    pub fn effect(&self, index: StepIndex) -> StepEffect {
        if self.step(index).compensate.status == OperationStatus::Succeeded {
            return StepEffect::Undone;
        }
        self.action_effect(index)
    }

    /// Whether the saga may turn back.
    pub fn pivot_gate(&self) -> PivotGate {
        let Some(pivot) = self.definition.pivot() else { return PivotGate::Open };
        if self.step(pivot).action.status == OperationStatus::Succeeded {
            return PivotGate::Passed;
        }
        match self.action_effect(pivot) {
            StepEffect::None | StepEffect::Undone => PivotGate::Open,
            StepEffect::Possible | StepEffect::Stands => PivotGate::InDoubt,
        }
    }

    /// Whether a step's action is behind us, so that what comes after it may start.
    pub(crate) fn is_action_done(&self, index: StepIndex) -> bool {
        let step = self.step(index);
        let settled = matches!(step.action.status, OperationStatus::Succeeded | OperationStatus::Skipped(_));
        settled && (!step.sealing || self.is_compensation_settled(index))
    }

    /// Whether a step's compensation is behind us: done, or skipped by an operator.
    pub(crate) fn is_compensation_settled(&self, index: StepIndex) -> bool {
        matches!(self.step(index).compensate.status, OperationStatus::Succeeded | OperationStatus::Skipped(_))
    }

    /// Whether a step has something to confirm.
    pub(crate) fn needs_confirm(&self, index: StepIndex) -> bool {
        self.definition.step(index).confirm.is_some() && self.step(index).action.status == OperationStatus::Succeeded
    }

    /// Whether a step's confirm no longer holds up those after it. A refused or stuck one doesn't: all must be confirmed anyway.
    pub(crate) fn is_confirm_out_of_the_way(&self, index: StepIndex) -> bool {
        let confirm = &self.step(index).confirm;
        let refusal = |kind| matches!(kind, OutcomeKind::Rejected | OutcomeKind::NotFound);
        let refused = confirm.last.as_ref().is_some_and(|last| refusal(last.kind));
        self.is_confirmed(index) || refused || matches!(confirm.status, OperationStatus::Stuck { .. })
    }

    /// Whether nothing is left to confirm for a step.
    pub(crate) fn is_confirmed(&self, index: StepIndex) -> bool {
        let status = self.step(index).confirm.status;
        !self.needs_confirm(index) || matches!(status, OperationStatus::Succeeded | OperationStatus::Skipped(_))
    }

    /// Whether a step must be called to be undone.
    pub(crate) fn needs_compensation(&self, index: StepIndex) -> bool {
        matches!(self.definition.step(index).compensate, Compensation::Call(_))
            && self.action_effect(index) != StepEffect::None
    }

    /// Whether nothing is left to undo for this step itself.
    fn is_undone(&self, index: StepIndex) -> bool {
        let under_way = self.step(index).action.is_in_flight();
        !under_way && (self.is_compensation_settled(index) || !self.needs_compensation(index))
    }

    /// Which steps are undone together with all that depend on them, by index: only then may their predecessors be.
    pub(crate) fn cleared(&self) -> Vec<bool> {
        let mut cleared: Vec<Option<bool>> = vec![None; self.state.steps.len()];
        for index in self.definition.indices() {
            self.clear(index, &mut cleared);
        }
        cleared.into_iter().map(|known| known == Some(true)).collect()
    }

    fn clear(&self, index: StepIndex, known: &mut Vec<Option<bool>>) -> bool {
        if let Some(answer) = known[index.get()] {
            return answer;
        }
        let behind = self.definition.dependents(index).iter().all(|next| self.clear(*next, known));
        let answer = behind && self.is_undone(index);
        known[index.get()] = Some(answer);
        answer
    }

    /// When the action of a step runs out of its total time; `None` without a limit or before its first attempt.
    pub(crate) fn within_end(&self, index: StepIndex) -> Option<Timestamp> {
        let within = self.definition.step(index).within?;
        self.step(index).action.begun_at.map(|begun| begun + within)
    }

    /// Until when a pending operation is waited for; `None` without an end, and for what isn't pending in this phase.
    pub(crate) fn pending_end(&self, index: StepIndex, operation: Operation) -> Option<Timestamp> {
        let OperationStatus::Pending { since } = self.operation(index, operation).status else { return None };
        if !self.is_live(index, operation) {
            return None;
        }
        let step = self.definition.step(index);
        match operation {
            // Without a time of its own it is asked about as often as the saga's time passes, where it can be asked about.
            Operation::Action => {
                let now_and_then = step.query.as_ref().map(|_| since + self.definition.timeout());
                self.within_end(index).or(now_and_then)
            }
            // Each pending answer gets the step's time anew; the number of attempts bounds how often.
            Operation::Compensate | Operation::Confirm | Operation::Query => step.within.map(|within| since + within),
        }
    }

    /// Everything that is stuck: the saga as a whole, if it is parked, then operations in step order. Empty once it has ended.
    pub fn all_stuck(&self) -> Vec<Stuck> {
        if self.state.phase.is_terminal() {
            return Vec::new();
        }
        let whole = |parked: &Parked| Stuck { reason: parked.reason, since: parked.since, step: None, operation: None };
        let parked = self.state.parked.as_ref().map(whole);
        let steps = self.definition.indices();
        let operations = steps.flat_map(|step| OPERATIONS.map(|operation| self.stuck_at(step, operation)));
        parked.into_iter().chain(operations.flatten()).collect()
    }

    /// The first of [`Saga::all_stuck`].
    pub fn stuck(&self) -> Option<Stuck> {
        self.all_stuck().into_iter().next()
    }

    fn stuck_at(&self, step: StepIndex, operation: Operation) -> Option<Stuck> {
        let OperationStatus::Stuck { reason, since } = self.operation(step, operation).status else { return None };
        Some(Stuck { reason, since, step: Some(step), operation: Some(operation) })
    }

    /// The effects that stand or may: what a stuck or force-stopped saga leaves, and what an operator accepted.
    pub fn residue(&self) -> Vec<Residue> {
        self.definition.indices().filter_map(|step| self.residue_of(step)).collect()
    }

    fn residue_of(&self, index: StepIndex) -> Option<Residue> {
        let effect = self.effect(index);
        let unconfirmed = self.state.phase == Phase::Completed
            && self.step(index).confirm.status == OperationStatus::Skipped(SkippedBy::Operator);
        let accepted = matches!(self.definition.step(index).compensate, Compensation::None { .. });
        let counts = match self.state.phase {
            // What a completed saga has done is its purpose, not residue; a step skipped in doubt is.
            Phase::Completed => unconfirmed || effect == StepEffect::Possible,
            Phase::Compensated => !accepted && matches!(effect, StepEffect::Possible | StepEffect::Stands),
            Phase::Running | Phase::Confirming | Phase::Compensating | Phase::ForceStopped => {
                matches!(effect, StepEffect::Possible | StepEffect::Stands)
            }
        };
        let since = self.step(index).action.begun_at;
        counts.then_some(Residue { step: index, effect, unconfirmed, since })
    }
}
