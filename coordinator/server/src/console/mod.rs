//! The console: pages about sagas for people, under `/console` of the HTTP listener, rendered here.
//!
//! ```text
//!   session  who asks: token or name in a cookie ─► the same Auth as every request; what every answer carries (CSP …)
//!      └─► one file a page: home, sagas, saga …     ask the services, fill a template, done
//!            visitor   ask(METHOD, message): in-process calls as the person who looks; may(…); shell(…) for the layout
//!            form      Posted: the only way to a form's fields, past Origin and CSRF token
//!            trouble   what a service refused, as a page that says what to do
//!            text      times, statuses and counts as people read them;   assets   one style sheet, one script
//! ```
//!
//! **A page** is a function `async fn page(visitor: Visitor, …) -> Result<Response, Trouble>`: it asks services through
//! `visitor.ask(method::SAGAS_GET, message).await?` (a refusal becomes an error page by the `?`), and ends with
//! `render(&Template { shell: visitor.shell(Section::Sagas, "title"), … })`. Its template, in `templates/`, begins with
//! `{% extends "layout.html" %}` and fills `{% block main %}`. Links within the console are made by `shell.link("/sagas?…")`, which
//! keeps the namespace. It adds its route in `routes()` below, and its link in `Section`.
//!
//! **What moves**: whatever stands in `<div id="live" data-refresh="5">` is fetched again every so many seconds and exchanged;
//! with `data-live="URL"` whenever that event stream says so. Forms stay outside of it, so that nobody loses what they type.
//!
//! **A verb** is a page of its own that shows what will be done, with a form: `<form method="post" …>{% include "csrf.html" %}`,
//! `reason` required, `revision` carried. Its handler takes `Posted` and answers with `see(…)`. It is shown only where
//! `visitor.may(METHOD, …)` says so; whether it is done is for the service to decide.
//!
//! **A test** gets a page with `client::get(&server, "/console/…")` and posts with `console::post` in `tests/it/console.rs`.
//!
//! It decides nothing about a saga and knows no store. Invariants: what a person sees and does here is what the same person could
//! see and do over gRPC, judged by the same gate; nothing is changed but by a POST that carries the page's own token from the
//! page's own origin; text of others is only ever shown as text, and no page needs a script or a style that isn't a file of ours.

mod assets;
mod audit;
mod batch;
mod batches;
mod change;
mod definition;
mod definitions;
mod filter;
mod form;
mod graph;
mod home;
mod login;
mod method;
mod participant;
mod participants;
mod query;
mod rates;
mod row;
mod saga;
mod sagas;
mod session;
mod text;
mod trouble;
mod visitor;

use std::sync::Arc;

use amends_runtime::telemetry::Telemetry;
use askama::Template;
use axum::Router;
use axum::http::header;
use axum::http::uri::PathAndQuery;
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::get;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Auth;
use crate::http::Calls;
pub(crate) use rates::Rates;
pub(crate) use session::lead;
use trouble::Trouble;

/// What the console works with.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) calls: Calls,
    pub(crate) auth: Auth,
    /// Whether the listener has TLS: then cookies are for TLS only.
    pub(crate) is_tls: bool,
    /// This node's name, for the footer.
    pub(crate) node: String,
    /// How this node has been doing.
    pub(crate) rates: Arc<Rates>,
    /// Cancelled when the server begins to stop.
    pub(crate) draining: CancellationToken,
    /// Requests under way, for which a stopping server waits.
    pub(crate) work: TaskTracker,
}

/// Keeps the rates until the server stops.
pub(crate) async fn keep(rates: Arc<Rates>, telemetry: Arc<Telemetry>, draining: CancellationToken) {
    loop {
        rates.take(telemetry.meters.totals());
        tokio::select! {
            biased;
            () = draining.cancelled() => return,
            () = tokio::time::sleep(rates::PERIOD) => {}
        }
    }
}

/// All pages. They ask by themselves who looks: behind no other gate.
pub(crate) fn router(console: Console) -> Router {
    let console = Arc::new(console);
    routes().layer(from_fn_with_state(console, session::admit))
}

fn routes() -> Router {
    Router::new()
        .route("/console", get(home::page))
        .route("/console/", get(|| async { Redirect::permanent("/console") }))
        .route("/console/sagas", get(sagas::page))
        .route("/console/sagas/plan", axum::routing::post(sagas::plan))
        .route("/console/login", get(login::page).post(login::enter))
        .route("/console/logout", axum::routing::post(login::leave))
        .route("/console/assets/{name}", get(assets::asset))
        .route("/console/{*rest}", get(nothing).post(nothing))
        .merge(saga::routes())
        .merge(definitions::routes())
        .merge(participants::routes())
        .merge(batches::routes())
        .merge(audit::routes())
}

/// The parts of the console, in the order of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Home,
    Sagas,
    Batches,
    Definitions,
    Participants,
    Audit,
    /// No part of the navigation: login, errors.
    None,
}

impl Section {
    /// Those with a link, the path below `/console`, and the key that goes there after `g`.
    const ALL: [(Self, &'static str, &'static str, char); 6] = [
        (Self::Home, "", "Home", 'h'),
        (Self::Sagas, "/sagas", "Sagas", 's'),
        (Self::Batches, "/batches", "Batches", 'b'),
        (Self::Definitions, "/definitions", "Definitions", 'd'),
        (Self::Participants, "/participants", "Participants", 'p'),
        (Self::Audit, "/audit", "Audit", 'a'),
    ];
}

async fn nothing() -> Trouble {
    Trouble::nowhere()
}

/// A filled template as an answer.
fn render(template: &impl Template) -> Result<Response, Trouble> {
    match template.render() {
        Ok(html) => Ok(Html(html).into_response()),
        Err(error) => Err(Trouble::broken(&error.to_string())),
    }
}

/// Where a browser goes on after a POST; `path` begins with `/console`.
fn see(path: &str) -> Response {
    // A path with anything that a header can't hold leads home.
    let path = path.parse::<PathAndQuery>().map_or_else(|_| "/console".to_owned(), |path| path.to_string());
    let mut response = Redirect::to("/console").into_response();
    if let Ok(path) = path.parse() {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}
