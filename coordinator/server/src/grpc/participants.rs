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

    async fn list(
        &self,
        request: Request<v1::ListParticipantsRequest>,
    ) -> Result<Response<v1::ListParticipantsResponse>, Status> {
        Ok(Response::new(self.list_participants(&request.into_inner()).await?))
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
    fn shown(&self, record: &ParticipantRecord) -> Result<v1::Participant, RequestError> {
        let shown = to_proto::participant(record)?;
        let registered = self.coordinator.directory().get(&record.namespace, &record.name);
        let problem = registered.map(|registration| self.registry.problem(&registration)).unwrap_or_default();
        Ok(v1::Participant { problem, ..shown })
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
                Ok(shown) => participants.push(v1::Participant { descriptor_set: bytes::Bytes::new(), ..shown }),
                // One that can't be read must not hide the others; asked for by name it says what is wrong.
                Err(error) => tracing::error!(participant = %record.name, %error, "a participant can't be shown"),
            }
        }
        Ok(v1::ListParticipantsResponse { participants, next_page_token })
    }
}
