//! Requests for a saga of another node's shard go to that node: one hop, as the bytes that they came in.
//!
//! ```text
//!   request ─► whose shard? ─► here ─► the service itself
//!                           ─► there ─► the same bytes to that node, marked, so that it can't go any further
//!                           ─► nowhere yet ─► wait a little, then UNAVAILABLE with RetryInfo
//! ```
//!
//! It is before the services of both listeners, and only where several nodes can share the store. It judges no answer but one:
//! that the shard has just moved, which means that nothing was done. Invariants: a request is forwarded at most once; one whose
//! fate isn't known is never sent again.

use std::error::Error;
use std::time::Duration;

use amends_engine::ids::SagaKey;
use amends_proto::v1;
use amends_runtime::{Coordinator, Place, RequestError};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, request};
use axum::response::Response;
use bytes::{Buf as _, Bytes, BytesMut};
use futures::StreamExt as _;
use prost::Message;
use tokio::time::{Instant, timeout_at};
use tonic::{ConnectError, Status};
use tonic_types::StatusExt as _;
use tower::{Service as _, ServiceExt as _};

use crate::auth::{Auth, Caller};
use crate::channels::Channels;
use crate::forward_trace::Hop;
use crate::grpc::{ELSEWHERE, FORWARDED, Refusal, saga_key, start_key};

/// How long a request waits for its shard to have an owner. A hand-over takes less; a take-over after a kill takes longer, and
/// is left to the caller's retry.
const PATIENCE: Duration = Duration::from_secs(2);
/// A gRPC message begins with a flag (compressed or not) and its length.
pub(crate) const PREFIX: usize = 5;

/// What forwarding works with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Forwarding {
    pub(crate) coordinator: Coordinator,
    pub(crate) channels: Channels,
    /// Marks what is sent on as a node's.
    pub(crate) auth: Auth,
    /// Largest request that is looked into; a larger one is refused by its service.
    pub(crate) bytes_max: usize,
}

/// Sends a request where it belongs.
pub(crate) async fn forward<A>(forwarding: &Forwarding, request: Request, next: impl Fn(Request) -> A) -> Response
where
    A: Future<Output = Response>,
{
    let Some(read) = reader(request.uri().path()) else { return next(request).await };
    let (parts, body) = request.into_parts();
    let (message, rest) = match read_whole(body, forwarding.bytes_max + PREFIX).await {
        Whole::Message(message) => (message, None),
        Whole::Unreadable(body) => (Bytes::new(), Some(body)),
    };
    let key = message_of(&message).and_then(read);
    match (key, rest) {
        // The service says what is wrong with it.
        (_, Some(body)) => next(Request::from_parts(parts, body)).await,
        (None, None) => next(Request::from_parts(parts, Body::from(message))).await,
        (Some(key), None) => forwarding.route(&key, parts, message, next).await,
    }
}

impl Forwarding {
    async fn route<A>(
        &self,
        key: &SagaKey,
        parts: request::Parts,
        message: Bytes,
        next: impl Fn(Request) -> A,
    ) -> Response
    where
        A: Future<Output = Response>,
    {
        let is_forwarded = parts.headers.contains_key(FORWARDED);
        let until = Instant::now() + PATIENCE;
        // Listening begins before looking, so that no change between the two is missed.
        let mut placing = self.coordinator.placing();
        loop {
            placing.mark_unchanged();
            let answer = match self.coordinator.place(key) {
                Place::Here | Place::Frozen(_) => {
                    let request = Request::from_parts(parts.clone(), Body::from(message.clone()));
                    Some(next(request).await)
                }
                Place::At { address, .. } if !is_forwarded => self.send(key, &address, &parts, message.clone()).await,
                Place::At { .. } | Place::Nowhere => None,
            };
            if let Some(answer) = answer.filter(|answer| !is_elsewhere(answer.headers())) {
                return answer;
            }
            if is_forwarded {
                // Whoever sent it on waits and looks again.
                return refused(RequestError::Elsewhere(key.clone()).into());
            }
            self.coordinator.look();
            let changed = timeout_at(until, placing.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                return refused(RequestError::Elsewhere(key.clone()).into());
            }
        }
    }

    /// `None` where the request certainly never reached the other node.
    async fn send(&self, key: &SagaKey, address: &str, parts: &request::Parts, message: Bytes) -> Option<Response> {
        let mut channel = self.channels.to(address).ok()?;
        // Connects where that is needed. What fails here was not sent.
        channel.ready().await.ok()?;
        let mut request = axum::http::Request::new(tonic::body::Body::new(Body::from(message)));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.path().parse().ok()?;
        *request.version_mut() = parts.version;
        *request.headers_mut() = parts.headers.clone();
        self.mark(request.headers_mut(), parts);
        let traced = Hop::begin(&self.coordinator, key, &mut request);
        let answer = channel.call(request).await;
        if let Some(hop) = traced {
            hop.end(&self.coordinator, address, answer.is_err());
        }
        match answer {
            Ok(answer) => Some(answer.map(Body::new)),
            Err(error) if was_not_sent(&error) => None,
            Err(error) => {
                let why = format!("the node that has its shard broke off: {}", crate::error::chain(&error));
                Some(refused(RequestError::Unavailable(why).into()))
            }
        }
    }

    fn mark(&self, headers: &mut HeaderMap, parts: &request::Parts) {
        // The gate is before this, and always says who asks.
        let (name, payloads) = match parts.extensions.get::<Caller>() {
            Some(caller) => (caller.name.as_str(), caller.payloads),
            None => ("anonymous", false),
        };
        self.auth.mark(headers, self.coordinator.node(), parts.uri.path(), name, payloads);
    }
}

