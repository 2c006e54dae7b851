//! An instance tells coordinators that it is there, whichever answers, and that it leaves.

use std::net::SocketAddr;

use amends_participant::registration::Instance;
use amends_proto::v1;
use amends_proto::v1::participants_server::{Participants, ParticipantsServer};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A coordinator that takes down what it is told, and asks for a word every tenth of a second.
struct Coordinator {
    told: UnboundedSender<String>,
    refuses: bool,
}

impl Coordinator {
    fn hear(&self, word: String) -> Result<(), Status> {
        self.told.send(word).map_err(|_| Status::internal("the test is over"))?;
        if self.refuses { Err(Status::unavailable("not now")) } else { Ok(()) }
    }
}

#[tonic::async_trait]
impl Participants for Coordinator {
    async fn put(&self, _: Request<v1::PutParticipantRequest>) -> Result<Response<v1::Participant>, Status> {
        Err(Status::unimplemented("put"))
    }

    async fn get(&self, _: Request<v1::GetParticipantRequest>) -> Result<Response<v1::Participant>, Status> {
        Err(Status::unimplemented("get"))
    }

    async fn set_limits(&self, _: Request<v1::SetLimitsRequest>) -> Result<Response<v1::Participant>, Status> {
        Err(Status::unimplemented("set_limits"))
    }

    async fn pause(&self, _: Request<v1::PauseParticipantRequest>) -> Result<Response<v1::Participant>, Status> {
        Err(Status::unimplemented("pause"))
    }

    async fn resume(&self, _: Request<v1::ResumeParticipantRequest>) -> Result<Response<v1::Participant>, Status> {
        Err(Status::unimplemented("resume"))
    }

    async fn list(
        &self,
        _: Request<v1::ListParticipantsRequest>,
    ) -> Result<Response<v1::ListParticipantsResponse>, Status> {
        Err(Status::unimplemented("list"))
    }

    async fn register_endpoint(
        &self,
        request: Request<v1::RegisterEndpointRequest>,
    ) -> Result<Response<v1::RegisterEndpointResponse>, Status> {
        let said = request.into_inner();
        self.hear(format!("{}/{} {} {}", said.namespace, said.participant, said.endpoint, said.instance))?;
        Ok(Response::new(v1::RegisterEndpointResponse { heartbeat_period_ms: 100, lifetime_ms: 300 }))
    }

    async fn deregister_endpoint(
        &self,
        request: Request<v1::DeregisterEndpointRequest>,
    ) -> Result<Response<v1::DeregisterEndpointResponse>, Status> {
        let said = request.into_inner();
        self.hear(format!("{}/{} {} leaves", said.namespace, said.participant, said.endpoint))?;
        Ok(Response::new(v1::DeregisterEndpointResponse {}))
    }
}

async fn coordinator(refuses: bool) -> (SocketAddr, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, hear) = unbounded_channel();
    let service = ParticipantsServer::new(Coordinator { told, refuses });
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    (address, hear)
}

async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn instance(coordinators: &[SocketAddr]) -> Instance {
    let coordinators = coordinators.iter().map(|address| format!("http://{address}").parse().unwrap()).collect();
    Instance::new(coordinators, "payment", "http://10.0.0.7:7503").namespace("shop").name("pod-1")
}

const HERE: &str = "shop/payment http://10.0.0.7:7503 pod-1";
const LEAVES: &str = "shop/payment http://10.0.0.7:7503 leaves";

#[tokio::test]
async fn it_says_again_and_again_that_it_is_there_and_once_that_it_leaves() {
    let (address, mut told) = coordinator(false).await;
    let registered = instance(&[address]).register();
    for _ in 0..3 {
        assert_eq!(told.recv().await.unwrap(), HERE);
    }
    registered.leave().await;
    let mut rest = Vec::new();
    while let Ok(word) = told.try_recv() {
        rest.push(word);
    }
    assert_eq!(rest.pop().as_deref(), Some(LEAVES), "the last word");
    assert!(rest.iter().all(|word| word == HERE));
}

#[tokio::test]
async fn where_one_doesnt_answer_or_refuses_the_next_is_told() {
    let (refusing, mut refused) = coordinator(true).await;
    let (address, mut told) = coordinator(false).await;
    let registered = instance(&[nobody().await, refusing, address]).register();
    assert_eq!(told.recv().await.unwrap(), HERE);
    assert_eq!(refused.recv().await.unwrap(), HERE);
    registered.leave().await;
    while told.recv().await.unwrap() != LEAVES {}
}

#[tokio::test]
async fn dropping_it_says_nothing_more() {
    let (address, mut told) = coordinator(false).await;
    let registered = instance(&[address]).register();
    assert_eq!(told.recv().await.unwrap(), HERE);
    drop(registered);
    // Ends when the client is gone and with it the connection; whatever came until then is no goodbye.
    while let Ok(Some(word)) = tokio::time::timeout(std::time::Duration::from_millis(300), told.recv()).await {
        assert_eq!(word, HERE);
    }
}
