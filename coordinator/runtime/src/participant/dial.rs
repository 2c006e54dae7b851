//! From an address to a connection: resolve, check, connect to what was checked, TLS.
//!
//! The same for gRPC and HTTP. The name is resolved once, every address that comes back is checked, and the socket is opened to a
//! checked address: a name that resolves to something else a moment later (DNS rebinding) changes nothing. The certificate is
//! checked against the name. Proxies of the environment are not used. Invariant: no connection exists whose address didn't
//! pass [`Egress::check`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use amends_tls::{Application, Io};
use async_trait::async_trait;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::net::TcpStream;

use super::egress::Egress;
use super::endpoint::Endpoint;
use super::secret::{Keyring, SecretReference, SigningKey};
use super::trust::{TlsSettings, Trust};
use crate::error::with_sources;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolve: Send + Sync + std::fmt::Debug {
    /// The addresses of a host, which may be an address already.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// Why there is no connection. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// One text for a name that doesn't resolve, an address that isn't allowed and a closed port: who starts sagas must not be
    /// able to tell them apart and so map the network. The log says which it was.
    #[error("can't connect: nobody answers there, or egress.allow doesn't let it; the coordinator's log says which")]
    NotReached,
    /// No answer to the attempt to connect.
    #[error("can't connect within {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// The registration's TLS files can't be used.
    #[error("TLS can't begin: {0}")]
    NoTls(String),
    /// The host can't stand in a certificate.
    #[error("the host is no name that a certificate can have")]
    NoServerName(#[source] InvalidDnsNameError),
    /// TLS can't begin: most often the certificate.
    #[error("connected, but TLS can't begin")]
    Tls(#[source] io::Error),
    /// HTTP can't begin.
    #[error("connected, but HTTP can't begin")]
    Handshake(#[source] hyper::Error),
    /// HTTP/2 can't begin.
    #[error("connected, but HTTP can't begin")]
    Http2(#[source] h2::Error),
}

/// What all calls to participants are made with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Which addresses may be connected to.
    pub egress: Arc<Egress>,
    /// Where names are looked up.
    pub resolver: Arc<dyn Resolve>,
    /// The secrets that requests are signed with.
    pub keyring: Arc<Keyring>,
    /// Whom to trust, and the certificates to show.
    pub trust: Arc<Trust>,
}

impl Outgoing {
    /// What requests are signed with; the error says which secret can't be had.
    pub(super) fn keys(&self, signing: &[SecretReference]) -> Result<Vec<SigningKey>, String> {
        signing.iter().map(|reference| self.keyring.get(reference)).collect()
    }

    /// A connection, over TLS where the endpoint says so. Nothing of any call is sent.
    pub(super) async fn open(
        &self,
        endpoint: &Endpoint,
        tls: &TlsSettings,
        application: Application,
    ) -> Result<Io, ConnectError> {
        let stream = self.reach(endpoint).await?;
        if !endpoint.is_tls() {
            return Ok(Io::Plain(stream));
        }
        let trusted = self.trust.get(tls).map_err(ConnectError::NoTls)?;
        let name = tls.server_name.as_deref().unwrap_or(endpoint.socket().0).to_owned();
        let name = ServerName::try_from(name).map_err(ConnectError::NoServerName)?;
        amends_tls::connect(&trusted, application, name, stream).await.map_err(ConnectError::Tls)
    }

    /// A connection to the first address that is allowed and answers.
    async fn reach(&self, endpoint: &Endpoint) -> Result<TcpStream, ConnectError> {
        let (host, port) = endpoint.socket();
        let addresses = match endpoint.address() {
            // Discovery has looked it up.
            Some(address) => vec![address],
            None => self.resolver.resolve(host, port).await.map_err(|error| {
                tracing::warn!(%endpoint, error = with_sources(&error), "the name of a participant doesn't resolve");
                ConnectError::NotReached
            })?,
        };
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            if let Err(refused) = self.egress.check(host, address) {
                tracing::warn!(%endpoint, %refused, "egress refused");
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) if stream.set_nodelay(true).is_ok() => {
                    tracing::debug!(%endpoint, %address, "connected");
                    return Ok(stream);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%endpoint, %address, %error, "a participant can't be connected to"),
            }
        }
        Err(ConnectError::NotReached)
    }
}
