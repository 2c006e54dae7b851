//! What went wrong, as a page that says what to do.
//!
//! A handler gives a [`Trouble`] back; `session`, which knows who looks, makes the page of it. Invariant: the HTTP status is the one
//! that the API would answer with.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::visitor::{Shell, Visitor};
use super::{Section, render};

/// Why there is no page, or why nothing was done.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    http: StatusCode,
    title: String,
    message: String,
    advice: String,
    /// The reason of the API, for a search in the documentation.
    reason: String,
}

impl Trouble {
    /// No such page.
    pub(super) fn nowhere() -> Self {
        let advice = "Go to Home or Sagas above; the address may be mistyped or from another version.";
        Self::new(StatusCode::NOT_FOUND, "There is no such page", "", advice)
    }

    /// A mistake of ours.
    pub(super) fn broken(what: &str) -> Self {
        tracing::error!(what, "a page of the console can't be rendered");
        let advice = "This is a mistake in Amends. Use the command line meanwhile, and report it.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The page can't be shown", what, advice)
    }

    /// A form or an address that can't be taken.
    pub(super) fn invalid(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "That can't be taken", message, "Nothing was changed. Go back and mend it.")
    }

    /// A POST that doesn't come from a page of ours.
    pub(super) fn forged(message: &str) -> Self {
        let advice = "Nothing was changed. Open the page again, and send the form from there.";
        Self::new(StatusCode::FORBIDDEN, "Not sent from this console", message, advice)
    }

    /// What somebody's roles don't let them do.
    pub(super) fn not_for(what: &str) -> Self {
        let advice = "Nothing was changed. Somebody with the role operator or admin can do it, or grant it to you in the access file.";
        Self::new(StatusCode::FORBIDDEN, "Not allowed", &format!("{what} isn't for your roles"), advice)
    }

    fn new(http: StatusCode, title: &str, message: &str, advice: &str) -> Self {
        Self {
            http,
            title: title.to_owned(),
            message: message.to_owned(),
            advice: advice.to_owned(),
            reason: String::new(),
        }
    }

    /// The page.
    pub(super) fn page(self, visitor: &Visitor) -> Response {
        let Self { http, title, message, advice, reason } = self;
        let shell = visitor.shell(Section::None, title);
        let page = ErrorPage { shell, message, advice, reason };
        let mut response = render(&page).unwrap_or_else(|_| "the page can't be shown\n".into_response());
        *response.status_mut() = http;
        response
    }
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
        let mut message = status.message().to_owned();
        for violation in details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default() {
            if !message.contains(&violation.description) {
                message.push_str(&format!("; {}: {}", violation.field, violation.description));
            }
        }
        let (title, advice) = words(status.code());
        Self {
            http: crate::http::http_status(status.code()),
            title: title.to_owned(),
            message,
            advice: advice.to_owned(),
            reason,
        }
    }
}

/// A title, and what somebody can do.
fn words(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::NotFound => (
            "Not found",
            "Check id and namespace (top right). What has ended is kept for the retention only; what you aren't granted is answered \
             like what doesn't exist.",
        ),
        Code::InvalidArgument | Code::OutOfRange => {
            ("That can't be taken", "Nothing was changed. Go back and mend it.")
        }
        Code::PermissionDenied => (
            "Not allowed",
            "Nothing was changed. Somebody with the role named here can do it, or grant it to you in the access file.",
        ),
        Code::Unauthenticated => ("Log in", "Your token isn't known or has expired. Log in with another one."),
        Code::FailedPrecondition => (
            "It makes no sense as things stand",
            "Nothing was changed. Look at it again: what it says above each verb is what can be done now.",
        ),
        Code::Aborted => (
            "It has moved since you looked",
            "Nothing was changed. Open it again: if it still needs you, decide by what it shows now.",
        ),
        Code::AlreadyExists => ("It is there already", "Nothing was changed."),
        Code::Unavailable | Code::ResourceExhausted => (
            "Not now",
            "Try again in a moment. If it lasts: `amends doctor` says how store and nodes stand, and docs/guide-operator.md what to do.",
        ),
        Code::DeadlineExceeded => {
            ("No answer in time", "What was asked for may still happen: look at it again before you repeat anything.")
        }
        Code::Unimplemented => ("Not there", "This server doesn't have it; another version may."),
        Code::DataLoss => ("The record can't be read", "docs/guide-operator.md says what to do with a damaged record."),
        Code::Ok | Code::Cancelled | Code::Unknown | Code::Internal => {
            ("Something is broken", "The server's log says more. Report it if it lasts.")
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let mut response = self.http.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    shell: Shell,
    message: String,
    advice: String,
    reason: String,
}
