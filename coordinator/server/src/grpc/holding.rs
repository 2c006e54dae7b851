//! Pausing and resuming what many sagas need: a definition, a participant.
//!
//! Each is recorded with who and why, and told to the other nodes before it is answered. Invariant: repeating either is safe; what
//! is paused already keeps its time and its reason.

use amends_engine::saga::{By, Paused};
use amends_proto::v1;
use amends_runtime::RequestError;
use amends_runtime::participant::Registration;
use amends_runtime::participant::protection::{BreakerMode, LimitsChange};
use amends_store::DefinitionRecord;
use tonic::Request;

use super::Api;
use super::status::Refusal;
use super::to_proto::timestamp;
use super::{caller, from_proto};

impl Api {
    pub(super) async fn pause_definition(
        &self,
        request: Request<v1::PauseDefinitionRequest>,
    ) -> Result<v1::Definition, Refusal> {
        let principal = caller::principal(&request)?;
        let v1::PauseDefinitionRequest { namespace, name, reason } = request.into_inner();
        let (record, whose, by) = self.to_be_held(&namespace, &name, principal, reason).await?;
        let coordinator = self.coordinator.clone();
        self.to_its_end(async move {
            let hold = coordinator.holds().pause(&whose, by, coordinator.seams().now()).await?;
            coordinator.announce().await;
            let Paused { since, by: By { principal, reason } } = hold;
            tracing::info!(namespace = %whose.0, definition = %whose.1, %since, principal, reason, "definition paused");
            Ok(())
        })
        .await?;
        Ok(self.show_definition(&record, None).await)
    }

    pub(super) async fn resume_definition(
        &self,
        request: Request<v1::ResumeDefinitionRequest>,
    ) -> Result<v1::Definition, Refusal> {
        let principal = caller::principal(&request)?;
        let v1::ResumeDefinitionRequest { namespace, name, reason } = request.into_inner();
        let (record, whose, By { principal, reason }) = self.to_be_held(&namespace, &name, principal, reason).await?;
        let coordinator = self.coordinator.clone();
        self.to_its_end(async move {
            let was_paused = coordinator.holds().resume(&whose).await?;
            coordinator.announce().await;
            tracing::info!(namespace = %whose.0, definition = %whose.1, was_paused, principal, reason, "definition resumed");
            Ok(())
        })
        .await?;
        Ok(self.show_definition(&record, None).await)
    }

    /// The newest version of what is named, as whose it is held, and who asks.
    async fn to_be_held(
        &self,
        namespace: &str,
        name: &str,
        principal: String,
        reason: String,
    ) -> Result<(DefinitionRecord, amends_runtime::holds::Whose, By), Refusal> {
        let whose = (from_proto::namespace(namespace)?, from_proto::definition_name("name", name)?);
        let by = from_proto::by(principal, reason)?;
        let record = self.coordinator.store().get_definition(&whose.0, &whose.1, None).await?;
        let missing = || RequestError::NoSuchDefinition { name: whose.1.clone(), version: None };
        Ok((record.ok_or_else(missing)?, whose, by))
    }

    /// That a definition is paused, for whoever looks at it.
    pub(super) fn hold_of(&self, record: &DefinitionRecord) -> Option<v1::Hold> {
        let Paused { since, by } = self.coordinator.holds().of(&record.namespace, &record.name)?;
        Some(v1::Hold { time: Some(timestamp(since)), principal: by.principal, reason: by.reason })
    }

    pub(super) async fn pause_participant(
        &self,
        request: Request<v1::PauseParticipantRequest>,
    ) -> Result<v1::Participant, Refusal> {
        let principal = caller::principal(&request)?;
        let v1::PauseParticipantRequest { namespace, name, reason, expected_revision } = request.into_inner();
        self.set_breaker((&namespace, &name), (principal, reason), expected_revision, BreakerMode::Held).await
    }

    pub(super) async fn resume_participant(
        &self,
        request: Request<v1::ResumeParticipantRequest>,
    ) -> Result<v1::Participant, Refusal> {
        let principal = caller::principal(&request)?;
        let v1::ResumeParticipantRequest { namespace, name, reason, expected_revision } = request.into_inner();
        self.set_breaker((&namespace, &name), (principal, reason), expected_revision, BreakerMode::Auto).await
    }

    /// Holds a participant's breaker, or leaves it to itself again; everything else of its limits stays.
    async fn set_breaker(
        &self,
        (namespace, name): (&str, &str),
        (principal, reason): (String, String),
        expected_revision: u64,
        wanted: BreakerMode,
    ) -> Result<v1::Participant, Refusal> {
        let namespace = from_proto::namespace(namespace)?;
        let name = from_proto::participant_name("name", name)?;
        let by = from_proto::by(principal, reason)?;
        let expected = from_proto::revision(expected_revision);
        let record = self.coordinator.store().get_participant(&namespace, &name).await?;
        let record = record.ok_or_else(|| Refusal::NoSuchParticipant(name.to_string()))?;
        if let Some(expected) = expected.filter(|expected| *expected != record.revision) {
            return Err(Refusal::RevisionMoved { expected, found: record.revision });
        }
        let held = Registration::decode(record.body.clone()).is_ok_and(|it| it.limits.breaker == BreakerMode::Held);
        if held == (wanted == BreakerMode::Held) {
            return Ok(self.shown(&record)?);
        }
        let (registry, coordinator) = (self.registry.clone(), self.coordinator.clone());
        let record = self
            .to_its_end(async move {
                let at = coordinator.seams().now();
                let change = LimitsChange { at, principal: by.principal, reason: by.reason };
                let record = registry.set_breaker(&namespace, &name, wanted, change, expected).await?;
                coordinator.announce().await;
                Ok(record)
            })
            .await?;
        tracing::info!(namespace = %record.namespace, participant = %record.name, ?wanted, revision = record.revision, "breaker set");
        Ok(self.shown(&record)?)
    }
}
