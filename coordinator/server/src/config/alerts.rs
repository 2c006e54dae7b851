//! Webhooks in the configuration: who is told of what, and how messages are signed.
//!
//! Invariants: what stands behind the host of a webhook's address, which may be a token, is never written out again; a secret is
//! only ever named by a reference.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use amends_engine::ids::Namespace;
use amends_runtime::Pattern;
use amends_runtime::alerts::{EventType, Settings, Target, Webhook};
use amends_runtime::participant::{SIGNING_MAX, SecretReference};
use serde::{Deserialize, Serialize, Serializer};

use super::duration;

/// Most webhooks.
const WEBHOOKS_MAX: usize = 20;

/// Who is told what happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// Where people reach the console: what links begin with.
    pub console_url: Option<String>,
    /// How long a message is tried.
    #[serde(with = "duration")]
    pub keep: Duration,
    /// How many newer messages of its shard there may be before it is dropped.
    pub keep_entries: u64,
    /// Who is told.
    pub webhooks: Vec<WebhookConfig>,
}

/// One webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Its name, in metrics and logs.
    pub name: String,
    /// Where messages go.
    pub url: WebhookUrl,
    /// References to the secrets that they are signed with.
    pub secrets: Vec<String>,
    /// What it is told of.
    pub events: Vec<String>,
    /// Of sagas of which definitions.
    #[serde(default = "all")]
    pub definitions: Vec<Pattern>,
    /// In which namespaces.
    #[serde(default = "all")]
    pub namespaces: Vec<Pattern>,
}

/// An address that is never shown whole.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// This address.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(shown(&self.0))
    }
}

impl Serialize for WebhookUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(shown(&self.0))
    }
}

/// Without what stands behind the host; nothing of what is no address.
fn shown(url: &str) -> &str {
    let Some(host_at) = url.find("://").map(|at| at + 3) else { return "" };
    let end = url[host_at..].find(['/', '?', '#']).map_or(url.len(), |at| host_at + at);
    if url[..end].contains('@') { "" } else { &url[..end] }
}

fn all() -> Vec<Pattern> {
    vec![Pattern::new("*")]
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            console_url: None,
            keep: Duration::from_secs(7 * 24 * 3600),
            keep_entries: 100_000,
            webhooks: Vec::new(),
        }
    }
}

impl AlertsConfig {
    /// As the runtime takes them; the error says which option makes no sense, and the mend.
    pub(crate) fn settings(&self) -> Result<Settings, (String, String)> {
        if self.webhooks.len() > WEBHOOKS_MAX {
            return Err(("alerts.webhooks".to_owned(), format!("there are more than {WEBHOOKS_MAX}")));
        }
        let mut names = BTreeSet::new();
        let mut webhooks = Vec::new();
        for webhook in &self.webhooks {
            if !names.insert(&webhook.name) {
                let problem = format!("two webhooks are called {:?}; each needs a name of its own", webhook.name);
                return Err(("alerts.webhooks.name".to_owned(), problem));
            }
            webhooks.push(webhook.webhook()?);
        }
        let console_url = self.console_url.as_deref().map(console_url).transpose()?;
        Ok(Settings { webhooks, console_url, keep: self.keep, keep_entries: self.keep_entries })
    }
}

fn console_url(url: &str) -> Result<String, (String, String)> {
    let read: Option<http::Uri> = url.parse().ok();
    let is_web = read.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
    });
    if is_web {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    let problem = format!("{url:?} is not an address; write https://host, as people's browsers reach it");
    Err(("alerts.console_url".to_owned(), problem))
}

