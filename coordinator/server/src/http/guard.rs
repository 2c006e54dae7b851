//! What every request to the HTTP listener passes first, and what every answer carries.
//!
//! On loopback without TLS, being on this machine is what protects the API. Invariants: there a request is answered only
//! if its `Host` is a name of this machine's loopback, so that a web page elsewhere can't reach it through a name that it
//! controls (DNS rebinding; over TLS such a name has no certificate); a request that a browser sends for another site's page is refused, whatever its method; an
//! answer is never read as another type than it has, and no other site's page may read it (there is no CORS).

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HOST, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tonic::Code;

use super::problem::Problem;

/// Largest target and header list of a request, as for gRPC.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How the listener is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guard {
    /// Over TLS.
    pub(crate) is_tls: bool,
    /// From this machine only.
    pub(crate) is_local: bool,
}

/// Refuses what may not come in, and marks what goes out.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match check(guard, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused,
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn check(guard: Guard, request: &Request) -> Result<(), Response> {
    let in_header = request.headers().get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse().ok());
    let host: Option<Authority> = request.uri().authority().cloned().or(in_header);
    let is_any_name = guard.is_tls || !guard.is_local;
    let Some(host) = host.filter(|host| is_any_name || is_loopback_name(host.host())) else {
        let mend = "only for this machine: use http://127.0.0.1 or http://localhost\n";
        return Err((StatusCode::MISDIRECTED_REQUEST, mend).into_response());
    };
    if is_of_another_site(guard, request.headers(), &host) {
        let message = "a web page of another site asked for this; the API is for programs".to_owned();
        let problem = Problem::new(StatusCode::FORBIDDEN, Code::PermissionDenied, "CROSS_SITE", message);
        return Err(problem.into_response());
    }
    let head: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if head.max(target) > HEAD_BYTES_MAX {
        let (status, what) = match target > HEAD_BYTES_MAX {
            true => (StatusCode::URI_TOO_LONG, "path and query are"),
            false => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are"),
        };
        let message = format!("{what} over the limit of {HEAD_BYTES_MAX} bytes");
        return Err(Problem::new(status, Code::InvalidArgument, "HEAD_TOO_LARGE", message).into_response());
    }
    Ok(())
}

/// Programs send neither header; a browser can't leave them out or write them itself.
fn is_of_another_site(guard: Guard, headers: &HeaderMap, host: &Authority) -> bool {
    let scheme = if guard.is_tls { "https://" } else { "http://" };
    let is_ours = |origin: &HeaderValue| {
        let authority = origin.to_str().ok().and_then(|origin| origin.strip_prefix(scheme));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
    };
    headers.get(ORIGIN).is_some_and(|origin| !is_ours(origin))
        || headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

fn is_loopback_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in ["localhost.example.com", "10.0.0.1", "127.0.0.1.example.com", "[::2]", "", "0.0.0.0"] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }

    #[test]
    fn only_its_own_pages_may_ask() {
        let host = Authority::from_static("localhost:7480");
        let foreign = |name, value| {
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            is_of_another_site(Guard { is_tls: false, is_local: true }, &headers, &host)
        };
        let site = axum::http::HeaderName::from_static("sec-fetch-site");
        assert!(!is_of_another_site(Guard { is_tls: false, is_local: true }, &HeaderMap::new(), &host));
        assert!(!foreign(ORIGIN, "http://localhost:7480") && !foreign(site.clone(), "same-origin"));
        for origin in ["http://localhost:3000", "https://shop.example", "null", "http://localhost:7480.shop.example"] {
            assert!(foreign(ORIGIN, origin), "{origin}");
        }
        assert!(foreign(site.clone(), "cross-site") && foreign(site, "same-site"));
    }
}
