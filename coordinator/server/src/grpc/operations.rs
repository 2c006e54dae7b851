//! Service Operations: what an operator can do to one saga.
//!
//! All but one of one shape: read, ask the owner, show the saga after it. Invariant: each of those records who and why; the one,
//! Reconcile, changes nothing.

use amends_proto::v1;
use amends_proto::v1::operations_server::Operations;
use tonic::{Request, Response, Status};

use super::Api;
use super::caller::Sight;
use super::from_proto::Asked;
use super::status::{Refusal, Violation};
use super::{asking, caller, from_proto, to_proto};

#[tonic::async_trait]
impl Operations for Api {
    async fn retry(&self, request: Request<v1::RetrySagaRequest>) -> Result<Response<v1::Saga>, Status> {
        Ok(Response::new(self.operate(request, from_proto::retry).await?))
    }

    async fn skip(&self, request: Request<v1::SkipOperationRequest>) -> Result<Response<v1::Saga>, Status> {
        Ok(Response::new(self.operate(request, from_proto::skip).await?))
    }

    async fn resolve(&self, request: Request<v1::ResolveOperationRequest>) -> Result<Response<v1::Saga>, Status> {
        Ok(Response::new(self.operate(request, from_proto::resolve).await?))
    }

    async fn force_stop(&self, request: Request<v1::ForceStopSagaRequest>) -> Result<Response<v1::Saga>, Status> {
        Ok(Response::new(self.operate(request, from_proto::force_stop).await?))
    }

    async fn pause(&self, request: Request<v1::PauseSagaRequest>) -> Result<Response<v1::Saga>, Status> {
        Ok(Response::new(self.operate(request, from_proto::pause).await?))
    }

    async fn resume(&self, request: Request<v1::ResumeSagaRequest>) -> Result<Response<v1::Saga>, Status> {
        Ok(Response::new(self.operate(request, from_proto::resume).await?))
    }

    async fn acknowledge(&self, request: Request<v1::AcknowledgeSagaRequest>) -> Result<Response<v1::Saga>, Status> {
        Ok(Response::new(self.operate(request, from_proto::acknowledge).await?))
    }

    async fn repin(&self, request: Request<v1::RepinSagaRequest>) -> Result<Response<v1::Saga>, Status> {
        Ok(Response::new(self.repin_saga(request).await?))
    }

    async fn reconcile(
        &self,
        request: Request<v1::ReconcileSagaRequest>,
    ) -> Result<Response<v1::ReconcileSagaResponse>, Status> {
        Ok(Response::new(self.reconcile_saga(&request.into_inner()).await?))
    }
}

impl Api {
    async fn operate<M>(
        &self,
        request: Request<M>,
        read: fn(M, String) -> Result<Asked, Violation>,
    ) -> Result<v1::Saga, Refusal> {
        let (principal, sight) = (caller::principal(&request)?, Sight::of(&request)?);
        let asked = read(request.into_inner(), principal)?;
        let answered = asking::ask(&self.coordinator, asked).await?;
        Ok(sight.saga(self.show(&answered.snapshot)))
    }

    async fn repin_saga(&self, request: Request<v1::RepinSagaRequest>) -> Result<v1::Saga, Refusal> {
        let (principal, sight) = (caller::principal(&request)?, Sight::of(&request)?);
        let asked = from_proto::repin(request.into_inner(), principal)?;
        let answered = asking::repin(&self.coordinator, asked).await?;
        Ok(sight.saga(self.show(&answered.snapshot)))
    }

    async fn reconcile_saga(&self, message: &v1::ReconcileSagaRequest) -> Result<v1::ReconcileSagaResponse, Refusal> {
        let key = from_proto::saga_key(&message.namespace, &message.saga_id)?;
        let found = self.coordinator.reconcile(&key).await?;
        Ok(v1::ReconcileSagaResponse { findings: found.into_iter().map(to_proto::reconciled).collect() })
    }
}
