//! The certificates of connections to Redis: read when a connection is made, so that renewed files count from the next one on.
//!
//! Invariant: files that can't be used never replace those that could.

use std::path::PathBuf;

use redis::TlsCertificates;
use redis::{Client, ClientTlsConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisError, RedisResult};
use tokio::sync::Mutex;

/// Where certificates are: PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities to trust instead of the public ones.
    pub ca: Option<PathBuf>,
    /// The certificate to show and its key, where the server asks for one (`tls-auth-clients yes`).
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The certificates of new connections.
pub(super) struct Certificates {
    files: TlsFiles,
    /// The last that could be used.
    last: Mutex<Option<TlsCertificates>>,
}

impl Certificates {
    pub(super) fn new(files: TlsFiles) -> Self {
        Self { files, last: Mutex::default() }
    }

    /// What a new connection uses; `None`: the public authorities and no certificate of our own.
    pub(super) async fn current(&self) -> RedisResult<Option<TlsCertificates>> {
        if self.files == TlsFiles::default() {
            return Ok(None);
        }
        let mut last = self.last.lock().await;
        match self.read().await {
            Ok(read) => *last = Some(read),
            Err(error) if last.is_some() => {
                tracing::error!(%error, "TLS files for Redis can't be used; those before stay in use");
            }
            Err(error) => return Err(error),
        }
        Ok(last.clone())
    }

    async fn read(&self) -> RedisResult<TlsCertificates> {
        let read = async |path: &PathBuf| {
            let unreadable = |error: std::io::Error| {
                let text = format!("{}: {error}", path.display());
                RedisError::from((ErrorKind::InvalidClientConfig, "a TLS file can't be read", text))
            };
            tokio::fs::read(path).await.map_err(unreadable)
        };
        let root_cert = match &self.files.ca {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        let client_tls = match &self.files.identity {
            Some((certificate, key)) => {
                Some(ClientTlsConfig { client_cert: read(certificate).await?, client_key: read(key).await? })
            }
            None => None,
        };
        let read = TlsCertificates { client_tls, root_cert };
        // The library reads the PEM here, of whatever server.
        let anywhere = ConnectionAddr::TcpTls { host: "localhost".into(), port: 1, insecure: false, tls_params: None };
        Client::build_with_tls(anywhere.into_connection_info()?, read.clone())?;
        Ok(read)
    }
}
