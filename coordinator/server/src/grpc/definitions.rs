//! Service Definitions: register, look, deprecate.
//!
//! The work of registering is in `registering.rs` and runs in a task of its own. Invariant: errors found in a dry run are
//! part of its answer; found in earnest they are the refusal.

use std::sync::Arc;

use amends_definition::{Compiled, Format};
use amends_engine::saga::By;
use amends_engine::standing::StatusWord;
use amends_proto::v1;
use amends_proto::v1::definitions_server::Definitions;
use amends_runtime::RequestError;
use amends_store::{DefinitionRecord, Deprecation};
use tonic::{Request, Response, Status};

use super::Api;
use super::status::{Refusal, Violation};
use super::to_proto;
use super::{caller, from_proto, page, registering};
use crate::auth::{Reach, Role};

const PAGE_SIZE: usize = 100;
/// Whose lists show a definition.
const SEE: &[Role] = &[Role::Viewer, Role::Starter, Role::Registrar, Role::Operator, Role::Admin];

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
        Ok(Response::new(self.list_definitions(request).await?))
    }

    async fn list_versions(
        &self,
        request: Request<v1::ListDefinitionVersionsRequest>,
    ) -> Result<Response<v1::ListDefinitionVersionsResponse>, Status> {
        Ok(Response::new(self.list_versions_of(&request.into_inner()).await?))
    }

    async fn deprecate(
        &self,
        request: Request<v1::DeprecateDefinitionRequest>,
    ) -> Result<Response<v1::Definition>, Status> {
        Ok(Response::new(self.deprecate_version(request).await?))
    }

    async fn pause(&self, request: Request<v1::PauseDefinitionRequest>) -> Result<Response<v1::Definition>, Status> {
        Ok(Response::new(self.pause_definition(request).await?))
    }

    async fn resume(&self, request: Request<v1::ResumeDefinitionRequest>) -> Result<Response<v1::Definition>, Status> {
        Ok(Response::new(self.resume_definition(request).await?))
    }
}

impl Api {
    async fn register_definition(
        &self,
        request: Request<v1::RegisterDefinitionRequest>,
    ) -> Result<v1::RegisterDefinitionResponse, Refusal> {
        let caller = caller::of(&request)?.clone();
        let submission = from_proto::submission(request.into_inner(), caller)?;
        let dry_run = submission.dry_run;
        let work = registering::register(self.coordinator.clone(), self.registry.outgoing().clone(), submission);
        let outcome = self.to_its_end(work).await?;
        if outcome.registered.is_none() && !dry_run {
            return Err(to_proto::refused_findings(&outcome.findings));
        }
        Ok(v1::RegisterDefinitionResponse {
            created: outcome.registered.as_ref().is_some_and(|registered| registered.created),
            definition: outcome.registered.map(|it| v1::Definition {
                paused: self.hold_of(&it.record),
                ..to_proto::definition(&it.record, Some(&it.compiled), None)
            }),
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
        Ok(self.show_definition(&record, Some(source)).await)
    }

    async fn list_definitions(
        &self,
        request: Request<v1::ListDefinitionsRequest>,
    ) -> Result<v1::ListDefinitionsResponse, Refusal> {
        let caller = caller::of(&request)?.clone();
        let message = request.into_inner();
        let namespace = from_proto::namespace(&message.namespace)?;
        let size = page::size(message.page_size, PAGE_SIZE)?;
        let mut records = self.coordinator.store().list_definitions(&namespace).await?;
        let of = namespace.as_str();
        records.retain(|record| caller.may(SEE, Reach::Definition(of, record.name.as_str())));
        let (records, next_page_token) =
            page::by_name(records, |record| record.name.as_str(), size, &message.page_token);
        let mut definitions = Vec::with_capacity(records.len());
        for record in records {
            definitions.push(self.show_definition(&record, None).await);
        }
        Ok(v1::ListDefinitionsResponse { definitions, next_page_token })
    }

    /// The newest first: it is the one that people look for.
    async fn list_versions_of(
        &self,
        message: &v1::ListDefinitionVersionsRequest,
    ) -> Result<v1::ListDefinitionVersionsResponse, Refusal> {
        let namespace = from_proto::namespace(&message.namespace)?;
        let name = from_proto::definition_name("name", &message.name)?;
        let size = page::size(message.page_size, PAGE_SIZE)?;
        let store = self.coordinator.store();
        let mut records = store.definition_versions(&namespace, &name).await?;
        if records.is_empty() {
            return Err(RequestError::NoSuchDefinition { name, version: None }.into());
        }
        records.reverse();
        let (records, next_page_token) =
            page::by_number(records, |record| record.version.0, size, &message.page_token)?;
        let counts = store.count_open(&namespace, &name).await?;
        let mut versions = Vec::with_capacity(records.len());
        for record in records {
            let of_version = counts.iter().filter(|(version, ..)| *version == record.version);
            let open = of_version.filter_map(|(_, word, count)| {
                Some((StatusWord::ALL.into_iter().find(|status| status.as_str() == word)?, *count))
            });
            let shown = self.show_definition(&record, None).await;
            versions.push(to_proto::definition_version(shown, open.collect()));
        }
        Ok(v1::ListDefinitionVersionsResponse { versions, next_page_token })
    }

    async fn deprecate_version(
        &self,
        request: Request<v1::DeprecateDefinitionRequest>,
    ) -> Result<v1::Definition, Refusal> {
        let principal = caller::principal(&request)?;
        let message = request.into_inner();
        let namespace = from_proto::namespace(&message.namespace)?;
        let name = from_proto::definition_name("name", &message.name)?;
        let Some(version) = from_proto::version(message.version) else {
            return Err(Violation::new("version", "it is missing; name the version").into());
        };
        let By { principal, reason } = from_proto::by(principal, message.reason)?;
        let at = self.coordinator.seams().now();
        let coordinator = self.coordinator.clone();
        let deprecation =
            (!message.undo).then_some(Deprecation { at, principal: principal.clone(), reason: reason.clone() });
        let undo = message.undo;
        let work = async move {
            let marked = coordinator.store().deprecate_definition(&namespace, &name, version, deprecation).await;
            // Also after an error: it may have happened.
            coordinator.definitions().changed(&namespace, &name);
            coordinator.announce().await;
            let record =
                marked?.ok_or(RequestError::NoSuchDefinition { name: name.clone(), version: Some(version) })?;
            let (definition, deprecated) = (&name, !undo);
            tracing::info!(%namespace, %definition, %version, deprecated, principal, reason, "deprecation of a version");
            Ok::<_, Refusal>(record)
        };
        let record = self.to_its_end(work).await?;
        Ok(self.show_definition(&record, None).await)
    }

    /// A version, with or without its text.
    pub(super) async fn show_definition(
        &self,
        record: &DefinitionRecord,
        source: Option<(String, Format)>,
    ) -> v1::Definition {
        let shown = to_proto::definition(record, self.compiled(record).await.as_deref(), source);
        v1::Definition { paused: self.hold_of(record), ..shown }
    }

    /// A stored version, compiled; `None` where this program can't any more, so that it can at least be looked at.
    async fn compiled(&self, record: &DefinitionRecord) -> Option<Arc<Compiled>> {
        let compiled = self.coordinator.definitions().get(&record.namespace, &record.name, record.version).await;
        compiled
            .inspect_err(|error| tracing::error!(definition = %record.name, %error, "a definition can't be compiled"))
            .ok()
    }
}
