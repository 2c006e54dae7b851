//! What stands behind the `?` of an address.
//!
//! Reads, and judges nothing. Invariant: a parameter that isn't there is an empty text, as in a form that nobody filled in.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::text::escaped;

/// The parameters of an address, in its order.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// What stands behind the `?`.
    pub(super) fn read(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// A parameter without the blanks around it; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }

    /// A number; 0 where there is none, or something else.
    pub(super) fn number(&self, name: &str) -> u32 {
        self.text(name).parse().unwrap_or(0)
    }

    /// These of its parameters that are given, and one more, as they stand in an address.
    pub(super) fn with(&self, kept: &[&str], (name, value): (&str, &str)) -> String {
        let given = kept.iter().map(|name| (*name, self.text(name))).filter(|(_, value)| !value.is_empty());
        let pairs = given.chain([(name, value)]).map(|(name, value)| format!("{name}={}", escaped(value)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_on_keeps_the_filters() {
        let query = Query::read("who=+a%26b+&other=x");
        assert_eq!((query.text("who"), query.text("none"), query.number("other")), ("a&b", "", 0));
        assert_eq!(query.with(&["who", "none"], ("page_token", "t=")), "who=a%26b&page_token=t%3D");
    }
}
