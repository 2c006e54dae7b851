//! The HTTP listener: is it alive, is it ready, which version is it.
//!
//! It changes nothing and shows nothing of any saga. Invariant: a request is answered only if its `Host` is a name of this
//! machine's loopback, so that a web page elsewhere can't reach it through a name that it controls (DNS rebinding).

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

use crate::health::Readiness;

/// What the pages show.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) grpc: SocketAddr,
    pub(crate) readiness: watch::Receiver<Readiness>,
}

/// All pages.
pub(crate) fn router(pages: Pages) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/version", get(version))
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is no such page; / lists them all\n") })
        .layer(middleware::from_fn(refuse_other_hosts))
        .with_state(pages)
}

async fn index(State(pages): State<Pages>) -> String {
    format!(
        "Amends {}\n\n/healthz   the process is alive\n/readyz    it takes requests\n/version   name and version, as JSON\n\n\
         The API is gRPC, on {}: package amends.v1, with server reflection and health.\n",
        env!("CARGO_PKG_VERSION"),
        pages.grpc
    )
}

async fn ready(State(pages): State<Pages>) -> (StatusCode, &'static str) {
    match *pages.readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ready\n"),
        Readiness::NoStore => (StatusCode::SERVICE_UNAVAILABLE, "the store doesn't answer\n"),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

async fn version() -> impl IntoResponse {
    let body = concat!("{\"name\":\"amends\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}\n");
    ([(CONTENT_TYPE, "application/json")], body)
}

async fn refuse_other_hosts(request: Request, next: Next) -> Response {
    let in_header = request.headers().get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse().ok());
    let host: Option<Authority> = request.uri().authority().cloned().or(in_header);
    if host.is_some_and(|host| is_loopback_name(host.host())) {
        return next.run(request).await;
    }
    (StatusCode::MISDIRECTED_REQUEST, "only for this machine: use http://127.0.0.1 or http://localhost\n")
        .into_response()
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
}
