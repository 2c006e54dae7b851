//! What can start now: the rules of order, turning back and ending, applied until nothing more follows.
//!
//! Runs after every event, whatever it was, so that no event has to think of what comes next. Invariants: nothing starts in a
//! saga that is parked; predecessors are undone after the steps that depend on them; a deadline acts only where turning back
//! is still safe, and after the answers that are already here (semantics A3, A6, A13, A17).

use crate::facts::PivotGate;
use crate::history::Change;
use crate::ids::{Operation, StepIndex};
use crate::outstanding::OPERATIONS;
use crate::planted::{self, Bug};
use crate::saga::{Cause, OperationStatus, Phase};

use super::turn::Turn;

impl Turn {
    /// Starts all that can start, and moves to the next phase where one is done.
    pub(super) fn advance(&mut self) {
        while !self.saga.is_parked() && self.advance_once() {}
    }

    /// One pass; says whether the phase changed, so that another is needed.
    fn advance_once(&mut self) -> bool {
        let before = self.saga.state.phase;
        match before {
            Phase::Running => self.run_forward(),
            Phase::Confirming => self.confirm(),
            Phase::Compensating => self.compensate(),
            Phase::Completed | Phase::Compensated | Phase::ForceStopped => {}
        }
        if self.saga.state.phase == before {
            self.start_due();
        }
        self.saga.state.phase != before
    }

    fn run_forward(&mut self) {
        let steps: Vec<StepIndex> = self.definition().indices().collect();
        if steps.iter().all(|step| self.saga.is_action_done(*step)) {
            return self.finish_running(&steps);
        }
        match self.saga.pivot_gate() {
            PivotGate::Open if self.turn_back_if_asked() => return,
            // Too late for it: a cancel that was recorded in doubt is not kept where it can never act.
            PivotGate::Passed => self.saga.state.cancel = None,
            PivotGate::Open | PivotGate::InDoubt => {}
        }
        self.raise_late();
        for step in steps {
            if self.op(step, Operation::Action).status == OperationStatus::Idle && self.is_ready_to_run(step) {
                self.ask(step, Operation::Action);
            }
            self.seal_if_quiet(step);
        }
    }

    fn finish_running(&mut self, steps: &[StepIndex]) {
        self.saga.state.cancel = None;
        if steps.iter().any(|step| self.saga.needs_confirm(*step)) {
            // From this commit on nothing turns back (semantics A6).
            self.saga.state.phase = Phase::Confirming;
            self.record(Change::DecidedToConfirm);
        } else {
            self.end(Phase::Completed, Change::Completed);
        }
    }

    /// A cancel or deadline that could not act yet acts as soon as nothing of the pivot can have happened.
    fn turn_back_if_asked(&mut self) -> bool {
        if let Some(cancel) = self.saga.state.cancel.take() {
            self.decide_to_compensate(Cause::Cancelled(cancel.by));
            return true;
        }
        if self.now >= self.saga.state.deadline {
            self.decide_to_compensate(Cause::Deadline);
            return true;
        }
        false
    }

    fn is_ready_to_run(&self, step: StepIndex) -> bool {
        self.definition().step(step).after.iter().all(|before| self.saga.is_action_done(*before))
    }

    fn confirm(&mut self) {
        self.raise_late();
        let steps: Vec<StepIndex> = self.definition().indices().collect();
        if steps.iter().all(|step| self.saga.is_confirmed(*step)) {
            return self.end(Phase::Completed, Change::Completed);
        }
        let out_of_the_way = self.confirms_out_of_the_way();
        for step in steps {
            let waits = self.definition().step(step).after.iter().any(|before| !out_of_the_way[before.get()]);
            let idle = self.op(step, Operation::Confirm).status == OperationStatus::Idle;
            if idle && !waits && self.saga.needs_confirm(step) {
                self.ask(step, Operation::Confirm);
            }
        }
    }

    /// By step: whether its confirm and those of all steps before it no longer hold up what follows.
    fn confirms_out_of_the_way(&self) -> Vec<bool> {
        let mut known = vec![None; self.saga.state.steps.len()];
        for step in self.definition().indices() {
            self.confirm_chain(step, &mut known);
        }
        known.into_iter().map(|answer| answer == Some(true)).collect()
    }

    fn confirm_chain(&self, step: StepIndex, known: &mut Vec<Option<bool>>) -> bool {
        if let Some(answer) = known[step.get()] {
            return answer;
        }
        let earlier = self.definition().step(step).after.iter().all(|early| self.confirm_chain(*early, known));
        let answer = earlier && self.saga.is_confirm_out_of_the_way(step);
        known[step.get()] = Some(answer);
        answer
    }

    fn compensate(&mut self) {
        self.raise_late();
        let steps: Vec<StepIndex> = self.definition().indices().collect();
        for step in &steps {
            self.drop_if_needless(*step);
        }
        let cleared = self.saga.cleared();
        if cleared.iter().all(|done| *done) {
            return self.end(Phase::Compensated, Change::Compensated);
        }
        for step in steps {
            let dependents = self.definition().dependents(step);
            let waits = dependents.iter().any(|next| !cleared[next.get()]);
            if !waits || planted::is(Bug::PredecessorCompensatedFirst) {
                self.compensate_if_quiet(step);
            }
        }
    }

    /// A compensation that was asked for and not yet called is needless once the effect is known never to come.
    fn drop_if_needless(&mut self, step: StepIndex) {
        let settled = self.saga.is_compensation_settled(step);
        if !settled && !self.is_compensation_begun(step) && !self.saga.needs_compensation(step) {
            self.set(step, Operation::Compensate, OperationStatus::Idle);
        }
    }

    /// Asks for a step's compensation once no attempt of its action can still be under way.
    fn compensate_if_quiet(&mut self, step: StepIndex) {
        let action = self.op(step, Operation::Action);
        let quiet = !action.is_in_flight()
            && (action.quiet_at.is_none_or(|quiet_at| quiet_at <= self.now)
                || planted::is(Bug::CompensationNotWaiting));
        let idle = self.op(step, Operation::Compensate).status == OperationStatus::Idle;
        if idle && quiet && self.saga.needs_compensation(step) {
            self.ask(step, Operation::Compensate);
        }
    }

    fn seal_if_quiet(&mut self, step: StepIndex) {
        if self.saga.step(step).sealing {
            self.compensate_if_quiet(step);
        }
    }

    fn raise_late(&mut self) {
        if self.now >= self.saga.state.deadline && !self.saga.state.late {
            self.saga.state.late = true;
            self.record(Change::Late);
        }
    }

    fn start_due(&mut self) {
        let steps: Vec<StepIndex> = self.definition().indices().collect();
        for step in steps {
            for operation in OPERATIONS {
                let OperationStatus::Retry { due } = self.op(step, operation).status else { continue };
                if due <= self.now && self.saga.is_live(step, operation) {
                    self.ask(step, operation);
                }
            }
        }
    }

    /// Starts an attempt, or asks for its request first.
    fn ask(&mut self, step: StepIndex, operation: Operation) {
        if self.op(step, operation).request.is_some() {
            self.start(step, operation);
        } else {
            self.set(step, operation, OperationStatus::Ready);
        }
    }

    /// Records the intent of the next attempt. It is called once this state is durable, never before.
    fn start(&mut self, step: StepIndex, operation: Operation) {
        let Some(policy) = self.policy(step, operation) else { return };
        let deadline = self.now + policy.attempt_timeout;
        let now = self.now;
        let state = self.op_mut(step, operation);
        state.attempt += 1;
        state.begun_at.get_or_insert(now);
        state.status = OperationStatus::InFlight { deadline };
    }
}
