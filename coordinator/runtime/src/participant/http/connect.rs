//! From an address to a connection: resolve, check, connect to what was checked, TLS, HTTP/1.1.
//!
//! The name is resolved once, every address that comes back is checked, and the socket is opened to a checked address: a name
//! that resolves to something else a moment later (DNS rebinding) changes nothing. The certificate is checked against the
//! name. Proxies of the environment are not used. Invariant: no connection exists whose address didn't pass
//! [`Egress::check`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::egress::Egress;
use super::super::endpoint::Endpoint;
use crate::error::with_sources;
use crate::seam;

/// Longest time to wait for a connection, TLS included, where the call allows that much.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// Most bytes of a response's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Where requests are handed over to a connection.
pub(super) type Sender = SendRequest<Full<Bytes>>;

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

/// A certificate of `egress.ca_file` that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("a certificate authority can't be used")]
pub struct UnusableRoot(#[from] rustls::Error);

/// Why there is no connection. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// One text for a name that doesn't resolve, an address that isn't allowed and a closed port: who starts sagas must not be
    /// able to tell them apart and so map the network. The log says which it was.
    #[error("can't connect: nobody answers there, or egress.allow doesn't let it; the coordinator's log says which")]
    NotReached,
    /// No answer to the attempt to connect.
    #[error("can't connect within {} s", CONNECT_TIME_MAX.as_secs())]
    NoAnswer,
    /// The host can't stand in a certificate.
    #[error("the host is no name that a certificate can have")]
    NoServerName(#[source] InvalidDnsNameError),
    /// TLS can't begin: most often the certificate.
    #[error("connected, but TLS can't begin")]
    Tls(#[source] io::Error),
    /// HTTP can't begin.
    #[error("connected, but HTTP can't begin")]
    Handshake(#[source] hyper::Error),
}

/// Makes connections.
#[derive(Debug)]
pub(super) struct Connector {
    egress: Arc<Egress>,
    resolver: Arc<dyn Resolve>,
    tls: Arc<ClientConfig>,
}

impl Connector {
    /// Trusts the usual public authorities and `roots`.
    pub(super) fn new(
        egress: Arc<Egress>,
        resolver: Arc<dyn Resolve>,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, UnusableRoot> {
        let mut store = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in roots {
            store.add(root)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut tls = tls.with_root_certificates(store).with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { egress, resolver, tls: Arc::new(tls) })
    }

    /// Connects, within [`CONNECT_TIME_MAX`]. Nothing of any call is sent.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<Sender, ConnectError> {
        tokio::time::timeout(CONNECT_TIME_MAX, self.begin(endpoint)).await.map_err(|_| ConnectError::NoAnswer)?
    }

    async fn begin(&self, endpoint: &Endpoint) -> Result<Sender, ConnectError> {
        let stream = self.reach(endpoint).await?;
        if !endpoint.is_tls() {
            return handshake(stream, endpoint).await;
        }
        let name = ServerName::try_from(endpoint.socket().0.to_owned()).map_err(ConnectError::NoServerName)?;
        let tls = TlsConnector::from(self.tls.clone());
        handshake(tls.connect(name, stream).await.map_err(ConnectError::Tls)?, endpoint).await
    }

    /// A connection to the first address that is allowed and answers.
    async fn reach(&self, endpoint: &Endpoint) -> Result<TcpStream, ConnectError> {
        let (host, port) = endpoint.socket();
        let addresses = self.resolver.resolve(host, port).await.map_err(|error| {
            tracing::warn!(%endpoint, error = with_sources(&error), "the name of a participant doesn't resolve");
            ConnectError::NotReached
        })?;
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

async fn handshake<S>(stream: S, endpoint: &Endpoint) -> Result<Sender, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    let connected = builder.max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await;
    let (sender, driver) = connected.map_err(ConnectError::Handshake)?;
    let address = endpoint.clone();
    seam::spawn(async move {
        // Calls that it breaks are told so themselves; this is for whoever looks into why.
        if let Err(error) = driver.await {
            tracing::debug!(endpoint = %address, error = with_sources(&error), "connection ended");
        }
    });
    Ok(sender)
}
