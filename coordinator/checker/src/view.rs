//! A saga as the rules read it: small questions about one step, answered from the stored fields alone.
//!
//! Written anew from design §4 and not taken from the engine's `facts`, so that both must agree. Invariant: read-only.

use amends_engine::definition::{Compensation, Definition, Step};
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::outcome::OutcomeKind;
use amends_engine::saga::{Cause, OperationState, OperationStatus, Phase, Saga, SkippedBy, StepState};

use crate::violation::{Rule, Violation};

pub(crate) const OPERATIONS: [Operation; 4] =
    [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];

/// One step of a saga with its place in the definition.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) saga: &'a Saga,
    pub(crate) index: StepIndex,
    pub(crate) state: &'a StepState,
}

/// Every step of a saga.
pub(crate) fn steps(saga: &Saga) -> impl Iterator<Item = View<'_>> {
    saga.definition.indices().map(move |index| View { saga, index, state: saga.step(index) })
}

impl<'a> View<'a> {
    pub(crate) fn definition(&self) -> &'a Definition {
        &self.saga.definition
    }

    pub(crate) fn step(&self) -> &'a Step {
        self.definition().step(self.index)
    }

    pub(crate) fn operation(&self, operation: Operation) -> &'a OperationState {
        self.state.operation(operation)
    }

    pub(crate) fn other(&self, index: StepIndex) -> View<'a> {
        View { saga: self.saga, index, state: self.saga.step(index) }
    }

    pub(crate) fn violation(&self, rule: Rule, operation: Operation, what: impl Into<String>) -> Violation {
        Violation::of(rule, &self.saga.state.head.key, what).at(&self.step().name, operation)
    }

    /// Whether the action may have had its effect, whatever was done about it since.
    pub(crate) fn may_stand(&self) -> bool {
        let action = &self.state.action;
        match action.status {
            OperationStatus::Succeeded
            | OperationStatus::InFlight { .. }
            | OperationStatus::Pending { .. }
            | OperationStatus::Asking => true,
            OperationStatus::Idle | OperationStatus::Ready => false,
            OperationStatus::Retry { .. }
            | OperationStatus::Rejected
            | OperationStatus::GaveUp
            | OperationStatus::Skipped(_)
            | OperationStatus::Stuck { .. } => action.uncertain,
        }
    }

    pub(crate) fn is_compensable(&self) -> bool {
        matches!(self.step().compensate, Compensation::Call(_))
    }

    pub(crate) fn is_compensation_settled(&self) -> bool {
        is_settled(self.state.compensate.status)
    }

    /// Whether somebody accepted that this step's effect may be left standing: the team, or an operator.
    pub(crate) fn is_accepted(&self) -> bool {
        let cause = self.saga.state.decision.as_ref().map(|decision| &decision.cause);
        match self.step().compensate {
            Compensation::Call(_) => self.state.compensate.status == OperationStatus::Skipped(SkippedBy::Operator),
            Compensation::None { .. } => true,
            // Only the pivot can be begun in a saga that goes back, and only an operator sends it back from there.
            Compensation::Absent => cause == Some(&Cause::ResolvedAsNotHappened(self.index)),
        }
    }

    /// Whether this step no longer holds up the compensation of those before it.
    pub(crate) fn is_out_of_the_way_back(&self) -> bool {
        let under_way = self.state.action.is_in_flight() || self.state.compensate.is_in_flight();
        !under_way && (!self.may_stand() || !self.is_compensable() || self.is_compensation_settled())
    }

    /// Whether the steps after this one may run.
    pub(crate) fn is_action_done(&self) -> bool {
        is_settled(self.state.action.status) && (!self.state.sealing || self.is_compensation_settled())
    }

    pub(crate) fn needs_confirm(&self) -> bool {
        self.step().confirm.is_some() && self.state.action.status == OperationStatus::Succeeded
    }

    /// Whether the confirms after this one may run: a refused or stuck one doesn't stop the others.
    pub(crate) fn is_confirm_out_of_the_way(&self) -> bool {
        let confirm = &self.state.confirm;
        let refused = confirm
            .last
            .as_ref()
            .is_some_and(|last| matches!(last.kind, OutcomeKind::Rejected | OutcomeKind::NotFound));
        let stuck = matches!(confirm.status, OperationStatus::Stuck { .. });
        !self.needs_confirm() || refused || stuck || is_settled(confirm.status)
    }

    /// All steps that depend on this one, directly or not.
    pub(crate) fn all_dependents(&self) -> impl Iterator<Item = View<'a>> {
        let this = *self;
        steps(self.saga).filter(move |later| this.definition().is_before(this.index, later.index))
    }

    /// Whether the participant answered the compensation with "nothing to undo".
    pub(crate) fn found_nothing_to_undo(&self) -> bool {
        self.state.compensate.last.as_ref().is_some_and(|last| last.kind == OutcomeKind::NotFound)
    }

    pub(crate) fn was_skipped_by_operator(&self) -> bool {
        self.state.action.status == OperationStatus::Skipped(SkippedBy::Operator)
    }
}

pub(crate) fn is_settled(status: OperationStatus) -> bool {
    matches!(status, OperationStatus::Succeeded | OperationStatus::Skipped(_))
}

/// Whether a saga starts nothing.
pub(crate) fn is_parked(saga: &Saga) -> bool {
    saga.state.parked.is_some() || saga.state.paused.is_some() || saga.state.phase.is_terminal()
}

/// Whether the phase is one of going back.
pub(crate) fn is_back(phase: Phase) -> bool {
    matches!(phase, Phase::Compensating | Phase::Compensated)
}
