//! A coordinator that only knows `CompleteStep`: it notes what it is told and answers as the test says.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use amends_proto::v1;
use amends_proto::v1::sagas_server::{Sagas, SagasServer};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::fixture::poll;

#[derive(Debug, Clone, Default)]
pub(crate) struct Coordinator {
    told: Arc<Mutex<Vec<v1::CompleteStepRequest>>>,
    refusals: Arc<Mutex<VecDeque<Status>>>,
}

impl Coordinator {
    /// Serves on a free port; gives its address as the flag wants it.
    pub(crate) fn start(&self) -> String {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let service = SagasServer::new(self.clone());
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        format!("http://{address}")
    }

    /// The next calls are refused so; those after them are acknowledged.
    pub(crate) fn refuse(&self, refusals: impl IntoIterator<Item = Status>) {
        self.refusals.lock().unwrap().extend(refusals);
    }

    /// Waits until it has been told so often, and gives all of it.
    pub(crate) async fn told(&self, times: usize) -> Vec<v1::CompleteStepRequest> {
        poll(async || Some(self.told.lock().unwrap().clone()).filter(|told| told.len() >= times)).await
    }
}

fn unknown<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in this test"))
}

#[tonic::async_trait]
impl Sagas for Coordinator {
    async fn start(&self, _: Request<v1::StartSagaRequest>) -> Result<Response<v1::Saga>, Status> {
        unknown()
    }

    async fn get(&self, _: Request<v1::GetSagaRequest>) -> Result<Response<v1::Saga>, Status> {
        unknown()
    }

    async fn list(&self, _: Request<v1::ListSagasRequest>) -> Result<Response<v1::ListSagasResponse>, Status> {
        unknown()
    }

    async fn count(&self, _: Request<v1::CountSagasRequest>) -> Result<Response<v1::CountSagasResponse>, Status> {
        unknown()
    }

    async fn list_history(
        &self,
        _: Request<v1::ListHistoryRequest>,
    ) -> Result<Response<v1::ListHistoryResponse>, Status> {
        unknown()
    }

    type WatchStream = Pin<Box<dyn futures::Stream<Item = Result<v1::WatchSagaResponse, Status>> + Send>>;

    async fn watch(&self, _: Request<v1::WatchSagaRequest>) -> Result<Response<Self::WatchStream>, Status> {
        unknown()
    }

    async fn cancel(&self, _: Request<v1::CancelSagaRequest>) -> Result<Response<v1::CancelSagaResponse>, Status> {
        unknown()
    }

    async fn complete_step(
        &self,
        request: Request<v1::CompleteStepRequest>,
    ) -> Result<Response<v1::CompleteStepResponse>, Status> {
        self.told.lock().unwrap().push(request.into_inner());
        match self.refusals.lock().unwrap().pop_front() {
            Some(refusal) => Err(refusal),
            None => Ok(Response::new(v1::CompleteStepResponse {
                result: v1::CompletionResult::Applied.into(),
                ..Default::default()
            })),
        }
    }
}
