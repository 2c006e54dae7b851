//! Service Participants: put, look.
//!
//! Nobody is called by it. Invariant: a registration that was answered is stored, and every call that begins from then on
//! uses it.

use amends_proto::v1;
use amends_proto::v1::participants_server::Participants;
use amends_runtime::RequestError;
use amends_store::ParticipantRecord;
use tonic::{Request, Response, Status};

use super::Api;
use super::status::Refusal;
use super::to_proto;
use super::{caller, from_proto, page};

const PAGE_SIZE: usize = 100;

#[tonic::async_trait]
impl Participants for Api {
    async fn put(&self, request: Request<v1::PutParticipantRequest>) -> Result<Response<v1::Participant>, Status> {
        Ok(Response::new(self.put_participant(request).await?))
    }

    async fn get(&self, request: Request<v1::GetParticipantRequest>) -> Result<Response<v1::Participant>, Status> {
        Ok(Response::new(self.get_participant(&request.into_inner()).await?))
    }

    async fn set_limits(&self, request: Request<v1::SetLimitsRequest>) -> Result<Response<v1::Participant>, Status> {
        Ok(Response::new(self.set_participant_limits(request).await?))
    }

    async fn list(
        &self,
        request: Request<v1::ListParticipantsRequest>,
    ) -> Result<Response<v1::ListParticipantsResponse>, Status> {
        Ok(Response::new(self.list_participants(&request.into_inner()).await?))
    }

    async fn register_endpoint(
        &self,
        request: Request<v1::RegisterEndpointRequest>,
    ) -> Result<Response<v1::RegisterEndpointResponse>, Status> {
        Ok(Response::new(self.register_instance(request).await?))
    }

    async fn deregister_endpoint(
        &self,
        request: Request<v1::DeregisterEndpointRequest>,
    ) -> Result<Response<v1::DeregisterEndpointResponse>, Status> {
        Ok(Response::new(self.deregister_instance(request).await?))
    }

    async fn pause(&self, request: Request<v1::PauseParticipantRequest>) -> Result<Response<v1::Participant>, Status> {
        Ok(Response::new(self.pause_participant(request).await?))
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeParticipantRequest>,
    ) -> Result<Response<v1::Participant>, Status> {
        Ok(Response::new(self.resume_participant(request).await?))
    }
}

impl Api {
    async fn put_participant(&self, request: Request<v1::PutParticipantRequest>) -> Result<v1::Participant, Refusal> {
        let principal = caller::principal(&request)?;
        let put = from_proto::put(request.into_inner())?;
        let (registry, coordinator) = (self.registry.clone(), self.coordinator.clone());
        let record = self
            .to_its_end(async move {
                let from_proto::Put { namespace, name, registration, expected_revision } = put;
                registry.check(&registration).await?;
                let record = registry.put(&namespace, &name, &registration, expected_revision, &principal).await?;
                coordinator.announce().await;
                Ok(record)
            })
            .await?;
        tracing::info!(namespace = %record.namespace, participant = %record.name, revision = record.revision, "participant registered");
        Ok(self.shown(&record)?)
    }

    /// As it is stored, and whether it can be called.
    pub(super) fn shown(&self, record: &ParticipantRecord) -> Result<v1::Participant, RequestError> {
        let shown = to_proto::participant(record)?;
        let (namespace, name) = (&record.namespace, &record.name);
        let registered = self.coordinator.directory().membership(namespace, name);
        let mut problem = registered.as_ref().map(|it| self.registry.problem(&it.registration)).unwrap_or_default();
        let key = (namespace.clone(), name.clone());
        let sources = self.follower.states(&key);
        if problem.is_empty() {
            let of_source = sources.iter().find(|source| !source.problem.is_empty());
            problem = of_source.map(|source| format!("{}: {}", source.source, source.problem)).unwrap_or_default();
        }
        let now = self.coordinator.seams().now();
        if problem.is_empty()
            && let Some(silence) = self.coordinator.directory().silent_for(&key, now)
        {
            problem = format!("no instance was heard for {} s; the last ones are still called", silence.as_secs());
        }
        if problem.is_empty() && registered.is_some_and(|it| it.members.is_empty()) {
            problem = "no address is known yet".to_owned();
        }
        Ok(v1::Participant {
            problem,
            endpoint_states: self
                .callers
                .endpoints(namespace, name)
                .into_iter()
                .map(to_proto::endpoint_state)
                .collect(),
            protection: Some(self.protection(namespace, name)),
            source_states: sources.into_iter().map(to_proto::source_state).collect(),
            ..shown
        })
    }

    async fn get_participant(&self, message: &v1::GetParticipantRequest) -> Result<v1::Participant, Refusal> {
        let namespace = from_proto::namespace(&message.namespace)?;
        let name = from_proto::participant_name("name", &message.name)?;
        let record = self.coordinator.store().get_participant(&namespace, &name).await?;
        let record = record.ok_or_else(|| Refusal::NoSuchParticipant(name.to_string()))?;
        Ok(self.shown(&record)?)
    }

    async fn list_participants(
        &self,
        message: &v1::ListParticipantsRequest,
    ) -> Result<v1::ListParticipantsResponse, Refusal> {
        let namespace = from_proto::namespace(&message.namespace)?;
        let size = page::size(message.page_size, PAGE_SIZE)?;
        let records = self.coordinator.store().list_participants(&namespace).await?;
        let (records, next_page_token) =
            page::by_name(records, |record| record.name.as_str(), size, &message.page_token);
        let mut participants = Vec::with_capacity(records.len());
        for record in records {
            match self.shown(&record) {
                Ok(shown) => participants.push(v1::Participant {
                    descriptor_set: bytes::Bytes::new(),
                    endpoint_states: Vec::new(),
                    source_states: Vec::new(),
                    ..shown
                }),
                // One that can't be read must not hide the others; asked for by name it says what is wrong.
                Err(error) => tracing::error!(participant = %record.name, %error, "a participant can't be shown"),
            }
        }
        Ok(v1::ListParticipantsResponse { participants, next_page_token })
    }
}
