//! The one place where it is decided what an event does to a saga.
//!
//! [`apply`] is a pure function; its `match` over (phase, event) names every pair. A duplicate or late answer is normal and
//! gives [`Applied::Ignored`]; a request that makes no sense gives an [`IllegalEvent`] that says why, and no change.
//! Invariants: time never goes back within a saga; a terminal saga changes only where a force-stopped one learns more about
//! its residue.

mod advance;
mod answer;
mod callback;
mod due;
mod finishing;
mod hold;
mod operator;
mod prepare;
mod query;
mod repin;
mod settle;
mod turn;

use std::sync::Arc;

use crate::definition::Definition;
use crate::event::Event;
use crate::history::{Change, HistoryEntry};
use crate::ids::{Operation, StepIndex};
use crate::payload::{Payload, PayloadKey};
use crate::planted;
use crate::saga::{Cause, Phase, Saga, SagaHead, SagaState, Steps};
use crate::time::Timestamp;

pub use hold::Attempt;
use turn::Turn;

/// What an event did.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// The saga changed; to be committed before anything is called.
    Changed(Box<Changed>),
    /// Nothing changed, and that is all right.
    Ignored(Ignored),
}

/// A changed saga with what goes into the same commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The new state.
    pub saga: Saga,
    /// New history entries.
    pub history: Vec<HistoryEntry>,
    /// Payloads to write once.
    pub payloads: Vec<(PayloadKey, Payload)>,
}

/// Why an event changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// It is known already.
    Duplicate,
    /// It is about an attempt or a request that no longer counts.
    Stale,
    /// Nothing was outstanding or due.
    NothingDue,
    /// The saga has ended.
    Ended,
    /// The saga is already doing that.
    AlreadySo,
}

/// A request that makes no sense in this state. The saga is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalEvent {
    /// The step or operation isn't part of the definition.
    #[error("the definition has no such step or operation")]
    NoSuchOperation,
    /// A condition of a step that has none.
    #[error("this step has no `when`")]
    NoCondition,
    /// An answer to an attempt that was never made.
    #[error("attempt {0} was never made")]
    NeverMade(u32),
    /// A callback for a step that hasn't been called.
    #[error("the {0} of this step has not been called yet")]
    NotBegun(Operation),
    /// A callback that contradicts what is settled.
    #[error("the {0} of this step is settled otherwise already")]
    SettledOtherwise(Operation),
    /// The saga can only go forward.
    #[error("the saga is past its point of no return and can only go forward: retry, skip or resolve what holds it up")]
    PastPivot,
    /// The saga has ended.
    #[error(
        "the saga has ended, and nothing about it can be changed any more: its residue says what is left to put right"
    )]
    Ended,
    /// Nothing is stuck or waiting.
    #[error(
        "nothing is stuck or waiting for a retry here: what is called will answer, what is pending is completed, skipped or \
         resolved, and what is paused is resumed"
    )]
    NothingToRetry,
    /// An attempt is outstanding.
    #[error("an attempt of the {0} is outstanding: wait for its answer or its deadline")]
    Outstanding(Operation),
    /// The operation can't be skipped in this state.
    #[error("the {operation} can't be skipped: {why}")]
    CannotSkip {
        /// Which.
        operation: Operation,
        /// Why, and what to do instead.
        why: &'static str,
    },
    /// Nothing is stuck.
    #[error("nothing is stuck here that somebody would have to look after: pause it if it must not go on")]
    NotStuck,
    /// The saga can't go on by that version.
    #[error("it can't be moved to that version: {0}; register one that keeps what has begun")]
    CannotRepin(crate::repin::Incompatible),
    /// The operation can't be resolved in this state.
    #[error("the {operation} can't be resolved so: {why}")]
    CannotResolve {
        /// Which.
        operation: Operation,
        /// Why, and what to do instead.
        why: &'static str,
    },
}

/// What the rules of one event say.
type Decided = Result<Option<Ignored>, IllegalEvent>;

