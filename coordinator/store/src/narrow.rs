//! The part of a filter that no index answers: the text of the last error, and the age. Read from the states of unfinished sagas.
//!
//! One file for every backend, so that all give the same answer. Invariant: it narrows what the index has found and never adds;
//! a state that can't be read has no error, and its age is that of its start.

use amends_engine::standing::{last_error, waiting_since};
use amends_engine::time::Timestamp;

use crate::contract::{Filter, SagaKind};
use crate::record;

/// How many sagas a page looks at before it is given as it is: a page costs a page, whatever the filter.
pub(crate) const VISITS: usize = 1_500;

/// What is asked of a state.
pub(crate) struct Narrow {
    error: Option<String>,
    waiting_since: Option<Timestamp>,
}

impl Narrow {
    /// `None` where the index alone answers the filter.
    pub(crate) fn of(filter: &Filter) -> Option<Self> {
        let error = filter.error.as_ref().map(|text| text.to_lowercase());
        let waiting_since = filter.waiting_since;
        (error.is_some() || waiting_since.is_some()).then_some(Self { error, waiting_since })
    }

    /// Whether a saga passes that the index has found.
    pub(crate) fn passes(&self, known: Known, state: &[u8]) -> bool {
        // Nothing waits longer than since it started.
        if !known.open || self.waiting_since.is_some_and(|at| known.started_at > at) {
            return false;
        }
        if self.error.is_none() && !known.stuck {
            return true;
        }
        let Ok(state) = record::decode_state(state) else { return self.error.is_none() };
        let is_error = |text: &String| {
            last_error(&state).is_some_and(|it| format!("{}: {}", it.code, it.message).to_lowercase().contains(text))
        };
        let waits = |at: Timestamp| !known.stuck || waiting_since(&state) <= at;
        self.waiting_since.is_none_or(waits) && self.error.as_ref().is_none_or(is_error)
    }
}

/// What the index says of a saga.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Whether it is unfinished.
    pub(crate) open: bool,
    /// Whether it is stuck; only then it may wait since later than its start.
    pub(crate) stuck: bool,
    /// When it was started.
    pub(crate) started_at: Timestamp,
}

/// Counts by kind, in the order of the kinds.
pub(crate) type Counts = std::collections::BTreeMap<SagaKind, u64>;
