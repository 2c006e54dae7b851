//! What a request is about: read from its message before any service sees it.
//!
//! It asks nobody. Invariant: it reads with the types that the services read with, so that what is judged is what is done.

use amends_engine::ids::SagaKey;
use amends_proto::v1;
use bytes::Bytes;
use prost::{DecodeError, Message};

use crate::grpc::saga_key;

/// How to find out what a request is about; one word for each message that says it in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Nothing of any tenant.
    Nothing,
    /// What concerns all tenants.
    AllTenants,
    /// One saga.
    Saga,
    /// Sagas of the definition that the filter names, else of all.
    Sagas,
    /// The same, to be counted.
    SagaCount,
    /// A batch to be: what its filter names, else all.
    NewBatch,
    /// A batch, which may be about any definition.
    Batch,
    /// Those of a tenant.
    Batches,
    /// A batch's sagas.
    BatchItems,
    /// A batch, to carry out.
    BatchApply,
    /// The same, to slow down or hasten.
    BatchRate,
    /// The same, to stop.
    BatchStop,
    /// The audit log: a tenant's, or all of a shard.
    Audit,
    /// A definition, to hold back.
    DefinitionPause,
    /// The same, to let go on.
    DefinitionResume,
    /// A participant, to hold back.
    ParticipantPause,
    /// The same, to let go on.
    ParticipantResume,
    /// A saga to be.
    Start,
    /// A definition, to look at.
    Definition,
    /// The same, with its versions.
    DefinitionVersions,
    /// The same, to deprecate.
    Deprecation,
    /// Those of a tenant that a grant shows.
    Definitions,
    /// A definition to be. Its name is in the text, which only the registering reads: it judges again.
    Registration,
    /// A participant, to look at.
    Participant,
    /// Those of a tenant.
    Participants,
    /// A participant to be.
    NewParticipant,
    /// What a participant is protected by.
    Limits,
    /// An instance of a participant that comes.
    Instance,
    /// One that goes.
    InstanceGone,
}

impl About {
    /// Whether the message has to be read to know.
    pub(crate) fn is_in_message(self) -> bool {
        !matches!(self, Self::Nothing | Self::AllTenants)
    }
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Nothing,
    AllTenants,
    /// Looked at, and no single definition's.
    Namespace(String),
    /// Of all definitions of a tenant.
    Whole(String),
    Definition(String, String),
    /// Of a definition that only the store knows.
    Saga(SagaKey),
}

/// The fields that every request about one saga begins with; `forward.rs` holds the .proto files to it.
#[derive(Clone, PartialEq, Eq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    saga_id: String,
}

