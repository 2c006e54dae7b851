//! What should be under way for a saga in this state, and when to look again.
//!
//! Derived, never stored: after a crash the new owner computes the same list, so that recovery is the normal road.
//! Invariant: every saga that is open and not parked has an effect, an attempt outstanding, or a due time.

use std::time::Duration;

use crate::effect::Effect;
use crate::ids::{Operation, StepIndex};
use crate::saga::{OperationStatus, Phase, Saga};
use crate::time::Timestamp;

/// How long after an attempt's deadline its silence is taken for an answer, should whoever made the call never report.
pub const ANSWER_MARGIN: Duration = Duration::from_secs(2);

pub(crate) const OPERATIONS: [Operation; 4] =
    [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];

/// Everything that should be under way. Whoever drives the saga starts what isn't yet.
pub fn outstanding(saga: &Saga) -> Vec<Effect> {
    effects(saga).collect()
}

/// The first request that is to be prepared before this state may be committed.
pub fn unprepared(saga: &Saga) -> Option<(StepIndex, Operation)> {
    effects(saga).find_map(|effect| match effect {
        Effect::Prepare { step, operation } => Some((step, operation)),
        Effect::Call { .. } => None,
    })
}

/// Whether any call should be under way.
pub fn is_calling(saga: &Saga) -> bool {
    effects(saga).any(|effect| matches!(effect, Effect::Call { .. }))
}

fn effects(saga: &Saga) -> impl Iterator<Item = Effect> + '_ {
    let steps = saga.definition.indices().filter(move |_| !saga.state.phase.is_terminal());
    steps.flat_map(move |step| OPERATIONS.into_iter().filter_map(move |operation| effect(saga, step, operation)))
}

fn effect(saga: &Saga, step: StepIndex, operation: Operation) -> Option<Effect> {
    let state = saga.operation(step, operation);
    match state.status {
        OperationStatus::InFlight { deadline } => Some(Effect::Call {
            step,
            operation,
            attempt: state.attempt,
            deadline,
            expects_succeeded: expects_succeeded(saga, step, operation),
        }),
        OperationStatus::Ready if !saga.is_parked() => Some(Effect::Prepare { step, operation }),
        OperationStatus::Ready
        | OperationStatus::Idle
        | OperationStatus::Retry { .. }
        | OperationStatus::Asking
        | OperationStatus::Pending { .. }
        | OperationStatus::Succeeded
        | OperationStatus::Rejected
        | OperationStatus::GaveUp
        | OperationStatus::Skipped(_)
        | OperationStatus::Stuck { .. } => None,
    }
}

fn expects_succeeded(saga: &Saga, step: StepIndex, operation: Operation) -> bool {
    let finishing = matches!(operation, Operation::Compensate | Operation::Confirm);
    finishing && saga.step(step).action.status == OperationStatus::Succeeded
}

/// When `Event::Due` should be applied, should nothing else happen before: the earliest of all the saga's timers.
/// `None` for a saga that waits for a person or has ended.
pub fn next_due(saga: &Saga) -> Option<Timestamp> {
    next_due_beside(saga, |_, _| false)
}

/// [`next_due`], but for operations that are held back: their time has come, and somebody else says when they may begin.
pub fn next_due_beside(saga: &Saga, is_held: impl Fn(StepIndex, Operation) -> bool) -> Option<Timestamp> {
    if saga.state.phase.is_terminal() {
        return None;
    }
    let answers = timers(saga, |saga, step, operation| match saga.operation(step, operation).status {
        OperationStatus::InFlight { deadline } => Some(deadline + ANSWER_MARGIN),
        OperationStatus::Idle
        | OperationStatus::Ready
        | OperationStatus::Retry { .. }
        | OperationStatus::Asking
        | OperationStatus::Pending { .. }
        | OperationStatus::Succeeded
        | OperationStatus::Rejected
        | OperationStatus::GaveUp
        | OperationStatus::Skipped(_)
        | OperationStatus::Stuck { .. } => None,
    });
    if saga.is_parked() {
        return answers;
    }
    let deadline = (!saga.state.late).then_some(saga.state.deadline);
    let waiting = timers(saga, |saga, step, operation| {
        waiting_until(saga, step, operation).filter(|_| !is_held(step, operation))
    });
    [answers, waiting, quiet(saga), deadline].into_iter().flatten().min()
}

fn timers(saga: &Saga, timer: impl Fn(&Saga, StepIndex, Operation) -> Option<Timestamp>) -> Option<Timestamp> {
    let steps = saga.definition.indices();
    steps.flat_map(move |step| OPERATIONS.map(|operation| timer(saga, step, operation))).flatten().min()
}

fn waiting_until(saga: &Saga, step: StepIndex, operation: Operation) -> Option<Timestamp> {
    match saga.operation(step, operation).status {
        OperationStatus::Retry { due } if saga.is_live(step, operation) => Some(due),
        OperationStatus::Pending { .. } => saga.pending_end(step, operation),
        OperationStatus::Retry { .. }
        | OperationStatus::Idle
        | OperationStatus::Ready
        | OperationStatus::InFlight { .. }
        | OperationStatus::Asking
        | OperationStatus::Succeeded
        | OperationStatus::Rejected
        | OperationStatus::GaveUp
        | OperationStatus::Skipped(_)
        | OperationStatus::Stuck { .. } => None,
    }
}

/// When the next compensation that only waits for the wire to fall silent may start.
fn quiet(saga: &Saga) -> Option<Timestamp> {
    saga.definition.indices().filter_map(|step| quiet_until(saga, step)).min()
}

/// Until when a compensation that could otherwise start waits for the wire to fall silent. `None` where something else is in
/// its way: a time at which nothing would start must not be waited for.
pub(crate) fn quiet_until(saga: &Saga, step: StepIndex) -> Option<Timestamp> {
    let idle = saga.step(step).compensate.status == OperationStatus::Idle;
    let action = &saga.step(step).action;
    if !idle || action.is_in_flight() || !saga.is_live(step, Operation::Compensate) || !saga.needs_compensation(step) {
        return None;
    }
    let until = action.quiet_at.filter(|quiet_at| *quiet_at > saga.state.updated_at)?;
    let cleared = saga.cleared();
    saga.definition.dependents(step).iter().all(|next| cleared[next.get()]).then_some(until)
}

impl Saga {
    /// Whether the saga starts nothing: paused, or parked as a whole.
    pub fn is_parked(&self) -> bool {
        self.state.paused.is_some() || self.state.parked.is_some() || self.state.phase.is_terminal()
    }

    /// Whether this operation is part of what the saga does in its present phase.
    pub fn is_live(&self, step: StepIndex, operation: Operation) -> bool {
        match (self.state.phase, operation) {
            (Phase::Running, Operation::Action | Operation::Query)
            | (Phase::Confirming, Operation::Confirm)
            | (Phase::Compensating, Operation::Compensate) => true,
            (Phase::Running, Operation::Compensate) => self.step(step).sealing,
            (Phase::Running, Operation::Confirm)
            | (Phase::Confirming, Operation::Action | Operation::Compensate | Operation::Query)
            | (Phase::Compensating, Operation::Action | Operation::Confirm | Operation::Query)
            | (Phase::Completed | Phase::Compensated | Phase::ForceStopped, _) => false,
        }
    }
}
