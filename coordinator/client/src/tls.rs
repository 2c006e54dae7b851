//! TLS of the connection to a coordinator.
//!
//! Invariant: files that can't be used are an error of [`crate::Client::connect_tls`], not of a later call; once it runs, broken new
//! ones change nothing.

use std::path::PathBuf;
use std::sync::Arc;

use amends_tls::{ClientFiles, ClientTls, Keeper};
use tokio::task::JoinHandle;

use crate::error::Error;

/// Where the material for a coordinator at `https://` is: PEM files, looked at every two seconds, so that renewed ones are used by
/// the next connection.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Authorities to trust instead of the public ones.
    pub ca: Option<PathBuf>,
    /// The certificate to show where the coordinator asks for one, with its chain, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the coordinator's certificate has, where that isn't the host.
    pub server_name: Option<String>,
}

/// Looks after the files for as long as any clone of the client lives.
#[derive(Debug)]
pub(crate) struct Watching(JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl TlsFiles {
    pub(crate) fn open(&self) -> Result<(Arc<ClientTls>, Watching), Error> {
        let ca: Vec<PathBuf> = self.ca.iter().cloned().collect();
        let files = ClientFiles { public: ca.is_empty(), ca, identity: self.identity.clone() };
        let opened = ClientTls::open(files);
        let tls = Arc::new(opened.map_err(|error| Error::invalid("tls", error.to_string()))?);
        let keeper = Keeper::default();
        keeper.watch("tls", tls.clone());
        Ok((tls, Watching(tokio::spawn(keeper.run()))))
    }
}
