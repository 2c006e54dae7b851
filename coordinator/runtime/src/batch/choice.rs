//! Which sagas a plan is about: what the store can list by, and what only the state tells.
//!
//! Invariant: a saga is chosen only if every field that is set holds for its state as it was read, whatever an index says.

use std::time::Duration;

use amends_engine::ids::{ParticipantName, SagaId};
use amends_engine::saga::Saga;
use amends_engine::standing;
use amends_engine::time::Timestamp;
use amends_store::Filter;

/// Which sagas; fields that are left out don't narrow.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// What the store lists by; its namespace must be set.
    pub filter: Filter,
    /// Only those that are held up at this participant.
    pub participant: Option<ParticipantName>,
    /// Only open ones whose last error has this text in it, upper or lower case.
    pub error: String,
    /// Only open ones that have been stuck, or else open, for at least this long.
    pub older_than: Option<Duration>,
    /// Leave out what somebody has acknowledged.
    pub unacknowledged: bool,
    /// Only these; none: all.
    pub ids: Vec<SagaId>,
}

impl Choice {
    /// Whether a saga is meant.
    pub(crate) fn matches(&self, saga: &Saga, now: Timestamp) -> bool {
        let state = &saga.state;
        self.filter_holds(saga)
            && !(self.unacknowledged && state.acknowledgement.is_some())
            && self.participant.as_ref().is_none_or(|at| standing::held_up_at(saga) == Some(at))
            && (self.error.is_empty() || !state.phase.is_terminal() && self.error_holds(saga))
            && self
                .older_than
                .is_none_or(|age| !state.phase.is_terminal() && now.since(standing::waiting_since(state)) >= age)
    }

    fn filter_holds(&self, saga: &Saga) -> bool {
        let (filter, head, status) = (&self.filter, &saga.state.head, standing::status(saga).as_str());
        let is_stuck_for = |reason: &String| saga.stuck().is_some_and(|stuck| stuck.reason.as_str() == reason);
        filter.namespace.as_ref().is_none_or(|it| *it == head.key.namespace)
            && (filter.statuses.is_empty() || filter.statuses.iter().any(|it| it == status))
            && filter.definition.as_ref().is_none_or(|it| *it == head.definition)
            && filter.version.is_none_or(|it| it == head.version)
            && filter.stuck.as_ref().is_none_or(is_stuck_for)
            && filter.labels.iter().all(|label| head.labels.contains(label))
    }

    fn error_holds(&self, saga: &Saga) -> bool {
        let Some(error) = standing::last_error(&saga.state) else { return false };
        let text = format!("{} {}", error.code, error.message).to_lowercase();
        text.contains(&self.error.to_lowercase())
    }
}
