//! The participant of the benchmark: an echo with reflection, which refuses one text. Keeps nothing and has no barrier.

use std::net::SocketAddr;

use tonic::{Request, Response, Status};

use super::proto::Echo;
use super::proto::noop_server::{Noop, NoopServer};
use super::work::REFUSE;
use crate::exit::Failure;

/// Its descriptors, for reflection.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bench.fds.bin"));

#[derive(Debug)]
struct EchoService;

#[tonic::async_trait]
impl Noop for EchoService {
    async fn call(&self, request: Request<Echo>) -> Result<Response<Echo>, Status> {
        let echo = request.into_inner();
        if echo.text == REFUSE {
            return Err(Status::failed_precondition("as it was asked to"));
        }
        Ok(Response::new(echo))
    }
}

/// Serves until the process is ended.
pub(super) async fn serve(address: SocketAddr) -> Result<(), Failure> {
    let failed = |error: &dyn std::error::Error| Failure::Process(std::io::Error::other(error.to_string()));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()
        .map_err(|error| failed(&error))?;
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(NoopServer::new(EchoService))
        .add_service(reflection)
        .serve(address)
        .await
        .map_err(|error| failed(&error))
}
