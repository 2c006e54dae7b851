//! The pages about the process: is it alive, is it ready, which version is it, what else is there.
//!
//! They change nothing and show nothing of any saga. Invariant: the list on `/` is made from the routes themselves.

use std::fmt::Write as _;
use std::net::SocketAddr;

use amends_store::Severity;
use amends_tls::Keeper;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use tokio::sync::watch;

use super::routes::Table;
use crate::health::Readiness;
use crate::tls::findings;

/// What the pages show.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) grpc: SocketAddr,
    pub(crate) readiness: watch::Receiver<Readiness>,
    /// Who looks after certificates.
    pub(crate) keeper: Keeper,
}

/// The list of all there is, for people.
pub(super) fn index(pages: &Pages, table: &Table) -> String {
    let mut text = format!(
        "Amends {}\n\n/healthz        the process is alive\n/readyz         it takes requests\n/version        name and \
         version, as JSON\n/metrics        for Prometheus, unless it has a listener of its own\n/openapi.json   the API below, as \
         OpenAPI 3.1\n\n\
         The API is gRPC, on {}: package amends.v1, with server reflection and health.\n\
         The same methods as JSON, here; each also under /v1/namespaces/{{namespace}}/ :\n\n",
        env!("CARGO_PKG_VERSION"),
        pages.grpc
    );
    for route in table.main_routes() {
        // A string takes all that is written to it.
        let _ = writeln!(text, "{:<5}{:<48}{}", route.verb.as_str(), route.template.to_string(), route.rpc.full_name());
    }
    text
}

/// Whether requests are taken, and what is wrong with certificates: that alone is no reason to send requests elsewhere, since the
/// ones before are still in use, and other nodes mostly have the same.
pub(super) async fn ready(State(pages): State<Pages>) -> (StatusCode, String) {
    let (status, word) = is_ready(&pages);
    let findings = findings(&pages.keeper.standing());
    let wrong = findings.iter().filter(|finding| finding.severity != Severity::Info);
    (status, wrong.fold(word.to_owned(), |text, finding| text + &finding.message + "\n"))
}

fn is_ready(pages: &Pages) -> (StatusCode, &'static str) {
    match *pages.readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ready\n"),
        Readiness::NoStore => (StatusCode::SERVICE_UNAVAILABLE, "the store doesn't answer\n"),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

/// Name and version.
pub(super) async fn version() -> impl IntoResponse {
    json(concat!("{\"name\":\"amends\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}\n"))
}

/// An answer that is JSON already.
pub(super) fn json(body: impl IntoResponse) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], body)
}
