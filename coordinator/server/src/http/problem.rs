//! What an error looks like over HTTP: the one way from a gRPC status to an HTTP answer.
//!
//! The body is `google.rpc.Status` as JSON, the same code, message and details that a gRPC caller gets. Invariant: whatever
//! says in its details when to try again says so in `Retry-After` too.

use std::collections::{BTreeMap, HashMap};

use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::json::Misfit;
use crate::grpc::DOMAIN;

/// An answer that says why there is no other.
#[derive(Debug)]
pub(super) struct Problem {
    http: StatusCode,
    status: Box<Status>,
    allow: Vec<Method>,
}

impl Problem {
    /// One that only HTTP has.
    pub(super) fn new(http: StatusCode, code: Code, reason: &str, message: String) -> Self {
        let details = self::reason(reason);
        Self { http, status: Box::new(Status::with_error_details(code, message, details)), allow: Vec::new() }
    }

    /// The path is there, but not for this method.
    pub(super) fn other_methods(allow: Vec<Method>, message: String) -> Self {
        Self { allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, "NO_SUCH_METHOD", message) }
    }

    /// A part of the request that can't be taken.
    pub(super) fn invalid(field: &str, problem: &str) -> Self {
        Misfit { field: field.to_owned(), problem: problem.to_owned(), place: None }.into()
    }

    /// The body as it goes out, for where the head of the answer is out already.
    pub(super) fn body(&self) -> String {
        shown(&self.status).to_string()
    }
}

impl From<Misfit> for Problem {
    fn from(misfit: Misfit) -> Self {
        let message = misfit.to_string();
        let mut details = reason("INVALID");
        details.set_bad_request(vec![FieldViolation::new(misfit.field, misfit.problem)]);
        Status::with_error_details(Code::InvalidArgument, message, details).into()
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        Self { http: http_status(status.code()), status: Box::new(status), allow: Vec::new() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.http, [(CONTENT_TYPE, "application/json")], self.body()).into_response();
        let delay = self.status.get_error_details().retry_info().and_then(|info| info.retry_delay);
        if let Some(delay) = delay {
            // Whole seconds, rounded up: never earlier than asked for.
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.http == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let allow = self.allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        if !allow.is_empty()
            && let Ok(allow) = HeaderValue::from_str(&allow)
        {
            response.headers_mut().insert(ALLOW, allow);
        }
        response
    }
}

/// The details of an error with this reason.
pub(super) fn reason(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

/// The usual mapping of gRPC's codes.
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // HTTP itself doesn't know 499, "the client went away"; the usual mapping does.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A status as proto3 JSON of `google.rpc.Status`.
fn shown(status: &Status) -> Value {
    let found = status.get_error_details();
    let mut details = Vec::new();
    if let Some(info) = found.error_info() {
        // In the order of the names, so that the same error is the same text.
        let metadata: BTreeMap<_, _> = info.metadata.iter().collect();
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": info.reason, "domain": info.domain, "metadata": metadata,
        }));
    }
    if let Some(delay) = found.retry_info().and_then(|info| info.retry_delay) {
        let delay = format!("{}s", delay.as_secs_f64());
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }));
    }
    if let Some(bad) = found.bad_request() {
        let violation = |it: &FieldViolation| json!({ "field": it.field, "description": it.description });
        let violations: Vec<Value> = bad.field_violations.iter().map(violation).collect();
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations }));
    }
    json!({ "code": i32::from(status.code()), "message": status.message(), "details": details })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_retry_delay_is_in_the_header_and_the_body() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(1500)));
        let problem = Problem::from(Status::with_error_details(Code::Unavailable, "stopping", details));
        assert!(problem.body().contains(r#""retryDelay":"1.5s""#), "{}", problem.body());
        let response = problem.into_response();
        assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (503, &HeaderValue::from(2)));
    }

    #[test]
    fn every_code_has_its_http_status() {
        let expected = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
        for (number, expected) in (0..).zip(expected) {
            assert_eq!(http_status(Code::from(number)).as_u16(), expected, "{number}");
        }
    }
}
