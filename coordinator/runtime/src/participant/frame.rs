//! gRPC on the wire: a [`Call`] as an HTTP/2 request, and an HTTP/2 response as messages or as the [`Reply`] it amounts to.
//!
//! Bytes in, bytes out: no descriptors, no JSON. tonic's client would fold what it finds wrong itself (a reply over the limit,
//! a missing trailer) into the same type as the participant's own status; here that difference decides whether money moves
//! twice, so the few rules of the protocol are spelled out. Invariant: only a status that a participant sent becomes
//! [`Reply::Status`], but for HTTP errors of proxies, which map to codes that never read as a refusal. Connections are in
//! `channel.rs`.

use std::fmt::Display;
use std::time::Duration;

use amends_engine::time::Timestamp;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Body;

use super::code::Code;
use super::endpoint::Endpoint;
use super::secret::SigningKey;
use super::signature::sign;
use super::status::{self, Ending};
use super::{Call, Reply, Status};

/// Before every message: one byte that says whether it is compressed, four with its length.
const PREFIX_LENGTH: usize = 5;

/// Room for all headers of a call, so that their map needn't grow.
const HEADERS: usize = 16;

// Checked once, not at every call.
static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
static SAGA_ID: HeaderName = HeaderName::from_static("amends-saga-id");
static STEP: HeaderName = HeaderName::from_static("amends-step");
static OPERATION: HeaderName = HeaderName::from_static("amends-operation");
static ATTEMPT: HeaderName = HeaderName::from_static("amends-attempt");
static EPOCH: HeaderName = HeaderName::from_static("amends-epoch");
static KEY: HeaderName = HeaderName::from_static("idempotency-key");
static BEGUN: HeaderName = HeaderName::from_static("amends-saga-begun");
static FLOOR: HeaderName = HeaderName::from_static("amends-floor");
static EXPECTS: HeaderName = HeaderName::from_static("amends-expects");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request that can't be put on the wire.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsendable {
    /// The path or a header isn't valid.
    #[error("the request can't be built")]
    Invalid(#[from] http::Error),
    /// gRPC counts a message's bytes in 32 bits.
    #[error("the request has {0} bytes; a gRPC message has fewer than 4 GiB")]
    TooLong(usize),
}

/// Bounds of what is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most bytes of all messages together.
    pub(super) bytes: usize,
    /// Most messages.
    pub(super) messages: usize,
}

/// An `OK`, with what came before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// The messages, in order.
    pub(super) messages: Vec<Bytes>,
    /// `amends-outcome: pending` stood in the headers or the trailers.
    pub(super) pending: bool,
}

/// The request that makes this call, signed with every key.
pub(super) fn request(
    call: &Call,
    endpoint: &Endpoint,
    keys: &[SigningKey],
    now: Timestamp,
) -> Result<Request<Bytes>, Unsendable> {
    let request = post(endpoint, &call.path)?.header(&TIMEOUT, grpc_timeout(call.timeout));
    let request = sign(who_is_asking(request, call), keys, call, now);
    Ok(request.body(framed([&call.request])?)?)
}

/// Adds the headers that say for which attempt a call is made; the same over gRPC and HTTP.
pub(super) fn who_is_asking(request: http::request::Builder, call: &Call) -> http::request::Builder {
    let mut request = request
        .header(&SAGA_ID, call.key.id.as_str())
        .header(&STEP, call.step.as_str())
        .header(&OPERATION, HeaderValue::from_static(call.operation.as_str()))
        .header(&ATTEMPT, call.attempt)
        .header(&EPOCH, call.epoch)
        .header(&KEY, call.idempotency_key());
    if !call.origin.floor.is_empty() {
        request = request.header(&BEGUN, call.origin.begun.0).header(&FLOOR, &*call.origin.floor);
    }
    if call.expects_succeeded {
        request = request.header(&EXPECTS, HeaderValue::from_static("succeeded"));
    }
    // Tracing must not be what stops a saga: a trace context that can't stand in a header is left out.
    if let Ok(traceparent) = HeaderValue::from_str(&call.traceparent)
        && !traceparent.is_empty()
    {
        request = request.header(&TRACEPARENT, traceparent);
    }
    request
}

/// A request with these messages and none of our metadata.
pub(super) fn bare_request<'a>(
    endpoint: &Endpoint,
    path: &str,
    messages: impl IntoIterator<Item = &'a Bytes>,
) -> Result<Request<Bytes>, Unsendable> {
    Ok(post(endpoint, path)?.body(framed(messages)?)?)
}

fn post(endpoint: &Endpoint, path: &str) -> Result<http::request::Builder, http::Error> {
    // Put together from its parts, so that a path can never become part of the authority.
    let scheme = if endpoint.is_tls() { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(endpoint.authority()).path_and_query(path).build()?;
    let mut request = Request::post(uri);
    if let Some(headers) = request.headers_mut() {
        headers.reserve(HEADERS);
    }
    Ok(request
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
        .header(header::TE, HeaderValue::from_static("trailers"))
        .header(header::USER_AGENT, HeaderValue::from_static(concat!("amends/", env!("CARGO_PKG_VERSION")))))
}

fn framed<'a>(messages: impl IntoIterator<Item = &'a Bytes>) -> Result<Bytes, Unsendable> {
    let mut buffer = BytesMut::new();
    for message in messages {
        let length = u32::try_from(message.len()).map_err(|_| Unsendable::TooLong(message.len()))?;
        buffer.reserve(PREFIX_LENGTH + message.len());
        buffer.put_u8(0);
        buffer.put_u32(length);
        buffer.put_slice(message);
    }
    Ok(buffer.freeze())
}

