//! What a committed change of a saga is news of. Pure.
//!
//! Invariant: a saga that gets stuck is told of, whatever else the same change did; so is its getting free.

use amends_engine::ids::{Operation, StepIndex};
use amends_engine::saga::{OperationStatus, Saga, StuckReason};
use amends_engine::standing::{self, StatusWord};
use amends_engine::time::Timestamp;

use super::event::EventType;

/// The operations that can be stuck.
const OPERATIONS: [Operation; 3] = [Operation::Action, Operation::Compensate, Operation::Confirm];

/// One reason for which a saga needs an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StuckAt {
    /// Where; `None`: the saga as a whole.
    pub(crate) place: Option<(StepIndex, Operation)>,
    /// Why.
    pub(crate) reason: StuckReason,
    /// Since when.
    pub(crate) since: Timestamp,
}

/// All of them, the oldest first.
pub(crate) fn stuck_at(saga: &Saga) -> Vec<StuckAt> {
    if saga.state.phase.is_terminal() {
        return Vec::new();
    }
    let parked = saga.state.parked.as_ref();
    let parked = parked.map(|parked| StuckAt { place: None, reason: parked.reason, since: parked.since });
    let places = saga.definition.indices().flat_map(|step| OPERATIONS.map(|operation| (step, operation)));
    let of_operations = places.filter_map(|(step, operation)| match saga.operation(step, operation).status {
        OperationStatus::Stuck { reason, since } => Some(StuckAt { place: Some((step, operation)), reason, since }),
        _ => None,
    });
    let mut all: Vec<StuckAt> = parked.into_iter().chain(of_operations).collect();
    all.sort_by_key(|stuck| stuck.since);
    all
}

/// What a change is news of, in the order in which it is told. `before`: as it was committed before; `None`: it is the first
/// commit.
pub(crate) fn news(before: Option<&Saga>, after: &Saga) -> Vec<EventType> {
    let (was, is) = (before.map(standing::status), standing::status(after));
    let mut news = Vec::new();
    if is == StatusWord::Stuck {
        let known = before.map(stuck_at).unwrap_or_default();
        if stuck_at(after).iter().any(|stuck| !known.contains(stuck)) {
            news.push(EventType::SagaStuck);
        }
    } else if was == Some(StatusWord::Stuck) {
        news.push(EventType::SagaUnstuck);
    }
    if after.state.phase.is_terminal() && !before.is_some_and(|before| before.state.phase.is_terminal()) {
        news.push(EventType::SagaEnded);
    }
    if was != Some(is) {
        news.push(EventType::SagaChanged);
    }
    news
}
