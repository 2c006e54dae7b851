//! One request over HTTP: find its method, make its message, call the service, show the answer.
//!
//! It decides nothing about a saga. Invariants: nothing is taken up while the server stops; a body is read only as far as its
//! limit and its time; a request that changes something has to say that it is JSON, which a form of a web page can't.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::call::Calls;
use super::json::{Misfit, show};
use super::problem::{Problem, reason};
use super::routes::{BodyOf, Found, Route, Table, Unroutable};
use super::{follow, request};
use crate::config::LimitsConfig;
use crate::grpc;
use crate::tls::PeerCertificate;

/// How long a body may take to come in.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// JSON is larger than the message that it stands for, base64 by a third and names by more.
const JSON_GROWTH: usize = 2;

/// The API over HTTP.
#[derive(Debug)]
pub(crate) struct Gateway {
    table: Table,
    calls: Calls,
    limits: LimitsConfig,
    draining: CancellationToken,
    work: TaskTracker,
}

impl Gateway {
    /// `draining` ends the taking of requests; `work` counts those under way.
    pub(crate) fn new(
        calls: Calls,
        limits: LimitsConfig,
        draining: CancellationToken,
        work: TaskTracker,
    ) -> Result<Self, Unroutable> {
        let pool = DescriptorPool::decode(amends_proto::FILE_DESCRIPTOR_SET).map_err(Unroutable::descriptors)?;
        Ok(Self { table: Table::read(&pool)?, calls, limits, draining, work })
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    async fn answer(&self, request: Request) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let (route, values) = match self.table.find(&head.method, path) {
            Found::Route(route, values) => (route, values),
            Found::Otherwise(methods) => {
                let message = not_for(&head.method, path, &methods);
                return Err(Problem::other_methods(methods, message));
            }
            Found::Nothing(nearest) => return Err(no_such_path(&head.method, path, nearest)),
        };
        if self.draining.is_cancelled() {
            return Err(stopping().into());
        }
        let mut query = parameters(head.uri.query());
        let streams = route.rpc.is_server_streaming();
        let patience = follow::patience(if streams { reserved(&mut query, follow::WAIT)? } else { None }.as_deref())?;
        if !matches!(route.body, BodyOf::Nothing) {
            must_be_json(&head.headers)?;
        }
        let body = self.read(route, body).await?;
        let mut message = request::message(route, values, &query, &head.headers, &body)?;
        let resumed = if streams { follow::resume(&route.rpc, &head.headers)? } else { None };
        if let Some((field, value)) = &resumed {
            message.set_field_by_name(field, value.clone());
        }
        let message = self.fits(route, message)?;
        let call = tonic::Request::from_parts(metadata(&head.headers), from_peer(&head.extensions), message);
        let (path, of) = (route.grpc_path.clone(), route.rpc.output());
        if !streams {
            let answer = decode(&of, self.calls.unary(path, call).await?)?;
            return Ok(super::pages::json(show(&answer)).into_response());
        }
        let messages = self.calls.stream(path, call).await?;
        if follow::wants_events(&head.headers) {
            return Ok(follow::events(of, messages, resumed.is_some()).await?);
        }
        Ok(super::pages::json(show(&follow::long_poll(&of, messages, patience).await?)).into_response())
    }

    async fn read(&self, route: &Route, body: Body) -> Result<Bytes, Problem> {
        let limit = self.message_bytes_max(route).saturating_mul(JSON_GROWTH);
        let read = tokio::time::timeout(BODY_TIME_MAX, Limited::new(body, limit).collect());
        match read.await {
            Ok(Ok(read)) => Ok(read.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large("body", limit)),
            Ok(Err(error)) => Err(Problem::invalid("", &format!("the body can't be read: {error}"))),
            Err(_) => {
                let message = format!("the body didn't come in within {} s", BODY_TIME_MAX.as_secs());
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, "BODY_TOO_SLOW", message))
            }
        }
    }

    /// The message's bytes, if the service takes so many.
    fn fits(&self, route: &Route, message: DynamicMessage) -> Result<Bytes, Problem> {
        let limit = self.message_bytes_max(route);
        let bytes = Bytes::from(message.encode_to_vec());
        if bytes.len() <= limit { Ok(bytes) } else { Err(too_large("request", limit)) }
    }

    fn message_bytes_max(&self, route: &Route) -> usize {
        grpc::message_bytes_max(&self.limits, route.rpc.parent_service().full_name())
    }
}

