//! Coming in and going out.
//!
//! A token is tried on the spot by the code that checks every request, and then kept in a cookie. Invariant: the page never shows a
//! token back, and leads nowhere but to the console.

use askama::Template;
use axum::http::header::{AUTHORIZATION, HeaderValue, SET_COOKIE};
use axum::http::uri::Uri;
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::form::Posted;
use super::session::{Cookie, random};
use super::trouble::Trouble;
use super::visitor::{Shell, Visitor};
use super::{Section, render, see};

/// Longest token that fits into a cookie of every browser, with its name.
const TOKEN_BYTES_MAX: usize = 3800;
const NAME_BYTES_MAX: usize = 128;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    shell: Shell,
    next: String,
    problem: String,
}

/// The login form; `to`: where it leads afterwards.
pub(super) fn form(visitor: &Visitor, to: &Uri, problem: &str) -> Response {
    let next = to.path_and_query().map_or("/console", |to| to.as_str());
    shown(visitor, next, problem)
}

fn shown(visitor: &Visitor, next: &str, problem: &str) -> Response {
    let title = if visitor.console.auth.is_on() { "Log in" } else { "Who are you?" };
    let shell = visitor.shell(Section::None, title);
    let page = LoginPage { shell, next: within(next).to_owned(), problem: problem.to_owned() };
    render(&page).unwrap_or_else(|trouble| trouble.into_response())
}

pub(super) async fn page(visitor: Visitor) -> Response {
    shown(&visitor, "/console", "")
}

/// Takes a token, or, where nobody is asked, a name.
pub(super) async fn enter(visitor: Visitor, posted: Posted) -> Result<Response, Trouble> {
    let next = within(posted.text("next"));
    let (cookie, value) = match visitor.console.auth.is_on() {
        true => (Cookie::Token, posted.text("token")),
        false => (Cookie::Name, posted.text("name")),
    };
    let problem = match cookie {
        Cookie::Token => unusable_token(&visitor, value).await,
        _ => unusable_name(value),
    };
    if let Some(problem) = problem {
        let mut response = shown(&visitor, next, &problem);
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(response);
    }
    // A token for forms that somebody may have learned before is worth nothing afterwards.
    Ok(with(see(next), &visitor, [(cookie, Some(value)), (Cookie::Csrf, Some(&random()))]))
}

/// Forgets who somebody is.
pub(super) async fn leave(visitor: Visitor, _: Posted) -> Response {
    with(see("/console/login"), &visitor, [(Cookie::Token, None), (Cookie::Name, None)])
}

fn with(mut response: Response, visitor: &Visitor, cookies: [(Cookie, Option<&str>); 2]) -> Response {
    for (cookie, value) in cookies {
        if let Some(header) = cookie.set(value, visitor.console.is_tls) {
            response.headers_mut().append(SET_COOKIE, header);
        }
    }
    response
}

async fn unusable_token(visitor: &Visitor, token: &str) -> Option<String> {
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        return Some(format!("Paste a token of 1 to {TOKEN_BYTES_MAX} characters."));
    }
    let Ok(header) = HeaderValue::from_str(&format!("Bearer {token}")) else {
        return Some("That isn't a token: it has characters that none has.".to_owned());
    };
    let mut headers = HeaderMap::from_iter([(AUTHORIZATION, header)]);
    let found = visitor.console.auth.identify("/console/login", &mut headers, &Extensions::new()).await;
    found.err().map(|refusal| format!("{}.", tonic::Status::from(refusal).message()))
}

fn unusable_name(name: &str) -> Option<String> {
    let is_usable =
        (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    (!is_usable).then(|| format!("Write a name of 1 to {NAME_BYTES_MAX} printable ASCII characters."))
}

/// A path of the console, else its home: nobody is led elsewhere.
fn within(next: &str) -> &str {
    let is_ours = next == "/console" || next.starts_with("/console/") || next.starts_with("/console?");
    if is_ours && !next.contains('\\') && !next.starts_with("/console/login") { next } else { "/console" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_only_into_the_console() {
        for inside in ["/console", "/console/sagas?status=stuck", "/console?namespace=shop"] {
            assert_eq!(within(inside), inside);
        }
        for outside in
            ["//evil.example", "https://evil.example", "/consolex", "/", "", "/console/\\evil", "/console/login"]
        {
            assert_eq!(within(outside), "/console", "{outside}");
        }
    }
}
