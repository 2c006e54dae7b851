//! Who looks, and what a page asks for them.
//!
//! Made by `session` alone. Invariant: a call carries what the person brought (token, certificate, name), and is judged as theirs;
//! [`Visitor::may`] only decides what is worth showing.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use bytes::Bytes;
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status, Streaming};

use super::method::Method;
use super::text::escaped;
use super::{Console, Section};
use crate::auth::{Caller, Reach, permits};

/// The tenant where none is named.
pub(super) const DEFAULT: &str = "default";

/// Somebody with a browser.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) console: Arc<Console>,
    pub(super) caller: Caller,
    /// The tenant that the page is about.
    pub(super) namespace: String,
    /// What the person is known by, as metadata.
    pub(super) metadata: MetadataMap,
    /// Where the person comes from, as the gRPC listener would say it.
    pub(super) peer: tonic::Extensions,
    /// What a form has to send back.
    pub(super) csrf: String,
    pub(super) theme: Theme,
    /// Whether a token is in a cookie: then there is something to log out of.
    pub(super) has_session: bool,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Every route of the console is behind `session::admit`, which puts it there.
        #[expect(clippy::expect_used, reason = "a route outside of the console's router is a mistake in this program")]
        Ok(parts.extensions.get::<Self>().cloned().expect("the console's pages are behind its session"))
    }
}

impl Visitor {
    /// Calls a service in this process, as the person who looks.
    pub(super) async fn ask<Q: Message, A: Message + Default>(
        &self,
        method: Method<Q, A>,
        message: Q,
    ) -> Result<A, Status> {
        let bytes = self.console.calls.unary(PathAndQuery::from_static(method.path), self.request(&message)).await?;
        A::decode(bytes).map_err(|error| Status::internal(format!("the answer can't be read: {error}")))
    }

    /// The same, for a method with a stream of answers.
    pub(super) async fn follow<Q: Message, A>(
        &self,
        method: Method<Q, A>,
        message: Q,
    ) -> Result<Streaming<Bytes>, Status> {
        self.console.calls.stream(PathAndQuery::from_static(method.path), self.request(&message)).await
    }

    fn request(&self, message: &impl Message) -> Request<Bytes> {
        Request::from_parts(self.metadata.clone(), self.peer.clone(), Bytes::from(message.encode_to_vec()))
    }

    /// Whether the gate would let them call a method about a definition of this namespace; empty: about all of them.
    pub(super) fn may<Q, A>(&self, method: Method<Q, A>, definition: &str) -> bool {
        let reach = match definition {
            "" => Reach::Whole(&self.namespace),
            definition => Reach::Definition(&self.namespace, definition),
        };
        permits(&self.caller, method.path, reach)
    }

    /// Whether they may call a method that is about no tenant.
    pub(super) fn may_at_all<Q, A>(&self, method: Method<Q, A>) -> bool {
        permits(&self.caller, method.path, Reach::Anywhere)
    }

    /// What the layout needs.
    pub(super) fn shell(&self, section: Section, title: impl Into<String>) -> Shell {
        Shell {
            section,
            title: title.into(),
            namespace: self.namespace.clone(),
            who: self.caller.name.clone(),
            csrf: self.csrf.clone(),
            theme: self.theme,
            has_session: self.has_session,
            asks_names: !self.console.auth.is_on(),
            node: self.console.node.clone(),
        }
    }
}

/// Light, dark, or what the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    pub(super) fn of(word: Option<&str>) -> Self {
        match word {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// What every page shows around its own content.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) section: Section,
    pub(super) title: String,
    pub(super) namespace: String,
    pub(super) who: String,
    pub(super) csrf: String,
    pub(super) theme: Theme,
    pub(super) has_session: bool,
    /// Without authentication: people may say who they are, for the history.
    pub(super) asks_names: bool,
    pub(super) node: String,
}

impl Shell {
    /// A path below `/console`, with a query or without, in this namespace.
    pub(super) fn link(&self, path: &str) -> String {
        link(&self.namespace, path)
    }

    /// A saga's page.
    pub(super) fn saga(&self, id: &str) -> String {
        self.link(&format!("/sagas/{}", escaped(id)))
    }

    /// Link, name, key and whether it is here, of each part of the console.
    pub(super) fn sections(&self) -> Vec<(String, &'static str, char, bool)> {
        let one = |(section, path, name, key): (Section, &str, &'static str, char)| {
            (self.link(path), name, key, section == self.section)
        };
        Section::ALL.into_iter().map(one).collect()
    }

    pub(super) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Where forms that change the namespace go: the same part of the console.
    pub(super) fn here(&self) -> String {
        let path = Section::ALL.into_iter().find(|(section, ..)| *section == self.section).map_or("", |it| it.1);
        format!("/console{path}")
    }
}

/// A path below `/console` about a namespace.
pub(super) fn link(namespace: &str, path: &str) -> String {
    if namespace == DEFAULT {
        return format!("/console{path}");
    }
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("/console{path}{joint}namespace={}", escaped(namespace))
}
