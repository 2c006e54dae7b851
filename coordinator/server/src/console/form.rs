//! What somebody sent with a form.
//!
//! Invariant: a handler gets the fields of a form only after its token was compared with the cookie's, which no other site can read
//! or send.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use subtle::ConstantTimeEq as _;

use super::session::Cookie;
use super::trouble::Trouble;
use super::visitor::Visitor;

/// Largest form: a reply that an operator states, and some more.
const BYTES_MAX: usize = 1024 * 1024;
const TIME_MAX: Duration = Duration::from_secs(30);

/// The fields of a form, in its order.
#[derive(Debug)]
pub(super) struct Posted {
    fields: Vec<(String, String)>,
}

impl Posted {
    /// A field without the blanks around it; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }

    /// A number; 0 where there is none.
    pub(super) fn number(&self, name: &str) -> Result<u64, Trouble> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(0);
        }
        text.parse().map_err(|_| Trouble::invalid(&format!("{name}: write a whole number")))
    }

    /// Why somebody does something: always to be said.
    pub(super) fn reason(&self) -> Result<String, Trouble> {
        match self.text("reason") {
            "" => Err(Trouble::invalid("reason: say why, for the history and the audit log")),
            reason => Ok(reason.to_owned()),
        }
    }
}

impl<S: Sync> FromRequest<S> for Posted {
    type Rejection = Trouble;

    async fn from_request(request: Request, _: &S) -> Result<Self, Trouble> {
        let (head, body) = request.into_parts();
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(Trouble::invalid("that isn't a form of this console"));
        }
        let is_tls = head.extensions.get::<Visitor>().is_some_and(|visitor| visitor.console.is_tls);
        let cookie = Cookie::Csrf.read(&head.headers, is_tls).unwrap_or_default();
        let read = tokio::time::timeout(TIME_MAX, Limited::new(body, BYTES_MAX).collect()).await;
        let bytes: Bytes = match read {
            Ok(Ok(read)) => read.to_bytes(),
            Ok(Err(_)) | Err(_) => return Err(Trouble::invalid("the form broke off, or is over the limit of 1 MiB")),
        };
        let fields: Vec<(String, String)> = form_urlencoded::parse(&bytes).into_owned().collect();
        let posted = Self { fields };
        let is_ours = !cookie.is_empty() && bool::from(posted.text("csrf").as_bytes().ct_eq(cookie.as_bytes()));
        if is_ours || crate::planted::is("console_csrf_unchecked") {
            Ok(posted)
        } else {
            Err(Trouble::forged("the form doesn't carry the token of this session"))
        }
    }
}