impl WebhookConfig {
    fn webhook(&self) -> Result<Webhook, (String, String)> {
        let refuse =
            |field: &str, problem: String| (format!("alerts.webhooks.{field}"), format!("{:?}: {problem}", self.name));
        if Namespace::parse(&self.name).is_err() {
            return Err(refuse("name", "use 1 to 128 of A-Z a-z 0-9 . _ -".to_owned()));
        }
        if self.secrets.is_empty() || self.secrets.len() > SIGNING_MAX {
            let problem =
                format!("name 1 to {SIGNING_MAX} secrets, as env:NAME or file:/path: messages are always signed");
            return Err(refuse("secrets", problem));
        }
        let secrets: Result<Vec<_>, _> = self.secrets.iter().map(|text| SecretReference::parse(text)).collect();
        let secrets = secrets.map_err(|error| refuse("secrets", error.to_string()))?;
        let target = Target::parse(&self.url.0, secrets).map_err(|error| refuse("url", error.to_string()))?;
        let known = || EventType::ALL.map(EventType::as_str).join(", ");
        let mut events = BTreeSet::new();
        for word in &self.events {
            let unknown = || refuse("events", format!("there is no event {word:?}; write some of {}", known()));
            events.insert(EventType::parse(word).ok_or_else(unknown)?);
        }
        if events.is_empty() {
            return Err(refuse("events", format!("write some of {}", known())));
        }
        for (field, patterns) in [("definitions", &self.definitions), ("namespaces", &self.namespaces)] {
            if patterns.is_empty() || !patterns.iter().all(Pattern::is_usable) {
                return Err(refuse(field, "write names, in which * stands for any characters".to_owned()));
            }
        }
        let (definitions, namespaces) = (self.definitions.clone(), self.namespaces.clone());
        Ok(Webhook { name: self.name.clone(), target, events, definitions, namespaces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let config: AlertsConfig = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let settings = config.settings().map_err(|(key, problem)| format!("{key}: {problem}"))?;
        let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
        Ok(settings)
    }

    fn webhook(more: &str) -> String {
        format!(
            r#"{{"webhooks": [{{"name": "pager", "url": "https://hooks.example/s3cret", "secrets": ["env:PAGER"],
                "events": ["saga.stuck"] {more}}}]}}"#
        )
    }

    #[test]
    fn a_webhook_hears_of_everything_unless_it_says_otherwise() {
        let settings = read(&webhook("")).unwrap();
        assert_eq!(settings.webhooks[0].target.path, "/s3cret");
        assert_eq!(settings.webhooks[0].definitions, all());
        let some = read(&webhook(r#", "definitions": ["pay-*"]"#)).unwrap();
        assert_eq!(some.webhooks[0].definitions, [Pattern::new("pay-*")]);
        assert_eq!(read("{}").unwrap().webhooks, []);
        let url = read(r#"{"console_url": "https://amends.example/"}"#).unwrap().console_url;
        assert_eq!(url.as_deref(), Some("https://amends.example"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_mend_and_no_token() {
        let with = |from: &str, to: &str| webhook("").replace(from, to);
        for (text, expected) in [
            (with("pager", "p ager"), "alerts.webhooks.name: \"p ager\": use 1 to 128"),
            (with("https://", "ftp://"), "alerts.webhooks.url: \"pager\": "),
            (with("hooks.example", "u:p@hooks.example"), "alerts.webhooks.url: "),
            (with("env:PAGER", "s3cret"), "write env:NAME"),
            (with("[\"env:PAGER\"]", "[]"), "messages are always signed"),
            (with("saga.stuck", "saga.struck"), "there is no event \"saga.struck\"; write some of saga.stuck,"),
            (with("[\"saga.stuck\"]", "[]"), "alerts.webhooks.events: "),
            (webhook(r#", "namespaces": ["a b"]"#), "alerts.webhooks.namespaces: "),
            (webhook(r#", "secret": "x""#), "unknown field"),
            (r#"{"console_url": "amends.example"}"#.to_owned(), "alerts.console_url: "),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("s3cret"), "{text}: {error}");
        }
        let two = webhook("").replace(
            "]}",
            r#"]}, {"name": "pager", "url": "https://b", "secrets": ["env:B"], "events": ["saga.ended"]}"#,
        );
        assert!(read(&two).is_err(), "two of one name");
    }
}
