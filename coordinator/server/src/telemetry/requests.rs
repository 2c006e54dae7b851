//! Counts the API's requests, by method and status code, from whichever listener they come.
//!
//! A request that another node sent on was counted there. Invariants: a request is counted once, when its answer has gone out whole or
//! was given up; a path that is no method of ours is `other`, so that nobody can make series by asking for them.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use amends_runtime::telemetry::{Counter, Timing, names};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use prometheus_client::registry::Registry;
use prost_reflect::DescriptorPool;
use tonic::{Code, Status};

use crate::grpc::FORWARDED;

/// What a path is called that is no method of the API: health, reflection, mistakes.
const OTHER: &str = "other";

/// The counters. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    /// By path.
    methods: Arc<BTreeMap<String, String>>,
    total: Counter,
    duration: Timing,
}

impl Requests {
    pub(super) fn new() -> Self {
        let pool = DescriptorPool::decode(amends_proto::FILE_DESCRIPTOR_SET).unwrap_or_default();
        let services = pool.services().filter(|service| service.full_name().starts_with("amends.v1."));
        let methods = services.flat_map(|service| {
            let path = |name: &str| format!("/{}/{name}", service.full_name());
            let word = |name: &str| format!("{}/{name}", service.name());
            service.methods().map(|rpc| (path(rpc.name()), word(rpc.name()))).collect::<Vec<_>>()
        });
        let methods: BTreeMap<String, String> = methods.collect();
        let total = Counter::new(names::REQUESTS, &[]);
        // There from the start, so that the first refusal is a rise from 0.
        for method in methods.values() {
            for code in ["OK", "INVALID_ARGUMENT", "UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED"] {
                total.add(&[method, code], 0);
            }
        }
        Self { methods: Arc::new(methods), total, duration: Timing::new(names::REQUEST_DURATION, &[]) }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        self.total.register(registry);
        self.duration.register(registry);
    }

    fn method(&self, path: &str) -> &str {
        self.methods.get(path).map_or(OTHER, String::as_str)
    }
}

/// Counts a request.
pub(crate) async fn count<A>(requests: &Requests, request: Request, next: impl FnOnce(Request) -> A) -> Response
where
    A: Future<Output = Response>,
{
    if request.headers().contains_key(FORWARDED) {
        return next(request).await;
    }
    let method = requests.method(request.uri().path()).to_owned();
    let mut counted = Counted { requests: requests.clone(), method, begun: Instant::now(), code: None };
    let response = next(request).await;
    counted.look(response.headers());
    response.map(|body| Body::new(CountedBody { body, counted }))
}

/// One request under way; counted when it is dropped.
struct Counted {
    requests: Requests,
    method: String,
    begun: Instant,
    /// `None` until the answer has said it: what is given up before has none.
    code: Option<Code>,
}

impl Counted {
    fn look(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.code = Some(status.code());
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let code = code_word(self.code.unwrap_or(Code::Cancelled));
        self.requests.total.one(&[&self.method, code]);
        self.requests.duration.observe(&[&self.method], self.begun.elapsed().as_secs_f64());
    }
}

/// An answer whose end is waited for: there its status is.
struct CountedBody {
    body: Body,
    counted: Counted,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            this.counted.look(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

fn code_word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_methods_of_the_api_have_series() {
        let requests = Requests::new();
        assert_eq!(requests.method("/amends.v1.Sagas/Start"), "Sagas/Start");
        assert_eq!(requests.method("/amends.v1.Sagas/Stop"), OTHER);
        assert_eq!(requests.method("/grpc.health.v1.Health/Check"), OTHER);
    }
}
