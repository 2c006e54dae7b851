//! Calls the services in this process: the same code that the gRPC listener serves, without a connection in between.
//!
//! Messages go through as their bytes. It never retries and never judges an answer. Invariants: what comes over HTTP counts
//! against the same limit of requests as what comes over gRPC, and has the same longest time for an answer.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::service::Routes;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use tower::Layer as _;
use tower::limit::{ConcurrencyLimit, GlobalConcurrencyLimitLayer};
use tower::load_shed::LoadShed;

use super::problem::reason;
use crate::grpc::ANSWER_TIME_MAX;

/// When to try again where too many requests are under way.
const CROWDED_RETRY: Duration = Duration::from_secs(1);

/// The services, to be called. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    client: Grpc<LoadShed<ConcurrencyLimit<Routes>>>,
}

impl Calls {
    /// `bound` is the limit of the gRPC listener itself: its clones count together.
    pub(crate) fn new(routes: Routes, bound: &GlobalConcurrencyLimitLayer) -> Self {
        // The services have their own limits for what comes in; what goes out is ours.
        let client = Grpc::new(LoadShed::new(bound.layer(routes))).max_decoding_message_size(usize::MAX);
        Self { client }
    }

    /// One request, one answer.
    pub(crate) async fn unary(&self, path: PathAndQuery, request: Request<Bytes>) -> Result<Bytes, Status> {
        let mut client = self.client.clone();
        let answer = in_time(async move {
            client.ready().await.map_err(Status::from_error)?;
            client.unary(request, path, Raw).await
        });
        Ok(answer.await?.into_inner())
    }

    /// One request, and what comes of it until it ends.
    pub(crate) async fn stream(&self, path: PathAndQuery, request: Request<Bytes>) -> Result<Streaming<Bytes>, Status> {
        let mut client = self.client.clone();
        let answer = in_time(async move {
            client.ready().await.map_err(Status::from_error)?;
            client.server_streaming(request, path, Raw).await
        });
        Ok(answer.await?.into_inner())
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(ANSWER_TIME_MAX, answer).await {
        Ok(Err(status)) if status.code() == Code::ResourceExhausted && status.details().is_empty() => Err(crowded()),
        Ok(answered) => answered,
        Err(_) => {
            let message =
                format!("no answer within {} s; what was asked for may still happen", ANSWER_TIME_MAX.as_secs());
            Err(Status::deadline_exceeded(message))
        }
    }
}

/// What load shedding says, in our words.
fn crowded() -> Status {
    let mut details = reason("OVERLOADED");
    details.set_retry_info(Some(CROWDED_RETRY));
    Status::with_error_details(Code::ResourceExhausted, "too many requests are under way; try again later", details)
}

/// Messages as the bytes that they are.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
