//! One application of an event in the making: the next state, what the history will say of it, what is to be written.
//!
//! Only bookkeeping; the rules are in the sibling files. Invariant: a status changes through [`Turn::set`], and everything
//! that a person would want to know of has an entry in the history.

use crate::definition::{Definition, Policy};
use crate::history::{Change, HistoryEntry};
use crate::ids::{Operation, StepIndex};
use crate::outcome::{CallFacts, LastOutcome, Outcome, Why};
use crate::payload::{Payload, PayloadKey};
use crate::planted::{self, Bug};
use crate::saga::{By, Cause, Decision, OperationState, OperationStatus, Phase, Saga, StuckReason};
use crate::time::Timestamp;

/// The working copy.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) saga: Saga,
    pub(super) now: Timestamp,
    pub(super) history: Vec<HistoryEntry>,
    pub(super) payloads: Vec<(PayloadKey, Payload)>,
}

impl Turn {
    pub(super) fn new(saga: Saga, now: Timestamp) -> Self {
        Self { saga, now, history: Vec::new(), payloads: Vec::new() }
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.saga.definition
    }

    pub(super) fn policy(&self, step: StepIndex, operation: Operation) -> Option<&Policy> {
        self.saga.definition.policy(step, operation)
    }

    pub(super) fn op(&self, step: StepIndex, operation: Operation) -> &OperationState {
        self.saga.operation(step, operation)
    }

    pub(super) fn op_mut(&mut self, step: StepIndex, operation: Operation) -> &mut OperationState {
        self.saga.state.steps[step.get()].operation_mut(operation)
    }

    pub(super) fn set(&mut self, step: StepIndex, operation: Operation, status: OperationStatus) {
        self.op_mut(step, operation).status = status;
    }

    /// Adds an entry that is about the saga as a whole and returns it for the details.
    pub(super) fn record(&mut self, change: Change) -> &mut HistoryEntry {
        let sequence = self.saga.state.history_length;
        self.saga.state.history_length += 1;
        self.history.push(HistoryEntry::new(sequence, self.now, change));
        let last = self.history.len() - 1;
        &mut self.history[last]
    }

    /// Adds an entry about one operation.
    pub(super) fn record_at(&mut self, change: Change, step: StepIndex, operation: Operation) -> &mut HistoryEntry {
        let request = self.op(step, operation).request;
        let entry = self.record(change);
        entry.step = Some(step);
        entry.operation = Some(operation);
        entry.request = request;
        entry
    }

    /// Adds an entry about one operation that somebody asked for.
    pub(super) fn record_by(&mut self, change: Change, step: StepIndex, operation: Operation, by: &By) {
        self.record_at(change, step, operation).by = Some(by.clone());
    }

    /// Adds the entry of an attempt that ended, and keeps its outcome where lists show it.
    pub(super) fn record_answer(
        &mut self,
        change: Change,
        (step, operation, attempt): (StepIndex, Operation, u32),
        outcome: &Outcome,
        call: Option<&CallFacts>,
    ) {
        let (now, kind, why) = (self.now, outcome.kind(), outcome.why());
        self.op_mut(step, operation).last = Some(LastOutcome { kind, why: why.clone(), at: now });
        let entry = self.record_at(change, step, operation);
        entry.attempt = Some(attempt);
        entry.why = why;
        entry.call = call.cloned();
    }

    /// Keeps the first output of an operation and marks it done. Later outputs are compared, never used.
    pub(super) fn succeed(&mut self, step: StepIndex, operation: Operation, output: &Payload) {
        let digest = output.digest();
        let state = self.op_mut(step, operation);
        state.status = OperationStatus::Succeeded;
        if state.output.is_none() {
            state.output = Some(digest);
            self.payloads.push((PayloadKey::Output(step, operation), output.clone()));
        }
        if operation == Operation::Action {
            self.set(step, Operation::Query, OperationStatus::Idle);
        }
    }

    /// Gives an operation up for a person to look at.
    pub(super) fn get_stuck(&mut self, step: StepIndex, operation: Operation, reason: StuckReason, why: Why) {
        let since = self.now;
        self.set(step, operation, OperationStatus::Stuck { reason, since });
        self.record_at(Change::Stuck(reason), step, operation).why = why;
    }

    /// Turns back. What runs forward is closed: no action and no query is started from here on; attempts that are out are
    /// waited for.
    pub(super) fn decide_to_compensate(&mut self, cause: Cause) {
        let at = self.now;
        self.saga.state.phase = Phase::Compensating;
        self.saga.state.cancel = None;
        let by = if let Cause::Cancelled(by) = &cause { Some(by.clone()) } else { None };
        self.record(Change::DecidedToCompensate(cause.clone())).by = by;
        self.saga.state.late |= cause == Cause::Deadline;
        self.saga.state.decision =
            Some(Decision { cause, at }).filter(|_| !planted::is(Bug::CompensatedWithoutDecision));
        for step in self.saga.definition.indices() {
            self.close_forward(step);
        }
    }

    fn close_forward(&mut self, step: StepIndex) {
        self.set(step, Operation::Query, OperationStatus::Idle);
        match self.op(step, Operation::Action).status {
            OperationStatus::Ready => self.set(step, Operation::Action, OperationStatus::Idle),
            OperationStatus::Retry { .. } if self.op(step, Operation::Action).attempt == 0 => {
                self.set(step, Operation::Action, OperationStatus::Idle);
            }
            OperationStatus::Asking => {
                // Nobody will ask any more, so what was to be found out stays in doubt.
                self.op_mut(step, Operation::Action).uncertain = true;
                self.set(step, Operation::Action, OperationStatus::GaveUp);
            }
            OperationStatus::Retry { .. } | OperationStatus::Stuck { .. } => {
                self.set(step, Operation::Action, OperationStatus::GaveUp);
            }
            OperationStatus::Idle
            | OperationStatus::InFlight { .. }
            | OperationStatus::Pending { .. }
            | OperationStatus::Succeeded
            | OperationStatus::Rejected
            | OperationStatus::GaveUp
            | OperationStatus::Skipped(_) => {}
        }
    }

    pub(super) fn end(&mut self, phase: Phase, change: Change) {
        self.saga.state.phase = phase;
        self.saga.state.ended_at = Some(self.now);
        self.record(change);
    }
}