/// Whether a failed request certainly never reached the other node: no connection, one that was closed before the request was
/// written, or a node that says that it didn't look at it (RFC 9113, sections 6.8 and 8.7), as one does that is stopping.
fn was_not_sent(error: &(dyn Error + 'static)) -> bool {
    let unread = |error: &h2::Error| {
        let is_gentle = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        error.is_remote() && (is_gentle || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    };
    error.is::<ConnectError>()
        || error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
        || error.downcast_ref::<h2::Error>().is_some_and(unread)
        || error.source().is_some_and(was_not_sent)
}

fn refused(refusal: Refusal) -> Response {
    Status::from(refusal).into_http()
}

/// Whether an answer says that the shard has just moved, so that nothing was done.
fn is_elsewhere(headers: &HeaderMap) -> bool {
    let status = Status::from_header_map(headers);
    status.is_some_and(|status| {
        let details = status.get_error_details();
        details.error_info().is_some_and(|info| info.reason == ELSEWHERE)
    })
}

type ReadKey = fn(Bytes) -> Option<SagaKey>;

/// How to find the saga of a request that only its owner can carry out; `None` for a method that any node can.
fn reader(path: &str) -> Option<ReadKey> {
    let method = path.strip_prefix("/amends.v1.")?;
    match method {
        "Sagas/Start" => Some(|message| start_key(&v1::StartSagaRequest::decode(message).ok()?)),
        "Sagas/Watch" | "Sagas/Cancel" | "Sagas/CompleteStep" => Some(named_key),
        _ => method.starts_with("Operations/").then_some(named_key as ReadKey),
    }
}

/// The fields that every request about one saga begins with; a test holds the .proto files to it.
#[derive(Clone, PartialEq, Eq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    saga_id: String,
}

fn named_key(message: Bytes) -> Option<SagaKey> {
    let named = Named::decode(message).ok()?;
    saga_key(&named.namespace, &named.saga_id).ok()
}

/// The one message of a unary request, without its prefix; `None` where it is compressed or isn't one.
pub(crate) fn message_of(body: &Bytes) -> Option<Bytes> {
    let mut rest = body.clone();
    if rest.len() < PREFIX || rest.get_u8() != 0 {
        return None;
    }
    let length = usize::try_from(rest.get_u32()).ok()?;
    (rest.len() == length).then_some(rest)
}

/// What became of reading a request.
pub(crate) enum Whole {
    /// It is here.
    Message(Bytes),
    /// It is too large, or broke off: what there is of it, and what is still to come.
    Unreadable(Body),
}

pub(crate) async fn read_whole(body: Body, bytes_max: usize) -> Whole {
    let mut frames = body.into_data_stream();
    let mut read = BytesMut::new();
    while let Some(frame) = frames.next().await {
        let end = match frame {
            Ok(bytes) => {
                read.extend_from_slice(&bytes);
                if read.len() <= bytes_max {
                    continue;
                }
                None
            }
            Err(error) => Some(Err(error)),
        };
        let begun = futures::stream::iter([Ok(read.freeze())].into_iter().chain(end));
        return Whole::Unreadable(Body::from_stream(begun.chain(frames)));
    }
    Whole::Message(read.freeze())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn every_request_about_one_saga_begins_with_its_name() {
        let pool = DescriptorPool::decode(amends_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut forwarded = 0;
        for service in pool.services() {
            for rpc in service.methods() {
                if reader(&format!("/{}/{}", service.full_name(), rpc.name())).is_none() {
                    continue;
                }
                forwarded += 1;
                let names = [1, 2].map(|tag| rpc.input().get_field(tag).map(|field| field.name().to_owned()));
                let expected = ["namespace", "saga_id"].map(|name| Some(name.to_owned()));
                assert_eq!(names, expected, "{}", rpc.full_name());
            }
        }
        assert_eq!(forwarded, 13, "Start, Watch, Cancel, CompleteStep, and nine operations");
        let reads = ["Sagas/Get", "Sagas/List", "Sagas/ListHistory", "Definitions/Register", "Cluster/ListNodes"];
        assert!(reads.iter().all(|method| reader(&format!("/amends.v1.{method}")).is_none()), "any node can");
    }

    fn framed(flag: u8, length: u32, message: &[u8]) -> Bytes {
        [&[flag][..], &length.to_be_bytes(), message].concat().into()
    }

    #[test]
    fn only_a_whole_plain_message_is_looked_into() {
        let message = v1::CancelSagaRequest { saga_id: "order-1".to_owned(), ..Default::default() }.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap();
        let key = message_of(&framed(0, length, &message)).and_then(named_key).unwrap();
        assert_eq!(key.to_string(), "default/order-1");
        assert_eq!(message_of(&framed(1, length, &message)), None, "compressed");
        assert_eq!(message_of(&framed(0, length + 1, &message)), None, "cut short");
        assert_eq!(message_of(&Bytes::from_static(&[0, 0])), None);
        assert_eq!(named_key(Bytes::from_static(b"\xff")), None);
    }

    #[tokio::test]
    async fn a_request_that_is_too_large_is_handed_on_whole() {
        let body = Body::from_stream(futures::stream::iter([Ok::<_, std::io::Error>("abc"), Ok("def"), Ok("ghi")]));
        let Whole::Unreadable(body) = read_whole(body, 5).await else { panic!("it has nine bytes") };
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcdefghi");
        let Whole::Message(bytes) = read_whole(Body::from("abc"), 3).await else { panic!("it has three bytes") };
        assert_eq!(bytes, "abc");
    }
}
