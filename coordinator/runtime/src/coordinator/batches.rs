//! What a batch needs of the coordinator: to play a verb on a saga, to ask for it at one revision, and to know its own work.
//!
//! Invariant: what is played is the very event that the owner would be asked to apply.

use std::sync::Arc;

use amends_definition::Compiled;
use amends_engine::event::Event;
use amends_engine::ids::SagaKey;
use amends_engine::saga::{By, Saga};
use amends_engine::time::Timestamp;
use amends_store::record;

use super::{Answered, Coordinator};
use crate::batch::action::Order;
use crate::batch::preview::{Preview, preview};
use crate::batch::{Action, mark};
use crate::error::RequestError;
use crate::snapshot::Snapshot;
use crate::stored::{Revived, revive, revive_state};

/// History entries that are read at once when a batch looks for its own.
const ENTRIES: u64 = 32;

/// An event, and the version of the definition that it leads to where that is another one.
type Planned = (Event, Option<Arc<Compiled>>);

/// A saga that a verb is to be played on.
#[derive(Debug)]
pub(crate) struct Previewed {
    pub(crate) saga: Saga,
    compiled: Arc<Compiled>,
}

impl Coordinator {
    /// A listed state as a saga.
    pub(crate) async fn revived(&self, key: &SagaKey, revision: u64, state: &[u8]) -> Result<Previewed, RequestError> {
        let (saga, compiled) = revive_state(&self.inner.definitions, key, revision, state).await?;
        Ok(Previewed { saga, compiled })
    }

    /// What an action would do to a saga, and at which revision that is said.
    pub(crate) async fn previewed(
        &self,
        found: Previewed,
        action: &Action,
        by: &By,
        now: Timestamp,
    ) -> Result<(u64, Preview), RequestError> {
        let Previewed { saga, compiled } = found;
        let (key, revision) = (saga.state.head.key.clone(), saga.state.revision);
        let snapshot = Snapshot { saga, payloads: std::collections::BTreeMap::new() };
        let (event, there) = match self.planned_event(&snapshot, action, by).await? {
            Ok(planned) => planned,
            Err(why) => return Ok((revision, Preview::Refused(why))),
        };
        if let Some(preview) = preview(&snapshot.saga, there.as_ref().unwrap_or(&compiled), None, &event, now) {
            return Ok((revision, preview));
        }
        // Requests are to be prepared: with the payloads, and at the revision that is read with them.
        let stored = self.inner.store.get(&key).await?.ok_or(RequestError::NoSuchSaga(key))?;
        let Revived { saga, compiled, payloads } = revive(&self.inner.definitions, stored).await?;
        let (revision, snapshot) = (saga.state.revision, Snapshot { saga, payloads });
        let played = match self.planned_event(&snapshot, action, by).await? {
            Ok((event, there)) => {
                let compiled = there.as_ref().unwrap_or(&compiled);
                preview(&snapshot.saga, compiled, Some(&snapshot.payloads), &event, now)
            }
            Err(why) => Some(Preview::Refused(why)),
        };
        Ok((revision, played.unwrap_or(Preview::Calls(Vec::new()))))
    }

    /// The event that the owner would be asked to apply, and the version of the definition that it leads to where that is another;
    /// or why nothing can be asked. An error says nothing about the saga.
    async fn planned_event(
        &self,
        snapshot: &Snapshot,
        action: &Action,
        by: &By,
    ) -> Result<Result<Planned, String>, RequestError> {
        let planned = match action.order(&snapshot.saga) {
            Err(why) => return Ok(Err(why)),
            Ok(Order::Ask(ask)) => self.event_of(snapshot, ask, by.clone()).map(|event| (event, None)),
            Ok(Order::Repin(version)) => {
                let repinned = self.repinned(&snapshot.saga, Some(version), by.clone()).await;
                repinned.map(|(event, there)| (event, Some(there)))
            }
        };
        match planned {
            Ok(planned) => Ok(Ok(planned)),
            Err(error @ RequestError::Unavailable(_)) => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Does a batch's action to one saga, at one revision only. `Err(Ok(why))`: it makes no sense there.
    pub(crate) async fn act(
        &self,
        key: &SagaKey,
        action: &Action,
        by: By,
        revision: Option<u64>,
    ) -> Result<Result<Answered, String>, RequestError> {
        let snapshot = self.get(key).await?;
        let found = snapshot.saga.state.revision;
        if let Some(expected) = revision.filter(|expected| *expected != found) {
            return Err(RequestError::RevisionMoved { expected, found });
        }
        match action.order(&snapshot.saga) {
            Ok(Order::Ask(ask)) => self.ask(key, ask, by, revision).await.map(Ok),
            Ok(Order::Repin(version)) => self.repin(key, Some(version), by, revision).await.map(Ok),
            Err(why) => Ok(Err(why)),
        }
    }

    /// Whether the change that led a saga to this revision was made by this batch.
    pub(crate) async fn is_work_of(&self, key: &SagaKey, revision: u64, batch: &str) -> Result<bool, RequestError> {
        let Some(stored) = self.inner.store.get(key).await? else { return Ok(false) };
        let unreadable = |what: &str, error: &dyn std::error::Error| {
            RequestError::Unreadable(format!("the {what} of saga {key} can't be read: {error}"))
        };
        let state = record::decode_state(&stored.state).map_err(|error| unreadable("state", &error))?;
        let mut end = state.history_length;
        while end > 0 {
            let begin = end.saturating_sub(ENTRIES);
            let entries = self.inner.store.history(key, begin, usize::try_from(end - begin).unwrap_or(0)).await?;
            for (_, bytes) in entries.iter().rev() {
                let recorded = record::decode_history(bytes).map_err(|error| unreadable("history", &error))?;
                if recorded.revision < revision {
                    return Ok(false);
                }
                if recorded.revision == revision && mark::is_of(&recorded.entry, batch) {
                    return Ok(true);
                }
            }
            end = begin;
        }
        Ok(false)
    }

    /// How many nodes share the work.
    pub(crate) fn living(&self) -> usize {
        self.inner.cluster.table.living()
    }

    /// Wakes this node's search for batches that run.
    pub(crate) fn nudge_batches(&self) {
        self.inner.batches.nudge();
    }
}
