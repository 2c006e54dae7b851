//! Who is told of what, as the operator has set it. Pure.
//!
//! Invariant: the address's path and query, in which some receivers expect a token, are in no log, metric or error.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::participant::{Endpoint, InvalidEndpoint, SecretReference};
use crate::pattern::Pattern;

use super::event::EventType;

/// Where a webhook's messages go.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub endpoint: Endpoint,
    /// Path and query.
    pub path: String,
    /// What messages are signed with: each gives a signature.
    pub secrets: Vec<SecretReference>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Target {
    /// Reads `https://host[:port]/path`.
    ///
    /// # Errors
    /// When it is no such address. Nothing behind the host is shown.
    pub fn parse(url: &str, secrets: Vec<SecretReference>) -> Result<Self, InvalidEndpoint> {
        let url = url.trim();
        let host_at = url.find("://").map_or(0, |at| at + 3);
        let path_at = url[host_at..].find(['/', '?']).map_or(url.len(), |at| host_at + at);
        let (origin, path) = url.split_at(path_at);
        let endpoint = Endpoint::parse_http(origin)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if path.parse::<http::uri::PathAndQuery>().is_err() || path.contains('#') {
            return Err(InvalidEndpoint::NotAnAddress { given: origin.to_owned() });
        }
        Ok(Self { endpoint, path, secrets })
    }
}

/// One webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name: in metrics, logs and its records in the store.
    pub name: String,
    /// Where messages go.
    pub target: Target,
    /// What it is told of.
    pub events: BTreeSet<EventType>,
    /// Of sagas of which definitions.
    pub definitions: Vec<Pattern>,
    /// In which namespaces.
    pub namespaces: Vec<Pattern>,
}

impl Webhook {
    /// Whether it is told of this, about a saga.
    pub(crate) fn wants(&self, event: EventType, namespace: &str, definition: &str) -> bool {
        self.events.contains(&event)
            && self.namespaces.iter().any(|pattern| pattern.matches(namespace))
            && self.definitions.iter().any(|pattern| pattern.matches(definition))
    }
}

/// All that the operator has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who is told.
    pub webhooks: Vec<Webhook>,
    /// Where people reach the console, as `https://host`; `None`: messages have no link.
    pub console_url: Option<String>,
    /// How long a message is tried before it is dropped.
    pub keep: Duration,
    /// How many newer messages of its shard there may be before it is dropped.
    pub keep_entries: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_path_and_shows_none_of_it() {
        let read = |text: &str| Target::parse(text, Vec::new());
        for (text, endpoint, path) in [
            ("https://hooks.example/T0/s3cret?x=1", "https://hooks.example:443", "/T0/s3cret?x=1"),
            ("http://127.0.0.1:9/", "http://127.0.0.1:9", "/"),
            ("https://a", "https://a:443", "/"),
            ("https://a?key=s3cret", "https://a:443", "/?key=s3cret"),
        ] {
            let target = read(text).unwrap();
            assert_eq!((target.endpoint.as_str(), target.path.as_str()), (endpoint, path));
            assert!(!format!("{target:?}").contains("s3cret"));
        }
        for text in
            ["", "hooks.example/x", "ftp://a/s3cret", "https://u:p@a/s3cret", "https://a/s3cret x", "https://a/#s3cret"]
        {
            let error = read(text).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
