//! Service Sagas: start, look, follow, cancel, complete.
//!
//! Each method reads its request, hands it on, and shows the answer; nothing is decided here. Invariant: an accepted saga is
//! answered as such, even if waiting for its end fails.

use std::pin::Pin;

use amends_proto::v1;
use amends_proto::v1::sagas_server::Sagas;
use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::Api;
use super::caller::Sight;
use super::status::Refusal;
use super::{asking, caller, from_proto, page, reading, to_proto};

const LIST_PAGE_SIZE: usize = 50;
const HISTORY_PAGE_SIZE: usize = 100;

#[tonic::async_trait]
impl Sagas for Api {
    async fn start(&self, request: Request<v1::StartSagaRequest>) -> Result<Response<v1::Saga>, Status> {
        Ok(Response::new(self.start_saga(request).await?))
    }

    async fn get(&self, request: Request<v1::GetSagaRequest>) -> Result<Response<v1::Saga>, Status> {
        Ok(Response::new(self.get_saga(request).await?))
    }

    async fn list(&self, request: Request<v1::ListSagasRequest>) -> Result<Response<v1::ListSagasResponse>, Status> {
        Ok(Response::new(self.list_sagas(request).await?))
    }

    async fn list_history(
        &self,
        request: Request<v1::ListHistoryRequest>,
    ) -> Result<Response<v1::ListHistoryResponse>, Status> {
        Ok(Response::new(self.saga_history(&request.into_inner()).await?))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchSagaResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<v1::WatchSagaRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let sight = Sight::of(&request)?;
        let message = request.into_inner();
        let key = from_proto::saga_key(&message.namespace, &message.saga_id).map_err(Refusal::from)?;
        // Sequence numbers count from 1 outside and from 0 inside: the last one seen is the next one to send.
        let seen =
            reading::follow(self.coordinator.clone(), key, message.after_sequence, self.draining.clone()).await?;
        let api = self.clone();
        let shown = move |seen: reading::Seen| to_proto::watched(&seen, sight.saga(api.show(&seen.snapshot)));
        Ok(Response::new(Box::pin(seen.map(move |seen| Ok(shown(seen?))))))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelSagaRequest>,
    ) -> Result<Response<v1::CancelSagaResponse>, Status> {
        Ok(Response::new(self.cancel_saga(request).await?))
    }

    async fn complete_step(
        &self,
        request: Request<v1::CompleteStepRequest>,
    ) -> Result<Response<v1::CompleteStepResponse>, Status> {
        Ok(Response::new(self.complete_saga_step(request).await?))
    }

    async fn count(&self, request: Request<v1::CountSagasRequest>) -> Result<Response<v1::CountSagasResponse>, Status> {
        Ok(Response::new(self.count_sagas(request.into_inner()).await?))
    }
}

impl Api {
    async fn start_saga(&self, request: Request<v1::StartSagaRequest>) -> Result<v1::Saga, Refusal> {
        let (principal, traceparent) = (caller::principal(&request)?, caller::traceparent(&request));
        let sight = Sight::of(&request)?;
        let (start, wait) = from_proto::start(request.into_inner(), principal, traceparent)?;
        let starting = self.door.starting();
        let Some(patience) = wait else {
            let accepted = self.coordinator.start(start).await?.snapshot;
            starting.committed();
            return Ok(sight.saga(self.show(&accepted)));
        };
        let key = start.key.clone();
        let (accepted, awaited) = self.coordinator.start_awaited(start).await?;
        let accepted = accepted.snapshot;
        starting.committed();
        let waited = tokio::select! {
            biased;
            waited = awaited.wait(patience) => waited,
            () = self.draining.cancelled() => self.coordinator.get(&key).await,
        };
        Ok(sight.saga(self.show(&waited.unwrap_or(accepted))))
    }

    async fn get_saga(&self, request: Request<v1::GetSagaRequest>) -> Result<v1::Saga, Refusal> {
        let sight = Sight::of(&request)?;
        let message = request.into_inner();
        let key = from_proto::saga_key(&message.namespace, &message.saga_id)?;
        let snapshot = self.coordinator.get(&key).await?;
        Ok(sight.saga(self.show(&snapshot)))
    }

    async fn list_sagas(&self, request: Request<v1::ListSagasRequest>) -> Result<v1::ListSagasResponse, Refusal> {
        let sight = Sight::of(&request)?;
        let message = request.into_inner();
        let search = from_proto::Search::of_list(&message)?;
        let size = page::size(message.page_size, LIST_PAGE_SIZE)?;
        let after = page::to_cursor(&message.page_token, &search)?;
        let filter = search.at(self.coordinator.seams().now());
        let found = self.coordinator.list(&filter, after.as_ref(), size).await?;
        Ok(v1::ListSagasResponse {
            sagas: found.items.iter().map(|it| sight.saga(self.show_listed(it))).collect(),
            next_page_token: found.next.map(|next| page::of_cursor(&next, &search)).unwrap_or_default(),
        })
    }

    async fn count_sagas(&self, message: v1::CountSagasRequest) -> Result<v1::CountSagasResponse, Refusal> {
        let filter = from_proto::Search::of_count(message)?.at(self.coordinator.seams().now());
        Ok(to_proto::counts(self.coordinator.count(&filter).await?))
    }

    async fn saga_history(&self, message: &v1::ListHistoryRequest) -> Result<v1::ListHistoryResponse, Refusal> {
        let key = from_proto::saga_key(&message.namespace, &message.saga_id)?;
        let size = page::size(message.page_size, HISTORY_PAGE_SIZE)?;
        let from = page::to_sequence(&message.page_token, message.newest_first)?;
        let snapshot = self.coordinator.get(&key).await?;
        let found = reading::history_page(&self.coordinator, &snapshot, from, size, message.newest_first).await?;
        Ok(v1::ListHistoryResponse {
            entries: found.entries.iter().map(|recorded| to_proto::history_entry(recorded, &snapshot)).collect(),
            next_page_token: found.next.map(|next| page::of_sequence(next, message.newest_first)).unwrap_or_default(),
        })
    }

    async fn cancel_saga(&self, request: Request<v1::CancelSagaRequest>) -> Result<v1::CancelSagaResponse, Refusal> {
        let (principal, sight) = (caller::principal(&request)?, Sight::of(&request)?);
        let asked = from_proto::cancel(request.into_inner(), principal)?;
        let (result, snapshot) = asking::cancel(&self.coordinator, asked).await?;
        Ok(v1::CancelSagaResponse {
            result: to_proto::cancel_result(result).into(),
            saga: Some(sight.saga(self.show(&snapshot))),
        })
    }

    async fn complete_saga_step(
        &self,
        request: Request<v1::CompleteStepRequest>,
    ) -> Result<v1::CompleteStepResponse, Refusal> {
        let (principal, sight) = (caller::principal(&request)?, Sight::of(&request)?);
        let asked = from_proto::complete_step(request.into_inner(), principal)?;
        let (result, snapshot) = asking::complete(&self.coordinator, asked).await?;
        Ok(v1::CompleteStepResponse {
            result: to_proto::completion_result(result).into(),
            saga: Some(sight.saga(self.show(&snapshot))),
        })
    }
}
