//! Gets the provider's keys from an address.
//!
//! No redirect is followed and no proxy used; the address is the operator's, from the settings. Invariant: a read is over
//! within [`TIME_MAX`] and has at most [`BYTES_MAX`].

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const TIME_MAX: Duration = Duration::from_secs(5);
const BYTES_MAX: usize = 1024 * 1024;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the file can't be read")]
    File(#[source] io::Error),
    #[error("the address can't be used; write https://host/path")]
    Address,
    #[error("nobody answers there")]
    Connect(#[source] io::Error),
    #[error("auth.jwt.ca_file can't be used")]
    Authorities(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the provider doesn't speak HTTP/1.1")]
    Http(#[from] hyper::Error),
    #[error("the provider answers {0}, not 200")]
    Status(http::StatusCode),
    #[error("the answer can't be read, or is over {BYTES_MAX} bytes")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {} s", TIME_MAX.as_secs())]
    Slow,
    #[error("there is no set of keys (JWKS) there")]
    NoKeys,
}

/// What is at an address.
pub(super) async fn get(url: &str, ca_file: Option<&Path>) -> Result<Bytes, FetchError> {
    tokio::time::timeout(TIME_MAX, connect_and_get(url, ca_file)).await.map_err(|_| FetchError::Slow)?
}

async fn connect_and_get(url: &str, ca_file: Option<&Path>) -> Result<Bytes, FetchError> {
    let uri: Uri = url.parse().map_err(|_| FetchError::Address)?;
    let host = uri.host().ok_or(FetchError::Address)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let is_tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(FetchError::Connect)?;
    if !is_tls {
        return ask(stream, &uri).await;
    }
    let name = ServerName::try_from(host).map_err(|_| FetchError::Address)?;
    let stream = TlsConnector::from(tls(ca_file)?).connect(name, stream).await.map_err(FetchError::Connect)?;
    ask(stream, &uri).await
}

fn tls(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, FetchError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        let unusable = |error: rustls::pki_types::pem::Error| FetchError::Authorities(Box::new(error));
        for certificate in CertificateDer::pem_file_iter(path).map_err(unusable)? {
            let certificate = certificate.map_err(unusable)?;
            roots.add(certificate).map_err(|error| FetchError::Authorities(Box::new(error)))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| FetchError::Authorities(Box::new(error)))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

async fn ask<S>(stream: S, uri: &Uri) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the connection, at the latest when the sender goes.
    tokio::spawn(driver);
    let host = uri.authority().map(http::uri::Authority::as_str).ok_or(FetchError::Address)?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let request = Request::get(target).header(header::HOST, host).header(header::ACCEPT, "application/json");
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| FetchError::Address)?;
    let answer = sender.send_request(request).await?;
    if answer.status() != http::StatusCode::OK {
        return Err(FetchError::Status(answer.status()));
    }
    let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await.map_err(FetchError::Body)?;
    Ok(body.to_bytes())
}
