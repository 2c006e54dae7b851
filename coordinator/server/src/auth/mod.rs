//! Who asks, and may they?
//!
//! ```text
//!   gate ─► who: node's proof, token, JWT, certificate       (node, token + book, jwt)
//!        ─► how often, and is there room?                    (front_door)
//!        ─► which method, about what: may they?              (table, target, role)
//!        ─► the service, which knows the caller from the request's extensions (caller)
//! ```
//!
//! Without `auth.file` nobody is asked: everything is open to whoever can connect, which is why only loopback can be listened
//! on then. Invariants: deny by default; what a caller says about itself decides nothing; files are read again while the
//! server runs, and a file that can't be used leaves the last good one in force.

mod book;
mod caller;
mod gate;
mod jwt;
mod node;
mod role;
mod table;
mod target;
mod token;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::ConnectInfo;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, HeaderValue};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpConnectInfo;

use crate::config::AuthConfig;
use crate::error::chain;
use crate::grpc::{FORWARDED, PAYLOADS, PRINCIPAL, Refusal, claimed_name};
use crate::tls::PeerCertificate;
use book::{Book, Found};
use jwt::Jwt;
use node::{Claim, NodeSecrets, PROOF};

pub(crate) use caller::Caller;
pub(crate) use gate::{Gate, gate, page};
pub(crate) use jwt::ALGORITHMS;
pub(crate) use role::Reach;
pub use role::Role;
pub use table::{Load, METHODS, Needs, PAGES, Row};
pub use target::About;
pub use token::{NoRandom, Secret};

/// Whether the gate would let somebody call a method about something; for what is worth showing to them.
pub(crate) fn permits(caller: &Caller, method: &str, reach: Reach<'_>) -> bool {
    match table::method(method).map(|row| row.needs) {
        Some(Needs::Roles(roles)) => caller.may(roles, reach),
        Some(Needs::Name | Needs::Nothing) => true,
        Some(Needs::Node) | None => false,
    }
}

/// How often the files are looked at again.
const RELOAD: Duration = Duration::from_secs(1);

/// A file that authentication needs and that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {} can't be used: {problem}", path.display())]
pub struct FileError {
    what: &'static str,
    path: PathBuf,
    problem: String,
}

/// Who is who. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Auth {
    /// `None`: nobody is asked.
    known: Option<Arc<Known>>,
}

#[derive(Debug)]
struct Known {
    config: AuthConfig,
    book: RwLock<Arc<Book>>,
    secrets: RwLock<NodeSecrets>,
    jwt: Option<Jwt>,
}

/// What the files held when they were last read; a change is noticed by it.
#[derive(Debug, Default)]
struct Read {
    file: Option<String>,
    secret: Option<String>,
}

impl Auth {
    /// Reads all files; one that can't be used keeps the server from starting.
    pub(crate) async fn open(config: &AuthConfig) -> Result<Self, FileError> {
        let Some(path) = &config.file else { return Ok(Self { known: None }) };
        let book =
            read_book(&text("auth.file", path).await?).map_err(|problem| unusable("auth.file", path, problem))?;
        let secrets = match &config.node_secret_file {
            None => NodeSecrets::default(),
            Some(path) => {
                let what = "auth.node_secret_file";
                NodeSecrets::parse(&text(what, path).await?).map_err(|problem| unusable(what, path, problem))?
            }
        };
        let jwt = Jwt::new(&config.jwt);
        if let Some(jwt) = &jwt {
            jwt.keys.refresh().await;
        }
        let (principals, claims) = book.size();
        tracing::info!(principals, claims, jwt = jwt.is_some(), "callers are asked who they are");
        let (config, book) = (config.clone(), RwLock::new(Arc::new(book)));
        Ok(Self { known: Some(Arc::new(Known { config, book, secrets: RwLock::new(secrets), jwt })) })
    }

    /// Whether callers are asked who they are.
    pub(crate) fn is_on(&self) -> bool {
        self.known.is_some()
    }

    /// Reads the files again whenever they change, until `end`.
    pub(crate) async fn follow(self, end: CancellationToken) {
        let Some(known) = self.known else { return };
        let mut read = Read::default();
        loop {
            tokio::select! {
                biased;
                () = end.cancelled() => return,
                () = tokio::time::sleep(RELOAD) => {}
            }
            known.reload(&mut read).await;
        }
    }

    /// Marks a request that this node sends to another on behalf of `principal`.
    pub(crate) fn mark(&self, headers: &mut HeaderMap, node: &str, path: &str, principal: &str, payloads: bool) {
        let put = |headers: &mut HeaderMap, key, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(key, value);
            }
        };
        headers.remove(AUTHORIZATION);
        put(headers, FORWARDED, node);
        put(headers, PRINCIPAL, principal);
        let Some(known) = &self.known else { return };
        put(headers, PAYLOADS, if payloads { "yes" } else { "no" });
        let proof = known
            .secrets
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .prove(Claim { node, path, principal, payloads }, now_ms());
        if let Some(proof) = proof {
            put(headers, PROOF, &proof);
        }
    }

    /// Finds out who asks. Takes the credentials out of the headers, so that nothing behind it can pass them on.
    pub(crate) async fn identify(
        &self,
        path: &str,
        headers: &mut HeaderMap,
        extensions: &Extensions,
    ) -> Result<Caller, Refusal> {
        let (bearer, proof) = (headers.remove(AUTHORIZATION), headers.remove(PROOF));
        let Some(known) = &self.known else {
            return Ok(Caller::anybody(claimed_name(headers, address(extensions))?));
        };
        let certificate = extensions.get::<PeerCertificate>();
        if proof.is_some() || headers.contains_key(FORWARDED) {
            return known.node(path, headers, proof.as_ref(), certificate);
        }
        for stated in [PRINCIPAL, PAYLOADS] {
            headers.remove(stated);
        }
        match (bearer, certificate) {
            (Some(bearer), _) => known.bearer(&bearer).await,
            (None, Some(certificate)) => known.certificate(certificate),
            (None, None) => Err(stranger("say who you are: send the header `authorization: Bearer <token>`")),
        }
    }
}

