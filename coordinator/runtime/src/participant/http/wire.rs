//! HTTP/1.1 on the wire: a [`Call`] as a request, and a response as the [`Reply`] it amounts to.
//!
//! Redirects are answers like any other here; nobody follows them. Invariants: only headers that the definition's request has,
//! ours, and those of the connection are sent; a 2xx whose body wasn't read to its end is not a success.

use std::time::Duration;

use amends_definition::{HttpRequest, HttpRequestError};
use amends_engine::time::Timestamp;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;

use super::super::endpoint::Endpoint;
use super::super::frame::who_is_asking;
use super::super::secret::SigningKey;
use super::super::{Call, HttpReply, Reply};
use super::sign::sign;
use crate::error::with_sources;

/// Most of a failure's body that is read: it is only for people.
const FAILURE_BYTES_MAX: usize = 16 * 1024;
/// Longest part of what a participant says that is kept, in characters.
const SAID_MAX: usize = 300;

/// A request that can't be put on the wire.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsendable {
    /// The stored request can't be read.
    #[error(transparent)]
    Stored(#[from] HttpRequestError),
    /// The path or a header isn't valid.
    #[error("the request can't be built")]
    Invalid(#[from] http::Error),
}

/// The request that makes this call.
pub(super) fn request(
    call: &Call,
    endpoint: &Endpoint,
    keys: &[SigningKey],
    now: Timestamp,
) -> Result<Request<Full<Bytes>>, Unsendable> {
    let HttpRequest { method, path, headers, body } = HttpRequest::decode(call.request.clone())?;
    let body = body.unwrap_or_default();
    // In origin form: the host is the registration's, whatever the path says.
    let mut request = Request::builder()
        .method(method.as_str())
        .uri(path)
        .header(header::HOST, host(endpoint))
        .header(header::USER_AGENT, concat!("amends/", env!("CARGO_PKG_VERSION")));
    if !headers.iter().any(|(name, _)| name == "accept") {
        request = request.header(header::ACCEPT, "application/json");
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request = who_is_asking(request, call);
    request = sign(request, keys, &call.idempotency_key(), now, &body);
    Ok(request.body(Full::new(body))?)
}

/// As browsers write it: without the scheme's own port.
pub(super) fn host(endpoint: &Endpoint) -> &str {
    let own_port = if endpoint.is_tls() { ":443" } else { ":80" };
    endpoint.authority().strip_suffix(own_port).unwrap_or_else(|| endpoint.authority())
}

/// A response, read as far as it matters.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) reply: Reply,
    /// Whether it was read to its end, so that the connection can be used again.
    pub(super) whole: bool,
}

/// Reads a response. `now` is for a `Retry-After` that is a date.
pub(super) async fn read<B>(response: Response<B>, bytes_max: usize, now: Timestamp) -> Read
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    let (head, body) = response.into_parts();
    let part = |reply| Read { reply, whole: false };
    let (mut body, is_success) = (body, head.status.is_success());
    let limit = if is_success { bytes_max } else { FAILURE_BYTES_MAX };
    let (content, end) = collect(&mut body, limit).await;
    let mut reply = HttpReply {
        status: head.status.as_u16(),
        body: None,
        pending: is_pending(&head.headers),
        message: String::new(),
        reason: text(&head.headers, "amends-reason").filter(|reason| is_reason(reason)),
        retry_after: retry_after(&head.headers, now),
    };
    if !is_success {
        // The status is the participant's word, however much of the text behind it came.
        reply.message = said(head.status.canonical_reason(), &head.headers, &content);
        return Read { reply: Reply::Http(reply), whole: matches!(end, End::Whole(_)) };
    }
    match end {
        End::Broken(why) => return part(Reply::Broken(why)),
        End::TooLong => return part(Reply::TooLarge { limit: bytes_max }),
        End::Whole(trailers) => reply.pending |= trailers.is_some_and(|trailers| is_pending(&trailers)),
    }
    if text(&head.headers, "content-encoding").is_some_and(|coding| coding != "identity") {
        let why = "the reply is compressed, which wasn't asked for".to_owned();
        return Read { reply: Reply::Unreadable(why), whole: true };
    }
    reply.body = json_body(&head.headers, content);
    Read { reply: Reply::Http(reply), whole: true }
}

