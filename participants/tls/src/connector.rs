//! Connections to others over TLS: for tonic's clients, and by hand.
//!
//! tonic's own TLS reads its files once; here every new connection uses the newest. Invariant: an address with `https` is never
//! connected to without TLS, nor another one with it.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::client::ClientTls;
use crate::io::Io;
use crate::server::Application;

/// An address that can't be used for a connection.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// No host, or no scheme of ours.
    #[error("write http://host:port or https://host:port")]
    Address,
    /// The host can't stand in a certificate.
    #[error("the host is no name that a certificate can have")]
    Name(#[from] InvalidDnsNameError),
    /// `https` without anything to check the other side with.
    #[error("https needs TLS settings, and there are none")]
    NoTls,
}

/// TLS over a connection that exists, to the server of this name.
///
/// # Errors
/// When the handshake fails: most often the certificate.
pub async fn connect(
    tls: &ClientTls,
    application: Application,
    name: ServerName<'static>,
    stream: TcpStream,
) -> io::Result<Io> {
    let config = tls.current().config(application);
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    Ok(Io::Tls(Box::new(stream.into())))
}

/// A gRPC server to be connected to.
#[derive(Debug)]
pub struct Target {
    endpoint: Endpoint,
    dial: Option<Dial>,
}

impl Target {
    /// The server at `http://host:port` or `https://host:port`; for the latter `tls` says whom to trust. `server_name`: the name
    /// that its certificate must have, where that isn't the host.
    ///
    /// # Errors
    /// When the address can't be used.
    pub fn new(address: &Uri, tls: Option<Arc<ClientTls>>, server_name: Option<&str>) -> Result<Self, Unusable> {
        let host = address.host().ok_or(Unusable::Address)?;
        match address.scheme_str() {
            Some("http") => return Ok(Self { endpoint: Endpoint::from(address.clone()), dial: None }),
            Some("https") => {}
            _ => return Err(Unusable::Address),
        }
        let tls = tls.ok_or(Unusable::NoTls)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = address.port_u16().unwrap_or(443);
        let name = ServerName::try_from(server_name.unwrap_or(&host).to_owned())?;
        // To tonic the connection is a plain one, or it would ask for TLS settings of its own; requests have the true scheme.
        let mut plain = address.clone().into_parts();
        plain.scheme = Some(http::uri::Scheme::HTTP);
        let plain = Uri::from_parts(plain).map_err(|_| Unusable::Address)?;
        let endpoint = Endpoint::from(plain).origin(address.clone());
        Ok(Self { endpoint, dial: Some(Dial { tls, name, host, port }) })
    }

    /// Changes tonic's settings of the connection.
    #[must_use]
    pub fn tuned(self, tune: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        Self { endpoint: tune(self.endpoint), ..self }
    }

    /// A channel that connects when it is first used, and again whenever it must.
    pub fn lazy(self) -> Channel {
        match self.dial {
            None => self.endpoint.connect_lazy(),
            Some(dial) => self.endpoint.connect_with_connector_lazy(dial),
        }
    }

    /// A channel that is connected.
    ///
    /// # Errors
    /// When nobody answers, or TLS can't begin.
    pub async fn connect(self) -> Result<Channel, tonic::transport::Error> {
        match self.dial {
            None => self.endpoint.connect().await,
            Some(dial) => self.endpoint.connect_with_connector(dial).await,
        }
    }
}

/// Makes connections for tonic.
#[derive(Debug, Clone)]
struct Dial {
    tls: Arc<ClientTls>,
    name: ServerName<'static>,
    host: String,
    port: u16,
}

impl tower::Service<Uri> for Dial {
    type Response = TokioIo<Io>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Io>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { tls, name, host, port } = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            connect(&tls, Application::Grpc, name, stream).await.map(TokioIo::new)
        })
    }
}
