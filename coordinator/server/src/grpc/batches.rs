//! Service Batches: repairs many sagas by a plan.
//!
//! Each method reads its request, hands it to the runtime (`amends_runtime::batch`), and shows what came of it. Invariant: applying a
//! plan touches no saga that the plan doesn't name, and none that has moved since.

use amends_proto::v1;
use amends_proto::v1::batches_server::Batches;
use amends_runtime::batch::Shown;
use tonic::{Request, Response, Status};

use super::Api;
use super::status::Refusal;
use super::{caller, from_proto, page, to_proto};

const LIST_PAGE_SIZE: usize = 50;
const ITEMS_PAGE_SIZE: usize = 100;

#[tonic::async_trait]
impl Batches for Api {
    async fn plan(&self, request: Request<v1::PlanBatchRequest>) -> Result<Response<v1::Batch>, Status> {
        Ok(Response::new(self.plan_batch(request).await?))
    }

    async fn get(&self, request: Request<v1::GetBatchRequest>) -> Result<Response<v1::Batch>, Status> {
        Ok(Response::new(self.get_batch(request).await?))
    }

    async fn list(
        &self,
        request: Request<v1::ListBatchesRequest>,
    ) -> Result<Response<v1::ListBatchesResponse>, Status> {
        Ok(Response::new(self.list_batches(request).await?))
    }

    async fn list_items(
        &self,
        request: Request<v1::ListBatchItemsRequest>,
    ) -> Result<Response<v1::ListBatchItemsResponse>, Status> {
        Ok(Response::new(self.list_batch_items(&request.into_inner()).await?))
    }

    async fn apply(&self, request: Request<v1::ApplyBatchRequest>) -> Result<Response<v1::Batch>, Status> {
        Ok(Response::new(self.apply_batch(request).await?))
    }

    async fn set_rate(&self, request: Request<v1::SetBatchRateRequest>) -> Result<Response<v1::Batch>, Status> {
        Ok(Response::new(self.set_batch_rate(request).await?))
    }

    async fn stop(&self, request: Request<v1::StopBatchRequest>) -> Result<Response<v1::Batch>, Status> {
        Ok(Response::new(self.stop_batch(request).await?))
    }
}

impl Api {
    async fn plan_batch(&self, request: Request<v1::PlanBatchRequest>) -> Result<v1::Batch, Refusal> {
        let (principal, payloads) = (caller::principal(&request)?, caller::of(&request)?.payloads);
        let planning = from_proto::planning(request.into_inner(), principal)?;
        let coordinator = self.coordinator.clone();
        let planned = self.to_its_end(async move { Ok(coordinator.plan_batch(planning).await?) }).await?;
        Ok(to_proto::batch(planned, payloads))
    }

    async fn get_batch(&self, request: Request<v1::GetBatchRequest>) -> Result<v1::Batch, Refusal> {
        let payloads = caller::of(&request)?.payloads;
        let message = request.into_inner();
        let namespace = from_proto::namespace(&message.namespace)?;
        Ok(to_proto::batch(self.coordinator.batch(&namespace, &message.id).await?, payloads))
    }

    async fn list_batches(&self, request: Request<v1::ListBatchesRequest>) -> Result<v1::ListBatchesResponse, Refusal> {
        let payloads = caller::of(&request)?.payloads;
        let message = request.into_inner();
        let namespace = from_proto::namespace(&message.namespace)?;
        let size = page::size(message.page_size, LIST_PAGE_SIZE)?;
        let after = page::to_batch(&message.page_token)?;
        let (found, next) = self.coordinator.batches(&namespace, after, size).await?;
        Ok(v1::ListBatchesResponse {
            batches: found.into_iter().map(|shown| to_proto::batch(shown, payloads)).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    async fn list_batch_items(
        &self,
        message: &v1::ListBatchItemsRequest,
    ) -> Result<v1::ListBatchItemsResponse, Refusal> {
        let namespace = from_proto::namespace(&message.namespace)?;
        let only = from_proto::item_status(message.status)?;
        let size = page::size(message.page_size, ITEMS_PAGE_SIZE)?;
        let from = page::to_position(&message.page_token)?;
        let found = self.coordinator.batch_items(&namespace, &message.id, only, from, size).await?;
        Ok(v1::ListBatchItemsResponse {
            items: found.items.iter().map(|item| to_proto::batch_item(item, &namespace)).collect(),
            next_page_token: found.next.map(|next| next.to_string()).unwrap_or_default(),
        })
    }

    async fn apply_batch(&self, request: Request<v1::ApplyBatchRequest>) -> Result<v1::Batch, Refusal> {
        let (principal, payloads) = (caller::principal(&request)?, caller::of(&request)?.payloads);
        let v1::ApplyBatchRequest { namespace, id, rate_per_second, reason } = request.into_inner();
        let namespace = from_proto::namespace(&namespace)?;
        let applying = from_proto::applying(rate_per_second, reason, principal)?;
        let coordinator = self.coordinator.clone();
        self.changed(payloads, async move { Ok(coordinator.apply_batch(&namespace, &id, applying).await?) }).await
    }

    async fn set_batch_rate(&self, request: Request<v1::SetBatchRateRequest>) -> Result<v1::Batch, Refusal> {
        let (principal, payloads) = (caller::principal(&request)?, caller::of(&request)?.payloads);
        let v1::SetBatchRateRequest { namespace, id, rate_per_second, reason } = request.into_inner();
        let namespace = from_proto::namespace(&namespace)?;
        let rate = from_proto::rate_per_second(rate_per_second)?;
        let by = from_proto::by(principal, reason)?;
        let coordinator = self.coordinator.clone();
        let set = async move {
            let shown = coordinator.set_batch_rate(&namespace, &id, rate).await?;
            tracing::info!(batch = id, rate, principal = by.principal, reason = by.reason, "a batch has another rate");
            Ok(shown)
        };
        self.changed(payloads, set).await
    }

    async fn stop_batch(&self, request: Request<v1::StopBatchRequest>) -> Result<v1::Batch, Refusal> {
        let (principal, payloads) = (caller::principal(&request)?, caller::of(&request)?.payloads);
        let v1::StopBatchRequest { namespace, id, reason } = request.into_inner();
        let namespace = from_proto::namespace(&namespace)?;
        let by = from_proto::by(principal, reason)?;
        let coordinator = self.coordinator.clone();
        let stop = async move {
            let shown = coordinator.stop_batch(&namespace, &id).await?;
            tracing::info!(batch = id, principal = by.principal, reason = by.reason, "a batch was stopped");
            Ok(shown)
        };
        self.changed(payloads, stop).await
    }

    async fn changed(
        &self,
        payloads: bool,
        change: impl Future<Output = Result<Shown, Refusal>> + Send + 'static,
    ) -> Result<v1::Batch, Refusal> {
        Ok(to_proto::batch(self.to_its_end(change).await?, payloads))
    }
}