impl Known {
    fn node(
        &self,
        path: &str,
        headers: &HeaderMap,
        proof: Option<&HeaderValue>,
        certificate: Option<&PeerCertificate>,
    ) -> Result<Caller, Refusal> {
        let text = |key| headers.get(key).and_then(|value: &HeaderValue| value.to_str().ok());
        let (node, principal, shows) = (text(FORWARDED), text(PRINCIPAL), text(PAYLOADS));
        let (Some(node), Some(principal), Some(shows)) = (node, principal, shows) else {
            return Err(stranger("a request of a node says which, for whom, and what they may see"));
        };
        let payloads = shows == "yes";
        let claim = Claim { node, path, principal, payloads };
        let is_proved = proof.and_then(|proof| proof.to_str().ok()).is_some_and(|proof| {
            self.secrets.read().unwrap_or_else(PoisonError::into_inner).believes(proof, claim, now_ms())
        });
        let is_certified = certificate.is_some_and(|certificate| {
            certificate.names.iter().any(|name| self.config.node_certificates.contains(name))
        });
        if is_proved || is_certified || crate::planted::is("forged_node") {
            return Ok(Caller::node(principal.to_owned(), payloads));
        }
        tracing::warn!(node, "somebody who can't prove it says to be a node of this store; its requests are refused");
        Err(stranger("only a node of this store may send requests on: give all nodes the same auth.node_secret_file"))
    }

    async fn bearer(&self, header: &HeaderValue) -> Result<Caller, Refusal> {
        let token = header.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.ok_or_else(|| stranger("the header `authorization` must be `Bearer <token>`"))?;
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner).clone();
        match (&self.jwt, token.starts_with(token::PREFIX)) {
            (Some(jwt), false) => {
                let said = jwt.read(token).await.map_err(stranger)?;
                let grants = book.by_claims(said.roles.iter().map(String::as_str));
                Ok(Caller::known(said.name, grants.into()))
            }
            _ => match book.by_token(token, jiff::Timestamp::now()) {
                Found::Entry(entry) => Ok(Caller::known(entry.name.clone(), entry.grants.clone().into())),
                Found::Expired => Err(stranger("the token has expired")),
                Found::Nobody => Err(stranger("the token isn't known")),
            },
        }
    }

    fn certificate(&self, certificate: &PeerCertificate) -> Result<Caller, Refusal> {
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner).clone();
        let entry = book.by_certificate(&certificate.names);
        let entry = entry.ok_or_else(|| stranger("the certificate is nobody's in the access file"))?;
        Ok(Caller::known(entry.name.clone(), entry.grants.clone().into()))
    }

    async fn reload(&self, read: &mut Read) {
        if let Some(path) = &self.config.file
            && let Some(text) = changed(path, &mut read.file).await
        {
            match read_book(&text) {
                Ok(book) => {
                    let (principals, claims) = book.size();
                    *self.book.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
                    tracing::info!(principals, claims, "access file read");
                }
                Err(problem) => {
                    tracing::error!(path = %path.display(), problem, "the access file can't be used; the last good one stays")
                }
            }
        }
        if let Some(path) = &self.config.node_secret_file
            && let Some(text) = changed(path, &mut read.secret).await
        {
            match NodeSecrets::parse(&text) {
                Ok(secrets) => *self.secrets.write().unwrap_or_else(PoisonError::into_inner) = secrets,
                Err(problem) => {
                    tracing::error!(path = %path.display(), problem, "the nodes' secret can't be used; the last good one stays")
                }
            }
        }
        if let Some(jwt) = &self.jwt {
            jwt.keys.refresh().await;
        }
    }
}

/// The text of a file where it isn't what it was.
async fn changed(path: &Path, last: &mut Option<String>) -> Option<String> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) if last.as_ref() == Some(&text) => None,
        Ok(text) => {
            *last = Some(text.clone());
            Some(text)
        }
        Err(error) => {
            // Once: it is missing for a moment whenever an editor or a kubelet exchanges it.
            if last.take().is_some() {
                tracing::warn!(path = %path.display(), %error, "a file of authentication can't be read; what it held stays in force");
            }
            None
        }
    }
}

async fn text(what: &'static str, path: &Path) -> Result<String, FileError> {
    tokio::fs::read_to_string(path).await.map_err(|error| unusable(what, path, chain(&error)))
}

fn read_book(text: &str) -> Result<Book, String> {
    Book::parse(text).map_err(|error| error.to_string())
}

fn unusable(what: &'static str, path: &Path, problem: String) -> FileError {
    FileError { what, path: path.to_owned(), problem }
}

fn stranger(why: &'static str) -> Refusal {
    Refusal::Unauthenticated(why)
}

/// Where a request comes from, whatever listener it came to.
fn address(extensions: &Extensions) -> Option<SocketAddr> {
    let over_grpc = extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    over_grpc.or_else(|| extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| *address))
}

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}