/// At most eight digits and a unit, as gRPC has it; the finest unit that fits, so that a short time isn't rounded to none.
fn grpc_timeout(timeout: Duration) -> String {
    const DIGITS_MAX: u128 = 99_999_999;
    let units = [(timeout.as_micros(), 'u'), (timeout.as_millis(), 'm'), (u128::from(timeout.as_secs()), 'S')];
    match units.into_iter().find(|(count, _)| *count <= DIGITS_MAX) {
        Some((count, unit)) => format!("{count}{unit}"),
        None => format!("{DIGITS_MAX}S"),
    }
}

/// Reads a response to its end. The error is the reply, where that isn't an `OK` with whole messages.
pub(super) async fn read<B>(response: Response<B>, limits: Limits) -> Result<Answered, Reply>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let (head, mut body) = response.into_parts();
    check_http(head.status)?;
    if let Some(ending) = status::read(&head.headers) {
        return match ending {
            Ending::Not(status) => Err(Reply::Status(status)),
            Ending::Ok => Ok(Answered { messages: Vec::new(), pending: is_pending(&head.headers) }),
        };
    }
    check_content(&head.headers)?;
    let mut messages = Messages::new(limits);
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Reply::Broken(format!("the answer broke off: {error}")))?;
        match frame.into_data() {
            Ok(data) => messages.push(&data)?,
            Err(frame) => trailers = frame.into_trailers().ok().or(trailers),
        }
    }
    let trailers = trailers.unwrap_or_default();
    match status::read(&trailers) {
        None => Err(Reply::Broken("the answer ended without a gRPC status".to_owned())),
        Some(Ending::Not(status)) => Err(Reply::Status(status)),
        Some(Ending::Ok) => {
            let pending = is_pending(&head.headers) || is_pending(&trailers);
            Ok(Answered { messages: messages.finish()?, pending })
        }
    }
}

/// As [`read`], for a method that answers with one message.
pub(super) async fn read_unary<B>(response: Response<B>, bytes_max: usize) -> Reply
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    match read(response, Limits { bytes: bytes_max, messages: 1 }).await {
        Err(reply) => reply,
        Ok(Answered { mut messages, pending }) => match messages.pop() {
            Some(bytes) => Reply::Ok { bytes, pending },
            None => Reply::Unreadable("OK without a message".to_owned()),
        },
    }
}

/// Turns away what a proxy says in the participant's place.
fn check_http(status: StatusCode) -> Result<(), Reply> {
    if status == StatusCode::OK {
        return Ok(());
    }
    let message = format!("HTTP status {status} where a gRPC answer was due");
    Err(Reply::Status(Status { code: Code::from_http(status), message, info: None, retry_after: None }))
}

/// Turns away what isn't gRPC.
fn check_content(headers: &HeaderMap) -> Result<(), Reply> {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if content_type.starts_with(b"application/grpc") {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(&content_type[..content_type.len().min(100)]).into_owned();
    Err(Reply::Unreadable(format!("an answer of content type {shown:?}, not application/grpc")))
}

fn is_pending(headers: &HeaderMap) -> bool {
    headers.get("amends-outcome").is_some_and(|value| value == "pending")
}

/// Cuts a body into messages, within limits.
#[derive(Debug)]
struct Messages {
    whole: Vec<Bytes>,
    rest: BytesMut,
    limits: Limits,
    bytes: usize,
}

impl Messages {
    fn new(limits: Limits) -> Self {
        Self { whole: Vec::new(), rest: BytesMut::new(), limits, bytes: 0 }
    }

    /// Takes in what has come. A length over the limit is refused before its bytes are read.
    fn push(&mut self, data: &Bytes) -> Result<(), Reply> {
        self.rest.extend_from_slice(data);
        while let Some(prefix) = self.rest.first_chunk::<PREFIX_LENGTH>() {
            let [compressed, length @ ..] = *prefix;
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if compressed != 0 {
                return Err(Reply::Unreadable("a compressed message, which we didn't ask for".to_owned()));
            }
            if self.whole.len() == self.limits.messages {
                return Err(Reply::Unreadable(format!("more than {} messages", self.limits.messages)));
            }
            if length > self.limits.bytes - self.bytes {
                return Err(Reply::TooLarge { limit: self.limits.bytes });
            }
            if self.rest.len() - PREFIX_LENGTH < length {
                return Ok(());
            }
            self.rest.advance(PREFIX_LENGTH);
            self.whole.push(self.rest.split_to(length).freeze());
            self.bytes += length;
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Bytes>, Reply> {
        if self.rest.is_empty() {
            return Ok(self.whole);
        }
        Err(Reply::Unreadable("OK with a message that isn't whole".to_owned()))
    }
}

#[cfg(test)]
mod tests;
