//! Who looks: found out for every request by the code that every request of the API passes.
//!
//! A cookie holds what a program would send in a header: the token, or, without authentication, a name for the history. Nothing is
//! remembered here. Invariants: the cookies are out of reach of scripts and of other sites (`HttpOnly`, `SameSite=Strict`; over TLS
//! `__Host-` and `Secure`); without a known caller only the login page and the style are shown; every answer carries the policy
//! that forbids scripts, styles and requests other than to our own files.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderValue, ORIGIN, REFERRER_POLICY, SET_COOKIE,
    X_FRAME_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use percent_encoding::percent_decode_str;

use super::text::escaped;
use super::trouble::Trouble;
use super::visitor::{DEFAULT, Theme, Visitor};
use super::{Console, login};
use crate::auth::Caller;
use crate::grpc::PRINCIPAL;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Not `no-referrer`: with it a browser says `Origin: null` when it sends a form, even to ourselves. To others it sends nothing.
const REFERRER: &str = "same-origin";

/// The cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cookie {
    /// The token.
    Token,
    /// What somebody calls themselves where nobody is asked.
    Name,
    /// What a form has to send back.
    Csrf,
}

impl Cookie {
    fn name(self, is_tls: bool) -> String {
        let name = match self {
            Self::Token => "amends-token",
            Self::Name => "amends-name",
            Self::Csrf => "amends-csrf",
        };
        if is_tls { format!("__Host-{name}") } else { name.to_owned() }
    }

    /// Its value in a request.
    pub(super) fn read(self, headers: &HeaderMap, is_tls: bool) -> Option<String> {
        cookie(headers, &self.name(is_tls))
    }

    /// The header that sets it until the browser is closed, or, with nothing, takes it away.
    pub(super) fn set(self, value: Option<&str>, is_tls: bool) -> Option<HeaderValue> {
        let (value, age) = value.map_or_else(|| (String::new(), "; Max-Age=0"), |value| (escaped(value), ""));
        let secure = if is_tls { "; Secure" } else { "" };
        let name = self.name(is_tls);
        HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}")).ok()
    }
}

/// Set by the page's script, which has to read it too; decides nothing but colours.
const THEME: &str = "amends-theme";

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let mut pairs = all.filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(given, value)| *given == name && !value.is_empty())?;
    percent_decode_str(value).decode_utf8().ok().map(|value| value.into_owned())
}

/// Leads a browser from `/` to the console; programs get the list of all there is.
pub(crate) async fn lead(request: Request, next: Next) -> Response {
    let wants_page = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|it| it.contains("text/html"));
    if request.uri().path() == "/" && request.method() == Method::GET && wants_page {
        return Redirect::to("/console").into_response();
    }
    next.run(request).await
}

/// Finds out who looks, shows them what they asked for, and marks what goes out.
pub(super) async fn admit(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    // A stopping server waits for what is under way.
    let _under_way = console.work.token();
    let fresh = Cookie::Csrf.read(request.headers(), console.is_tls).is_none();
    let (head, body) = request.into_parts();
    let (visitor, known) = visitor(&console, &head).await;
    let mut response = answer(&visitor, known, Request::from_parts(head, body), next).await;
    if let Some(trouble) = response.extensions_mut().remove::<Trouble>() {
        response = trouble.page(&visitor);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static(REFERRER));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    if fresh && let Some(cookie) = Cookie::Csrf.set(Some(&visitor.csrf), console.is_tls) {
        headers.append(SET_COOKIE, cookie);
    }
    response
}

async fn answer(visitor: &Visitor, known: Result<(), Trouble>, mut request: Request, next: Next) -> Response {
    let is_open = is_open(request.uri().path());
    if let (Err(trouble), false) = (known, is_open) {
        if request.method() == Method::GET {
            // In place, so that the address leads where it was meant to after the login.
            let mut response = login::form(visitor, request.uri(), "");
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            return response;
        }
        return trouble.into_response();
    }
    if request.method() == Method::POST
        && let Err(trouble) = is_from_here(request.headers())
    {
        return trouble.into_response();
    }
    if visitor.console.draining.is_cancelled() && !is_open {
        return Trouble::from(tonic::Status::unavailable("this node is stopping")).into_response();
    }
    request.extensions_mut().insert(visitor.clone());
    next.run(request).await
}