/// Reads what a message is about.
pub(crate) fn of(about: About, message: Bytes) -> Result<Target, DecodeError> {
    Ok(match about {
        About::Nothing => Target::Nothing,
        About::AllTenants => Target::AllTenants,
        About::Saga => {
            let Named { namespace, saga_id } = Named::decode(message)?;
            match saga_key(&namespace, &saga_id) {
                Ok(key) => Target::Saga(key),
                // There is no such saga, which its service says.
                Err(_) => Target::Namespace(tenant(namespace)),
            }
        }
        About::Sagas => {
            let asked = v1::ListSagasRequest::decode(message)?;
            match asked.definition.is_empty() {
                true => Target::Whole(tenant(asked.namespace)),
                false => Target::Definition(tenant(asked.namespace), asked.definition),
            }
        }
        About::SagaCount => {
            let asked = v1::CountSagasRequest::decode(message)?;
            match asked.definition.is_empty() {
                true => Target::Whole(tenant(asked.namespace)),
                false => Target::Definition(tenant(asked.namespace), asked.definition),
            }
        }
        About::NewBatch => {
            let asked = v1::PlanBatchRequest::decode(message)?;
            match asked.filter.map(|filter| filter.definition).filter(|definition| !definition.is_empty()) {
                None => Target::Whole(tenant(asked.namespace)),
                Some(definition) => Target::Definition(tenant(asked.namespace), definition),
            }
        }
        About::Batch => Target::Whole(tenant(v1::GetBatchRequest::decode(message)?.namespace)),
        About::Batches => Target::Whole(tenant(v1::ListBatchesRequest::decode(message)?.namespace)),
        About::BatchItems => Target::Whole(tenant(v1::ListBatchItemsRequest::decode(message)?.namespace)),
        About::BatchApply => Target::Whole(tenant(v1::ApplyBatchRequest::decode(message)?.namespace)),
        About::BatchRate => Target::Whole(tenant(v1::SetBatchRateRequest::decode(message)?.namespace)),
        About::BatchStop => Target::Whole(tenant(v1::StopBatchRequest::decode(message)?.namespace)),
        About::Audit => {
            let asked = v1::ListAuditRequest::decode(message)?;
            if asked.shard == 0 { Target::Whole(tenant(asked.namespace)) } else { Target::AllTenants }
        }
        About::DefinitionPause => {
            let asked = v1::PauseDefinitionRequest::decode(message)?;
            Target::Definition(tenant(asked.namespace), asked.name)
        }
        About::DefinitionResume => {
            let asked = v1::ResumeDefinitionRequest::decode(message)?;
            Target::Definition(tenant(asked.namespace), asked.name)
        }
        About::ParticipantPause => Target::Whole(tenant(v1::PauseParticipantRequest::decode(message)?.namespace)),
        About::ParticipantResume => Target::Whole(tenant(v1::ResumeParticipantRequest::decode(message)?.namespace)),
        About::Start => {
            let asked = v1::StartSagaRequest::decode(message)?;
            Target::Definition(tenant(asked.namespace), asked.definition)
        }
        About::Definition => {
            let asked = v1::GetDefinitionRequest::decode(message)?;
            Target::Definition(tenant(asked.namespace), asked.name)
        }
        About::DefinitionVersions => {
            let asked = v1::ListDefinitionVersionsRequest::decode(message)?;
            Target::Definition(tenant(asked.namespace), asked.name)
        }
        About::Deprecation => {
            let asked = v1::DeprecateDefinitionRequest::decode(message)?;
            Target::Definition(tenant(asked.namespace), asked.name)
        }
        About::Definitions => Target::Namespace(tenant(v1::ListDefinitionsRequest::decode(message)?.namespace)),
        About::Registration => Target::Namespace(tenant(v1::RegisterDefinitionRequest::decode(message)?.namespace)),
        About::Participant => Target::Namespace(tenant(v1::GetParticipantRequest::decode(message)?.namespace)),
        About::Participants => Target::Namespace(tenant(v1::ListParticipantsRequest::decode(message)?.namespace)),
        About::NewParticipant => {
            let asked = v1::PutParticipantRequest::decode(message)?;
            Target::Whole(tenant(asked.participant.unwrap_or_default().namespace))
        }
        About::Limits => Target::Whole(tenant(v1::SetLimitsRequest::decode(message)?.namespace)),
        About::Instance => Target::Whole(tenant(v1::RegisterEndpointRequest::decode(message)?.namespace)),
        About::InstanceGone => Target::Whole(tenant(v1::DeregisterEndpointRequest::decode(message)?.namespace)),
    })
}

fn tenant(namespace: String) -> String {
    if namespace.is_empty() { "default".to_owned() } else { namespace }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_about_what_its_service_takes_it_for() {
        let start = v1::StartSagaRequest { definition: "checkout".to_owned(), ..Default::default() };
        let found = of(About::Start, start.encode_to_vec().into()).unwrap();
        assert_eq!(found, Target::Definition("default".to_owned(), "checkout".to_owned()));
        let all = v1::ListSagasRequest { namespace: "shop".to_owned(), ..Default::default() };
        assert_eq!(of(About::Sagas, all.encode_to_vec().into()).unwrap(), Target::Whole("shop".to_owned()));
        let participant = v1::Participant { namespace: "shop".to_owned(), ..Default::default() };
        let put = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
        let found = of(About::NewParticipant, put.encode_to_vec().into()).unwrap();
        assert_eq!(found, Target::Whole("shop".to_owned()), "it can take over calls of every definition");
        let get = v1::GetSagaRequest { namespace: String::new(), saga_id: "order-1".to_owned() };
        assert!(matches!(of(About::Saga, get.encode_to_vec().into()).unwrap(), Target::Saga(_)));
        assert!(of(About::Saga, Bytes::from_static(b"\xff")).is_err());
    }
}