enum End {
    /// With trailers, where there are any.
    Whole(Option<HeaderMap>),
    TooLong,
    Broken(String),
}

async fn collect<B>(body: &mut B, limit: usize) -> (Bytes, End)
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    let mut content = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) if content.len() + data.len() > limit => return (content.freeze(), End::TooLong),
            Ok(Ok(data)) => content.extend_from_slice(&data),
            Ok(Err(frame)) => trailers = frame.into_trailers().ok().or(trailers),
            Err(error) => {
                let why = format!("the answer broke off: {}", with_sources(&error));
                return (content.freeze(), End::Broken(why));
            }
        }
    }
    (content.freeze(), End::Whole(trailers))
}

/// The body if it is said to be JSON, or nothing is said and it is. What is said to be JSON and isn't stays in: reading it
/// fails, and the outcome is unknown.
fn json_body(headers: &HeaderMap, content: Bytes) -> Option<Bytes> {
    if content.is_empty() {
        return None;
    }
    let is_json = match text(headers, "content-type") {
        Some(said) => is_json_type(&said),
        None => serde_json::from_slice::<serde::de::IgnoredAny>(&content).is_ok(),
    };
    is_json.then_some(content)
}

fn is_json_type(said: &str) -> bool {
    let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

fn is_pending(headers: &HeaderMap) -> bool {
    headers.get("amends-outcome").is_some_and(|outcome| outcome == "pending")
}

fn is_reason(reason: &str) -> bool {
    (1..=63).contains(&reason.len())
        && reason.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// In seconds, or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let said = text(headers, "retry-after")?;
    if let Ok(seconds) = said.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(&said).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(until.saturating_sub(Duration::from_millis(now.0)))
}

/// What a failure says of itself: the status' usual words, and title and detail of an RFC 9457 problem. No other body is kept:
/// it may hold what the customer sent.
fn said(reason: Option<&str>, headers: &HeaderMap, content: &[u8]) -> String {
    let is_problem = text(headers, "content-type").is_some_and(|said| said.starts_with("application/problem+json"));
    let problem: Option<serde_json::Value> = is_problem.then(|| serde_json::from_slice(content).ok()).flatten();
    let field = |name| problem.as_ref().and_then(|problem| problem.get(name)).and_then(serde_json::Value::as_str);
    let parts = [reason, field("title"), field("detail")];
    let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).map(one_line).collect();
    parts.join(": ")
}

fn one_line(text: &str) -> String {
    text.chars().map(|found| if found.is_control() { ' ' } else { found }).take(SAID_MAX).collect()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let hint = |value| retry_after(&of(&[("retry-after", value)]), Timestamp(1_445_412_480_000 - 5_000));
        assert_eq!(hint("120"), Some(Duration::from_secs(120)));
        assert_eq!(hint("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(5)));
        assert_eq!(hint("Wed, 21 Oct 2009 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(hint("-1"), None);
        assert_eq!(hint("soon"), None);
    }

    #[test]
    fn only_json_is_a_body() {
        let body = |said: Option<&'static str>, content: &'static str| {
            let headers = said.map_or_else(HeaderMap::new, |said| of(&[("content-type", said)]));
            json_body(&headers, Bytes::from_static(content.as_bytes())).is_some()
        };
        for said in ["application/json", "Application/JSON; charset=utf-8", "application/hal+json", "text/json"] {
            assert!(body(Some(said), "{}") && body(Some(said), "not JSON, which reading finds"), "{said}");
        }
        assert!(
            body(None, "{}")
                && !body(None, "ok")
                && !body(Some("text/html"), "{}")
                && !body(Some("application/json"), "")
        );
    }

    #[test]
    fn a_failure_is_told_in_one_line_and_without_its_body() {
        let problem = of(&[("content-type", "application/problem+json")]);
        let content = br#"{"title":"out\nof stock","detail":"only 3 left","card":"4711"}"#;
        assert_eq!(said(Some("Conflict"), &problem, content), "Conflict: out of stock: only 3 left");
        assert_eq!(said(Some("Conflict"), &of(&[("content-type", "application/json")]), content), "Conflict");
        assert_eq!(said(None, &problem, b"{"), "");
    }
}