/// What is shown to anybody who can connect.
fn is_open(path: &str) -> bool {
    path == "/console/login" || path.starts_with("/console/assets/")
}

/// What changes something comes from a page of ours: a browser always says from where it sends a form.
fn is_from_here(headers: &HeaderMap) -> Result<(), Trouble> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let origin = text(ORIGIN);
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    match authority {
        // The guard has compared the scheme and, over HTTP/2, the authority.
        Some(_) if text(HOST).is_empty() => Ok(()),
        Some(authority) if authority.eq_ignore_ascii_case(text(HOST)) => Ok(()),
        Some(_) | None if crate::planted::is("console_origin_unchecked") => Ok(()),
        Some(_) | None => Err(Trouble::forged("the request doesn't say that it comes from a page of this console")),
    }
}

async fn visitor(console: &Arc<Console>, request: &Parts) -> (Visitor, Result<(), Trouble>) {
    let (path, is_tls) = (request.uri.path().to_owned(), console.is_tls);
    let mut headers = request.headers.clone();
    let token = Cookie::Token.read(&headers, is_tls);
    if let Some(token) = &token
        && let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}"))
    {
        headers.entry(AUTHORIZATION).or_insert(value);
    }
    if !console.auth.is_on()
        && let Some(name) = Cookie::Name.read(&headers, is_tls)
        && let Ok(value) = HeaderValue::from_str(&name)
    {
        headers.entry(PRINCIPAL).or_insert(value);
    }
    let metadata = crate::http::metadata(&headers);
    let found = console.auth.identify(&path, &mut headers, &request.extensions).await;
    let (caller, known) = match found {
        Ok(caller) => (caller, Ok(())),
        Err(refusal) => (Caller::known(String::new(), Arc::new([])), Err(Trouble::from(tonic::Status::from(refusal)))),
    };
    let visitor = Visitor {
        console: console.clone(),
        caller,
        namespace: namespace(request),
        metadata,
        peer: crate::http::from_peer(&request.extensions),
        csrf: Cookie::Csrf.read(&headers, is_tls).unwrap_or_else(random),
        theme: Theme::of(cookie(&headers, THEME).as_deref()),
        has_session: token.is_some(),
    };
    (visitor, known)
}

fn namespace(request: &Parts) -> String {
    let query = request.uri.query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let given = pairs.find(|(key, value)| key == "namespace" && !value.is_empty());
    given.map_or_else(|| DEFAULT.to_owned(), |(_, value)| value.trim().to_owned())
}

/// What nobody can guess.
pub(super) fn random() -> String {
    // Without random numbers no server starts: then a form can't be sent, which is the safe side.
    let secret = crate::auth::Secret::generate();
    // Without the mark of a token, which it isn't.
    secret.map(|secret| secret.token().trim_start_matches("amends_").to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let given = headers(&[("cookie", "xamends-token=1; amends-token=a%20b;amends-csrf=c")]);
        assert_eq!(Cookie::Token.read(&given, false).as_deref(), Some("a b"));
        assert_eq!(Cookie::Csrf.read(&given, false).as_deref(), Some("c"));
        assert_eq!(Cookie::Token.read(&given, true), None, "over TLS only what another host can't have set");
    }

    #[test]
    fn cookies_are_out_of_reach_of_scripts_and_sites() {
        let set = |is_tls| Cookie::Token.set(Some("a;b"), is_tls).unwrap().to_str().unwrap().to_owned();
        assert_eq!(set(false), "amends-token=a%3Bb; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(set(true), "__Host-amends-token=a%3Bb; Path=/; HttpOnly; SameSite=Strict; Secure");
    }

    #[test]
    fn only_a_page_of_ours_may_send_a_form() {
        let from = |origin| is_from_here(&headers(&[("host", "localhost:7480"), ("origin", origin)]));
        assert!(from("http://localhost:7480").is_ok());
        for origin in ["null", "http://localhost:3000", "http://localhost:7480.example", "localhost:7480", ""] {
            assert!(from(origin).is_err(), "{origin}");
        }
        assert!(is_from_here(&headers(&[("host", "localhost:7480")])).is_err());
    }
}
