//! Service Definitions: register, look.
//!
//! The work of registering is in `registering.rs` and runs in a task of its own. Invariant: errors found in a dry run are
//! part of its answer; found in earnest they are the refusal.

use std::sync::Arc;

use amends_definition::Compiled;
use amends_proto::v1;
use amends_proto::v1::definitions_server::Definitions;
use amends_runtime::RequestError;
use amends_store::DefinitionRecord;
use tonic::{Request, Response, Status};

use super::Api;
use super::status::Refusal;
use super::to_proto;
use super::{caller, from_proto, page, registering};

const PAGE_SIZE: usize = 100;

#[tonic::async_trait]
impl Definitions for Api {
    async fn register(
        &self,
        request: Request<v1::RegisterDefinitionRequest>,
    ) -> Result<Response<v1::RegisterDefinitionResponse>, Status> {
        Ok(Response::new(self.register_definition(request).await?))
    }

    async fn get(&self, request: Request<v1::GetDefinitionRequest>) -> Result<Response<v1::Definition>, Status> {
        Ok(Response::new(self.get_definition(&request.into_inner()).await?))
    }

    async fn list(
        &self,
        request: Request<v1::ListDefinitionsRequest>,
    ) -> Result<Response<v1::ListDefinitionsResponse>, Status> {
        Ok(Response::new(self.list_definitions(&request.into_inner()).await?))
    }
}

impl Api {
    async fn register_definition(
        &self,
        request: Request<v1::RegisterDefinitionRequest>,
    ) -> Result<v1::RegisterDefinitionResponse, Refusal> {
        let principal = caller::principal(&request)?;
        let submission = from_proto::submission(request.into_inner(), principal)?;
        let dry_run = submission.dry_run;
        let work = registering::register(self.coordinator.clone(), submission);
        let outcome = self.to_its_end(work).await?;
        if outcome.registered.is_none() && !dry_run {
            return Err(to_proto::refused_findings(&outcome.findings));
        }
        Ok(v1::RegisterDefinitionResponse {
            created: outcome.registered.as_ref().is_some_and(|registered| registered.created),
            definition: outcome.registered.map(|it| to_proto::definition(&it.record, Some(&it.compiled), None)),
            findings: outcome.findings.iter().map(to_proto::finding).collect(),
        })
    }

    async fn get_definition(&self, message: &v1::GetDefinitionRequest) -> Result<v1::Definition, Refusal> {
        let namespace = from_proto::namespace(&message.namespace)?;
        let name = from_proto::definition_name("name", &message.name)?;
        let version = from_proto::version(message.version);
        let record = self.coordinator.store().get_definition(&namespace, &name, version).await?;
        let record = record.ok_or(RequestError::NoSuchDefinition { name, version })?;
        let source = to_proto::source(&record)?;
        Ok(to_proto::definition(&record, self.compiled(&record).await.as_deref(), Some(source)))
    }

    async fn list_definitions(
        &self,
        message: &v1::ListDefinitionsRequest,
    ) -> Result<v1::ListDefinitionsResponse, Refusal> {
        let namespace = from_proto::namespace(&message.namespace)?;
        let size = page::size(message.page_size, PAGE_SIZE)?;
        let records = self.coordinator.store().list_definitions(&namespace).await?;
        let (records, next_page_token) =
            page::by_name(records, |record| record.name.as_str(), size, &message.page_token);
        let mut definitions = Vec::with_capacity(records.len());
        for record in records {
            definitions.push(to_proto::definition(&record, self.compiled(&record).await.as_deref(), None));
        }
        Ok(v1::ListDefinitionsResponse { definitions, next_page_token })
    }

    /// A stored version, compiled; `None` where this program can't any more, so that it can at least be looked at.
    async fn compiled(&self, record: &DefinitionRecord) -> Option<Arc<Compiled>> {
        let compiled = self.coordinator.definitions().get(&record.namespace, &record.name, Some(record.version)).await;
        compiled
            .inspect_err(|error| tracing::error!(definition = %record.name, %error, "a definition can't be compiled"))
            .ok()
    }
}
