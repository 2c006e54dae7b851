//! HTTP operations: what a team writes instead of `call:`, and the request that comes of it.
//!
//! ```yaml
//! action: { http: "POST /orders/${input.order_id}/paid", headers: { x-shop: "${input.shop}" }, request: { … } }
//! ```
//!
//! `route.rs` is the request line, `headers.rs` the headers, `request.rs` the prepared request as it is stored and sent. No
//! host is written here: the participant's registration says where it is. Invariant: a value of a saga fills one place in a
//! request and can't become more path, another header, or another host.

mod headers;
mod request;
mod route;

pub(crate) use headers::{HEADERS_MAX, Refused, check_name, check_value, is_one_value};
pub use request::{HttpRequest, HttpRequestError};
pub(crate) use route::Route;

use crate::expression::variables::Variables;
use crate::expression::{EvaluateError, Expression};
use crate::template::Template;
use crate::tree::Key;

/// `http:` and `headers:` of an operation.
#[derive(Debug, Clone)]
pub(crate) struct HttpText {
    pub(crate) route: Route,
    pub(crate) headers: Vec<(Key, Template)>,
    /// Whether `request:` is written.
    pub(crate) has_body: bool,
}

impl HttpText {
    /// The path and the headers' values, which all become text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &Template> {
        std::iter::once(&self.route.path).chain(self.headers.iter().map(|(_, value)| value))
    }

    /// Every expression in route and headers, in the order of the text.
    pub(crate) fn expressions(&self) -> Vec<&Expression> {
        self.texts().flat_map(Template::expressions).collect()
    }

    /// The request for one saga; `body` is the template of its JSON.
    pub(crate) fn render(&self, body: &Template, variables: &Variables<'_>) -> Result<HttpRequest, EvaluateError> {
        let path = self.route.render(variables)?;
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        for (name, value) in &self.headers {
            headers.push((name.text.to_ascii_lowercase(), headers::render(&name.text, value, variables)?));
        }
        let body = if self.has_body { Some(body.render(variables)?.to_string().into()) } else { None };
        if body.is_some() && !headers.iter().any(|(name, _)| name == "content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        Ok(HttpRequest { method: self.route.method.to_owned(), path, headers, body })
    }
}
