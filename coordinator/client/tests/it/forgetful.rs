//! A coordinator's front that does what it is asked and answers the first time, of each method, that nobody is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use amends_client::{Client, v1};
use amends_proto::v1::sagas_client::SagasClient;
use amends_proto::v1::sagas_server::{Sagas, SagasServer};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::coordinator::{Coordinator, LONG};

#[derive(Clone)]
pub(crate) struct Forgetful {
    behind: SagasClient<Channel>,
    calls: Arc<Mutex<BTreeMap<&'static str, u32>>>,
}

impl Forgetful {
    pub(crate) async fn before(coordinator: &Coordinator) -> (Self, Client) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::connect(&format!("http://{}", listener.local_addr().unwrap())).unwrap().time_limit(LONG);
        let front = Self { behind: SagasClient::new(coordinator.channel()), calls: Arc::default() };
        let server = tonic::transport::Server::builder().add_service(SagasServer::new(front.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (front, client)
    }

    pub(crate) fn calls_of(&self, method: &str) -> u32 {
        self.calls.lock().unwrap().get(method).copied().unwrap_or_default()
    }

    fn answer<T>(&self, method: &'static str, done: Result<Response<T>, Status>) -> Result<Response<T>, Status> {
        let mut calls = self.calls.lock().unwrap();
        let calls = calls.entry(method).or_default();
        *calls += 1;
        if *calls == 1 { Err(Status::unavailable("gone after the commit")) } else { done }
    }
}

#[tonic::async_trait]
impl Sagas for Forgetful {
    async fn start(&self, request: Request<v1::StartSagaRequest>) -> Result<Response<v1::Saga>, Status> {
        self.answer("start", self.behind.clone().start(request).await)
    }

    async fn get(&self, request: Request<v1::GetSagaRequest>) -> Result<Response<v1::Saga>, Status> {
        self.answer("get", self.behind.clone().get(request).await)
    }

    async fn list(&self, request: Request<v1::ListSagasRequest>) -> Result<Response<v1::ListSagasResponse>, Status> {
        self.answer("list", self.behind.clone().list(request).await)
    }

    async fn count(&self, request: Request<v1::CountSagasRequest>) -> Result<Response<v1::CountSagasResponse>, Status> {
        self.behind.clone().count(request).await
    }

    async fn list_history(
        &self,
        request: Request<v1::ListHistoryRequest>,
    ) -> Result<Response<v1::ListHistoryResponse>, Status> {
        self.behind.clone().list_history(request).await
    }

    type WatchStream = Streaming<v1::WatchSagaResponse>;

    async fn watch(&self, request: Request<v1::WatchSagaRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.answer("watch", self.behind.clone().watch(request).await)
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelSagaRequest>,
    ) -> Result<Response<v1::CancelSagaResponse>, Status> {
        self.answer("cancel", self.behind.clone().cancel(request).await)
    }

    async fn complete_step(
        &self,
        request: Request<v1::CompleteStepRequest>,
    ) -> Result<Response<v1::CompleteStepResponse>, Status> {
        self.answer("complete_step", self.behind.clone().complete_step(request).await)
    }
}
