//! What a connection to somebody else needs: whom to trust, and the certificate to show.
//!
//! Invariant: nobody is trusted who isn't named: without the public authorities and without a file of authorities nothing can be
//! connected to.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use crate::certificate::Certificate;
use crate::error::TlsError;
use crate::material::{add_roots, identity, provider};
use crate::server::Application;
use crate::watched::{Material, Watched};

/// Material for connections to others.
pub type ClientTls = Watched<ClientSide>;

/// Sessions that are kept for connecting again.
const SESSIONS_MAX: usize = 64;

/// Where the material for connections to others is: PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientFiles {
    /// Trust the public authorities too.
    pub public: bool,
    /// Authorities to trust.
    pub ca: Vec<PathBuf>,
    /// The certificate to show where one is asked for, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Material for connections to others, ready.
#[derive(Debug)]
pub struct ClientSide {
    grpc: Arc<ClientConfig>,
    http: Arc<ClientConfig>,
    certificate: Option<Certificate>,
}

impl ClientSide {
    /// For a new connection. [`Application::Http`] is HTTP/1.1 on this side.
    pub fn config(&self, application: Application) -> Arc<ClientConfig> {
        match application {
            Application::Grpc => self.grpc.clone(),
            Application::Http => self.http.clone(),
        }
    }

    /// The certificate that is shown where one is asked for.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }
}

impl Material for ClientSide {
    type Files = ClientFiles;

    fn paths(files: &ClientFiles) -> Vec<PathBuf> {
        let own = files.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        own.chain(&files.ca).cloned().collect()
    }

    fn make(files: &ClientFiles, contents: &[Vec<u8>]) -> Result<Self, TlsError> {
        let mut contents = contents.iter().map(Vec::as_slice);
        let own = match &files.identity {
            None => None,
            Some((certificate, key)) => {
                let mut next = || contents.next().unwrap_or_default();
                Some(identity((certificate, next()), (key, next()))?)
            }
        };
        let mut roots = RootCertStore::empty();
        if files.public {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for (path, content) in files.ca.iter().zip(contents) {
            add_roots(&mut roots, path, content)?;
        }
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&versions)?;
        let builder = builder.with_root_certificates(roots);
        let (config, certificate) = match own {
            None => (builder.with_no_client_auth(), None),
            Some((certified, about)) => {
                (builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))), Some(about))
            }
        };
        let with = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
            Arc::new(config)
        };
        Ok(Self { grpc: with(b"h2"), http: with(b"http/1.1"), certificate })
    }

    fn own(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    fn shown(files: &ClientFiles) -> String {
        let path = files.identity.as_ref().map(|(certificate, _)| certificate).or(files.ca.first());
        path.map_or_else(|| "public authorities".to_owned(), |path| path.display().to_string())
    }
}
