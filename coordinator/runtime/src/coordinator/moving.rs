//! What holds a saga up and what moves it on: the words of why, definitions that are paused, and moving to another version.
//!
//! The rules are the engine's; here are only the facts that it can't have. Invariant: a saga is moved only to a version that this
//! node has compiled, compared with the version that it was on.

use std::sync::Arc;

use amends_definition::Compiled;
use amends_engine::event::{Event, Repin};
use amends_engine::ids::{SagaKey, Version};
use amends_engine::outstanding;
use amends_engine::saga::{By, Paused, Saga};
use amends_engine::standing::{Waiting, WaitingReason};
use amends_engine::why::{self, Around};
use tokio::sync::oneshot;

use super::{Answered, Coordinator, wait_for};
use crate::audit::{current, on_behalf_as};
use crate::cluster::Place;
use crate::error::RequestError;
use crate::holds::Holds;
use crate::participant::protection::BreakerMode;
use crate::shard::Request;

impl Coordinator {
    /// Which definitions are paused; to be told of every pause and resume.
    pub fn holds(&self) -> &Holds {
        &self.inner.holds
    }

    /// Why an open saga isn't moving, since when, and what happens next; empty where it moves or has ended.
    pub fn why(&self, saga: &Saga) -> String {
        why::why(saga, &self.around(saga))
    }

    fn around(&self, saga: &Saga) -> Around {
        if saga.state.phase.is_terminal() {
            return Around::default();
        }
        let head = &saga.state.head;
        let waits = self.waits(saga);
        let by_breaker = waits.iter().any(|waiting| waiting.reason == WaitingReason::BreakerOpen);
        let frozen = match self.place(&head.key) {
            Place::Frozen(lost) => Some(lost.to_string()),
            Place::Here | Place::At { .. } | Place::Nowhere => None,
        };
        let participants = if by_breaker { self.paused_participants(saga) } else { Vec::new() };
        Around { definition: self.inner.holds.of(&head.key.namespace, &head.definition), participants, frozen, waits }
    }

    fn paused_participants(&self, saga: &Saga) -> Vec<(amends_engine::ids::ParticipantName, Paused)> {
        let namespace = &saga.state.head.key.namespace;
        let paused = |step: &amends_engine::definition::Step| {
            let registration = self.inner.directory.get(namespace, &step.participant)?;
            let change =
                registration.limits_change.as_ref().filter(|_| registration.limits.breaker == BreakerMode::Held)?;
            let by = By { principal: change.principal.clone(), reason: change.reason.clone() };
            Some((step.participant.clone(), Paused { since: change.at, by }))
        };
        saga.definition.steps().iter().filter_map(paused).collect()
    }

    /// That its definition is paused, where that is what an open saga waits for. It waits for nothing else then, but for answers
    /// that are still out.
    pub(super) fn held_by_definition(&self, saga: &Saga) -> Option<Waiting> {
        let head = &saga.state.head;
        if saga.is_parked() || !outstanding(saga).is_empty() {
            return None;
        }
        let since = self.inner.holds.of(&head.key.namespace, &head.definition)?.since;
        Some(Waiting { reason: WaitingReason::Paused, step: None, operation: None, since, until: None })
    }

    /// Moves a saga to another version of its definition; to the newest that isn't deprecated where none is named. Answered after
    /// its commit.
    pub async fn repin(
        &self,
        key: &SagaKey,
        version: Option<Version>,
        by: By,
        expected_revision: Option<u64>,
    ) -> Result<Answered, RequestError> {
        let snapshot = self.get(key).await?;
        let ticket = on_behalf_as(current(), "Operations/Repin", key, &by, || self.inner.seams.bits());
        let (event, _) = self.repinned(&snapshot.saga, version, by).await?;
        let (reply, answer) = oneshot::channel();
        self.send(key, Request::Ask { key: key.clone(), event, expected_revision, reply, ticket: Some(ticket) })?;
        wait_for(answer).await
    }

    /// What moves a saga to a version, and that version.
    pub(super) async fn repinned(
        &self,
        saga: &Saga,
        version: Option<Version>,
        by: By,
    ) -> Result<(Event, Arc<Compiled>), RequestError> {
        let (head, definitions) = (&saga.state.head, &self.inner.definitions);
        let here = definitions.get(&head.key.namespace, &head.definition, head.version).await?;
        let there = match version {
            Some(version) => definitions.get(&head.key.namespace, &head.definition, version).await?,
            None => definitions.for_start(&head.key.namespace, &head.definition, None).await?,
        };
        let event = Event::Repin(Repin {
            from: head.version,
            definition: there.engine().clone(),
            elsewhere: here.calls_elsewhere(&there),
            by,
        });
        Ok((event, there))
    }
}
