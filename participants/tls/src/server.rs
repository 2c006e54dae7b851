//! What a listener needs: its certificate and key, and the authorities of its clients.
//!
//! Sessions are never resumed where clients show certificates: an authority or certificate that was taken away counts from the
//! next connection on. Invariant: TLS 1.2 and 1.3, nothing older.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;

use crate::certificate::Certificate;
use crate::error::TlsError;
use crate::material::{add_roots, identity, provider};
use crate::watched::{Material, Watched};

/// A listener's material.
pub type ServerTls = Watched<ServerSide>;

/// Whether a client must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// It must.
    Required,
    /// It may; one that it shows must be good.
    Optional,
}

/// Where a listener's material is: PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// The certificate, then the chain to its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of clients' certificates; `None`: they aren't asked for one.
    pub client_ca: Option<PathBuf>,
    /// Whether they must show one.
    pub client_certificates: ClientCertificates,
}

/// What is spoken over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Application {
    /// HTTP/2 only.
    Grpc,
    /// HTTP/2 or HTTP/1.1.
    Http,
}

/// A listener's material, ready.
#[derive(Debug)]
pub struct ServerSide {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    certificate: Certificate,
}

impl ServerSide {
    /// For a new connection.
    pub(crate) fn config(&self, application: Application) -> Arc<ServerConfig> {
        match application {
            Application::Grpc => self.grpc.clone(),
            Application::Http => self.http.clone(),
        }
    }

    /// The certificate that is shown.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

impl Material for ServerSide {
    type Files = ServerFiles;

    fn paths(files: &ServerFiles) -> Vec<PathBuf> {
        [&files.certificate, &files.key].into_iter().chain(&files.client_ca).cloned().collect()
    }

    fn make(files: &ServerFiles, contents: &[Vec<u8>]) -> Result<Self, TlsError> {
        let content = |place: usize| contents.get(place).map(Vec::as_slice).unwrap_or_default();
        let (certified, certificate) = identity((&files.certificate, content(0)), (&files.key, content(1)))?;
        let resolver = Arc::new(SingleCertAndKey::from(certified));
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&versions)?;
        let mut config = match &files.client_ca {
            None => builder.with_no_client_auth().with_cert_resolver(resolver),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                add_roots(&mut roots, path, content(2))?;
                let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                if files.client_certificates == ClientCertificates::Optional {
                    verifier = verifier.allow_unauthenticated();
                }
                let verifier = verifier.build().map_err(|source| TlsError::Clients { path: path.clone(), source })?;
                let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(resolver);
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
                config
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut http = config.clone();
        http.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(Self { grpc: Arc::new(config), http: Arc::new(http), certificate })
    }

    fn own(&self) -> Option<&Certificate> {
        Some(&self.certificate)
    }

    fn shown(files: &ServerFiles) -> String {
        files.certificate.display().to_string()
    }
}