/// Answers one request of the API.
pub(super) async fn serve(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    // Until the answer is made; the server waits for it when it stops.
    let _under_way = gateway.work.token();
    gateway.answer(request).await.unwrap_or_else(Problem::into_response)
}

/// What a service sent.
pub(super) fn decode(of: &MessageDescriptor, bytes: Bytes) -> Result<DynamicMessage, Status> {
    let unreadable = |error| Status::internal(format!("the answer can't be shown as JSON: {error}"));
    DynamicMessage::decode(of.clone(), bytes).map_err(unreadable)
}

fn not_for(verb: &http::Method, path: &str, methods: &[http::Method]) -> String {
    let methods: Vec<&str> = methods.iter().map(http::Method::as_str).collect();
    let mut message = format!("{path} is for {}, not for {verb}", methods.join(", "));
    if path.to_ascii_lowercase().contains("%3a") {
        // Escaped, it is a part of the name before it, which no name has.
        message.push_str("; write the `:` before the verb as it is, not as %3A");
    }
    message
}

fn no_such_path(verb: &http::Method, path: &str, nearest: Option<&Route>) -> Problem {
    let mend = nearest.map(|route| format!("the nearest is {} {}", route.verb, route.template)).unwrap_or_default();
    let message = format!("there is no {verb} {path}; {mend}; /openapi.json has all paths");
    Problem::new(StatusCode::NOT_FOUND, Code::NotFound, "NO_SUCH_PATH", message)
}

fn too_large(what: &str, limit: usize) -> Problem {
    let message = format!("the {what} is over the limit of {limit} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument, "TOO_LARGE", message)
}

fn stopping() -> Status {
    let mut details = reason("UNAVAILABLE");
    details.set_retry_info(Some(grpc::UNAVAILABLE_RETRY));
    Status::with_error_details(Code::Unavailable, "this node is stopping; ask again", details)
}

fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let given = if kind.is_empty() { "there is none".to_owned() } else { format!("it is {kind:?}") };
    let message = format!("the header Content-Type must be application/json; {given}");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, "UNSUPPORTED_MEDIA_TYPE", message))
}

fn parameters(query: Option<&str>) -> Vec<(String, String)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// Takes out a parameter that is not a field of the request.
fn reserved(query: &mut Vec<(String, String)>, name: &str) -> Result<Option<String>, Misfit> {
    let mut found = query.extract_if(.., |(key, _)| key == name).map(|(_, value)| value);
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(Misfit { field: name.to_owned(), problem: "it is given twice".to_owned(), place: None }),
    }
}

/// The headers that mean over HTTP what they mean as metadata.
pub(crate) fn metadata(headers: &HeaderMap) -> MetadataMap {
    let is_ours =
        |name: &str| name.starts_with("amends-") || matches!(name, "authorization" | "traceparent" | "tracestate");
    let ours = headers.iter().filter(|(name, _)| is_ours(name.as_str()));
    MetadataMap::from_headers(ours.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Who is connected, as the gRPC listener would say it.
pub(crate) fn from_peer(of: &http::Extensions) -> tonic::Extensions {
    let mut extensions = tonic::Extensions::new();
    if let Some(ConnectInfo(address)) = of.get::<ConnectInfo<SocketAddr>>() {
        extensions.insert(TcpConnectInfo { local_addr: None, remote_addr: Some(*address) });
    }
    if let Some(certificate) = of.get::<PeerCertificate>() {
        extensions.insert(certificate.clone());
    }
    extensions
}
