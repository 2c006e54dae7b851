//! The HTTP listener: the API as JSON, its description, and the pages about the process.
//!
//! ```text
//!   guard ─► pages                 is it alive, is it ready, which version, what is there
//!        └─► gateway ─► routes     which method a path means, read once from the annotations in the descriptors
//!                    ─► request    path, query, headers and body become the request message   (json: one place for JSON)
//!                    ─► call       the very services that gRPC serves, called in this process
//!                    ─► follow     streams as long polls and server-sent events;   problem: every error
//!   console (../console)          pages for people; it finds out by itself who looks
//!   openapi                        the same routes and comments as OpenAPI 3.1
//! ```
//!
//! Nothing in here knows a single method: a new one with an annotation is served and described by being there. Invariant: a
//! request means what the same request over gRPC means, with the same limits, checks and errors.

mod call;
mod follow;
mod gateway;
mod guard;
mod json;
mod openapi;
mod pages;
mod problem;
mod request;
mod routes;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use tonic::Status;

use crate::auth::{self, Auth};
use crate::console;
pub(crate) use call::Calls;
pub(crate) use gateway::{Gateway, from_peer, metadata};
pub(crate) use guard::Guard;
pub(crate) use pages::Pages;
use problem::Problem;
pub(crate) use problem::http_status;

/// An error as the listener answers it.
pub(crate) fn problem(status: Status) -> Response {
    Problem::from(status).into_response()
}

/// Everything that the listener serves; `beside`: more pages, behind the same guards; `console` asks by itself who looks.
pub(crate) fn router(
    pages: Pages,
    gateway: Gateway,
    beside: Router,
    console: Router,
    guard: Guard,
    auth: &Auth,
) -> Router {
    let index = pages::index(&pages, gateway.table());
    let description = openapi::describe(gateway.table()).to_string();
    Router::new()
        .route("/", get(move || async { index }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(pages::ready))
        .route("/version", get(pages::version))
        .with_state(pages)
        .route("/openapi.json", get(move || async { pages::json(description) }))
        .route("/v1", any(gateway::serve))
        .route("/v1/{*rest}", any(gateway::serve))
        .with_state(Arc::new(gateway))
        .merge(beside)
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is no such page; / lists them all\n") })
        .layer(middleware::from_fn_with_state(auth.clone(), auth::page))
        .merge(console)
        .layer(middleware::from_fn(console::lead))
        .layer(middleware::from_fn_with_state(guard, guard::guard))
}
