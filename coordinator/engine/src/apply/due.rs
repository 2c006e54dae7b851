//! Time that has come, and owners that were lost.
//!
//! No clock is read: whoever drives the saga says what time it is. Invariant: an attempt that was outstanding when a saga was
//! loaded counts as sent and unknown, durably, from that load on (semantics A1).

use std::time::Duration;

use crate::history::Change;
use crate::ids::{Operation, StepIndex};
use crate::outcome::{Doubt, Outcome, Why};
use crate::outstanding::{ANSWER_MARGIN, OPERATIONS};
use crate::planted::{self, Bug};
use crate::saga::OperationStatus;

use super::turn::Turn;
use super::{Decided, Ignored};

/// The saga was loaded by a new owner.
pub(super) fn loaded(turn: &mut Turn) -> Decided {
    if planted::is(Bug::BackoffForgottenAtTakeOver) {
        for (step, operation) in operations_where(turn, |status| matches!(status, OperationStatus::InFlight { .. })) {
            turn.op_mut(step, operation).failures = 0;
        }
    }
    let outstanding = operations_where(turn, |status| matches!(status, OperationStatus::InFlight { .. }));
    if outstanding.is_empty() {
        return Ok(Some(Ignored::NothingDue));
    }
    let why = Why::new("OWNER_LOST", "the coordinator was lost while this attempt was outstanding");
    for (step, operation) in outstanding {
        let before = turn.op(step, operation).uncertain;
        turn.unanswered(step, operation, Doubt::OwnerLost, &why, Duration::ZERO);
        if planted::is(Bug::AttemptForgottenAtTakeOver) {
            turn.op_mut(step, operation).uncertain = before;
        }
    }
    Ok(None)
}

/// Some timer may have run out; `advance` starts whatever is due to start.
pub(super) fn due(turn: &mut Turn) -> Decided {
    let now = turn.now;
    let silent = operations_where(
        turn,
        |status| matches!(status, OperationStatus::InFlight { deadline } if deadline + ANSWER_MARGIN <= now),
    );
    let why = Why::new("NO_ANSWER", "nothing was heard of this attempt by its deadline");
    for (step, operation) in silent {
        let delay = turn.policy(step, operation).map_or(ANSWER_MARGIN, |policy| policy.initial_delay);
        turn.unanswered(step, operation, Doubt::NoAnswer, &why, delay);
    }
    if turn.saga.is_parked() {
        return Ok(None);
    }
    for (step, operation) in operations_where(turn, |status| matches!(status, OperationStatus::Pending { .. })) {
        if turn.saga.pending_end(step, operation).is_some_and(|end| end <= now) {
            turn.pending_expired(step, operation);
        }
    }
    Ok(None)
}

fn operations_where(turn: &Turn, wanted: impl Fn(OperationStatus) -> bool) -> Vec<(StepIndex, Operation)> {
    let all = turn.definition().indices().flat_map(|step| OPERATIONS.map(|operation| (step, operation)));
    all.filter(|(step, operation)| wanted(turn.op(*step, *operation).status)).collect()
}

impl Turn {
    fn unanswered(&mut self, step: StepIndex, operation: Operation, doubt: Doubt, why: &Why, retry_after: Duration) {
        let attempt = self.op(step, operation).attempt;
        let outcome = Outcome::Unknown { doubt, why: why.clone() };
        self.record_answer(Change::AttemptEnded(outcome.kind()), (step, operation, attempt), &outcome, None);
        self.settle(step, operation, &outcome, retry_after);
    }

    /// A pending operation past its time is asked for where that is possible, then treated as unknown (design §4).
    fn pending_expired(&mut self, step: StepIndex, operation: Operation) {
        self.record_at(Change::PendingExpired, step, operation);
        let why = Why::new("PENDING_EXPIRED", "nothing was heard of this pending operation within the step's time");
        if operation != Operation::Action {
            self.retry_finishing(step, operation, &why, Duration::ZERO);
        } else if self.policy(step, Operation::Query).is_some() {
            self.ask_query(step, Duration::ZERO);
        } else {
            self.op_mut(step, operation).uncertain = true;
            self.retry_action(step, &why, Duration::ZERO);
        }
    }
}