/// Starts a saga: its first state, with whatever can start at once asked for. Not committed yet.
pub fn begin(head: impl Into<Arc<SagaHead>>, definition: Arc<Definition>, input: Payload, now: Timestamp) -> Changed {
    let state = SagaState {
        head: head.into(),
        revision: 0,
        history_length: 0,
        phase: Phase::Running,
        parked: None,
        paused: None,
        decision: None,
        cancel: None,
        acknowledgement: None,
        deadline: now + definition.timeout(),
        late: false,
        nondeterministic: 0,
        started_at: now,
        updated_at: now,
        ended_at: None,
        steps: Steps::idle(definition.steps().len()),
    };
    let mut turn = Turn::new(Saga { definition, state }, now);
    turn.record(Change::Started);
    turn.payloads.push((PayloadKey::Input, input));
    turn.advance();
    Changed { saga: turn.saga, history: turn.history, payloads: turn.payloads }
}

/// Applies an event at a time. The caller commits the change before it starts what [`crate::outstanding()`] asks for.
pub fn apply(saga: &Saga, event: &Event, now: Timestamp) -> Result<Applied, IllegalEvent> {
    apply_admitting(saga, event, now, &mut |_| true)
}

/// [`apply`], where somebody may hold attempts back (breaker, limits). One that isn't admitted isn't begun: it uses up no attempt
/// and none of the step's time, and stays due until [`Event::Due`] is applied again. `admit` is asked once for every attempt that
/// would begin, and must give the same answers for the same saga to be the same.
pub fn apply_admitting(
    saga: &Saga,
    event: &Event,
    now: Timestamp,
    admit: &mut dyn FnMut(Attempt<'_>) -> bool,
) -> Result<Applied, IllegalEvent> {
    let mut turn = Turn::new(saga.clone(), now.max(saga.state.updated_at));
    if let Some(reason) = decide(&mut turn, event)? {
        return Ok(Applied::Ignored(reason));
    }
    // A note starts nothing, not even what is due.
    if !matches!(event, Event::Acknowledge(_)) {
        turn.advance();
        turn.hold_back(saga, admit);
    }
    turn.drop_stale_acknowledgement(saga);
    if turn.history.is_empty() && turn.payloads.is_empty() && turn.saga.state == saga.state {
        return Ok(Applied::Ignored(Ignored::NothingDue));
    }
    turn.saga.state.updated_at = turn.now;
    Ok(Applied::Changed(Box::new(Changed { saga: turn.saga, history: turn.history, payloads: turn.payloads })))
}

/// Every pair of phase and event, once.
fn decide(turn: &mut Turn, event: &Event) -> Decided {
    use Event as E;
    use Phase as P;
    check_operation(turn, event)?;
    match (turn.saga.state.phase, event) {
        (P::Completed, E::Due)
            if planted::is(planted::Bug::DeadlineOutlivesEnd) && turn.now >= turn.saga.state.deadline =>
        {
            turn.decide_to_compensate(Cause::Deadline);
            Ok(None)
        }
        // A saga that has ended takes no more orders, and learns no more than where its residue stands.
        (P::ForceStopped, E::Answered { .. }) => answer::after_force_stop(turn, event),
        (P::ForceStopped, E::ForceStop(_)) => Ok(Some(Ignored::AlreadySo)),
        (P::Completed | P::Compensated, E::Answered { .. }) => Ok(Some(Ignored::Ended)),
        (
            P::Completed | P::Compensated | P::ForceStopped,
            E::Loaded | E::Due | E::Prepared { .. } | E::ConditionFalse { .. } | E::PrepareFailed { .. },
        ) => Ok(Some(Ignored::Ended)),
        (P::Completed | P::Compensated, E::ForceStop(_))
        | (
            P::Completed | P::Compensated | P::ForceStopped,
            E::CalledBack { .. }
            | E::Cancel(_)
            | E::Retry { .. }
            | E::Skip { .. }
            | E::Resolve { .. }
            | E::Pause(_)
            | E::Resume(_)
            | E::Acknowledge(_)
            | E::Repin(_)
            | E::Park { .. },
        ) => Err(IllegalEvent::Ended),

        // Turning back is possible from one phase only.
        (P::Running, E::Cancel(by)) => operator::cancel(turn, by),
        (P::Confirming, E::Cancel(_)) => Err(IllegalEvent::PastPivot),
        (P::Compensating, E::Cancel(_)) => Ok(Some(Ignored::AlreadySo)),

        // The rest is the same in every open phase; what it leads to is decided by `advance`.
        (P::Running | P::Confirming | P::Compensating, E::Loaded) => due::loaded(turn),
        (P::Running | P::Confirming | P::Compensating, E::Due) => due::due(turn),
        (P::Running | P::Confirming | P::Compensating, E::Prepared { step, operation, requests }) => {
            prepare::prepared(turn, *step, *operation, requests)
        }
        (P::Running | P::Confirming | P::Compensating, E::ConditionFalse { step }) => {
            prepare::condition_false(turn, *step)
        }
        (P::Running | P::Confirming | P::Compensating, E::PrepareFailed { step, operation, message }) => {
            prepare::failed(turn, *step, *operation, message)
        }
        (P::Running | P::Confirming | P::Compensating, E::Answered { .. }) => answer::answered(turn, event),
        (P::Running | P::Confirming | P::Compensating, E::CalledBack { .. }) => callback::called_back(turn, event),
        (P::Running | P::Confirming | P::Compensating, E::Retry { step, by }) => operator::retry(turn, *step, by),
        (P::Running | P::Confirming | P::Compensating, E::Skip { step, operation, by }) => {
            operator::skip(turn, *step, *operation, by)
        }
        (P::Running | P::Confirming | P::Compensating, E::Resolve { step, operation, finding, by }) => {
            operator::resolve(turn, *step, *operation, finding, by)
        }
        (P::Running | P::Confirming | P::Compensating, E::ForceStop(by)) => operator::force_stop(turn, by),
        (P::Running | P::Confirming | P::Compensating, E::Pause(by)) => operator::pause(turn, by),
        (P::Running | P::Confirming | P::Compensating, E::Resume(by)) => operator::resume(turn, by),
        (P::Running | P::Confirming | P::Compensating, E::Acknowledge(by)) => repin::acknowledge(turn, by),
        (P::Running | P::Confirming | P::Compensating, E::Repin(to)) => repin::repin(turn, to),
        (P::Running | P::Confirming | P::Compensating, E::Park { reason, message }) => {
            operator::park(turn, *reason, message)
        }
    }
}

/// Refuses what names a step or operation that the definition doesn't have.
fn check_operation(turn: &Turn, event: &Event) -> Result<(), IllegalEvent> {
    let named = match event {
        Event::Prepared { step, operation, .. }
        | Event::PrepareFailed { step, operation, .. }
        | Event::Answered { step, operation, .. }
        | Event::CalledBack { step, operation, .. }
        | Event::Skip { step, operation, .. }
        | Event::Resolve { step, operation, .. } => Some((*step, *operation)),
        Event::ConditionFalse { step } | Event::Retry { step: Some(step), .. } => Some((*step, Operation::Action)),
        Event::Retry { step: None, .. }
        | Event::Loaded
        | Event::Due
        | Event::Cancel(_)
        | Event::ForceStop(_)
        | Event::Pause(_)
        | Event::Resume(_)
        | Event::Acknowledge(_)
        | Event::Repin(_)
        | Event::Park { .. } => None,
    };
    let known = |(step, operation): (StepIndex, Operation)| {
        step.get() < turn.definition().steps().len() && turn.policy(step, operation).is_some()
    };
    if named.is_none_or(known) { Ok(()) } else { Err(IllegalEvent::NoSuchOperation) }
}
