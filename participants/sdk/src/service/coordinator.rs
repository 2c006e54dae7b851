//! The flags by which a participant shows the coordinator who it is, wherever it calls it.
//!
//! Invariant: files that are named and can't be used keep the service from starting.

use std::path::PathBuf;
use std::sync::Arc;

use amends_tls::{ClientFiles, ClientTls, Keeper};
use clap::Args;
use tonic::transport::Uri;

use super::ServeError;
use crate::token::TokenFile;

/// Whom to trust, and what to show, when the coordinator is called.
#[derive(Debug, Clone, Default, Args)]
pub struct CoordinatorFlags {
    /// The authorities to trust when a coordinator is at https:// (PEM); left out: the public ones.
    #[arg(long, value_name = "FILE", env = "AMENDS_COORDINATOR_CA")]
    pub coordinator_ca: Option<PathBuf>,
    /// The certificate to show to a coordinator (PEM).
    #[arg(long, value_name = "FILE", env = "AMENDS_COORDINATOR_CERT", requires = "coordinator_key")]
    pub coordinator_cert: Option<PathBuf>,
    /// The certificate's key (PEM).
    #[arg(long, value_name = "FILE", env = "AMENDS_COORDINATOR_KEY", requires = "coordinator_cert")]
    pub coordinator_key: Option<PathBuf>,
    /// A file with the token to send to a coordinator that asks who calls; read for every request.
    #[arg(long, value_name = "FILE", env = "AMENDS_COORDINATOR_TOKEN_FILE")]
    pub coordinator_token_file: Option<PathBuf>,
}

impl CoordinatorFlags {
    /// TLS for a coordinator at one of these addresses, looked after by `keeper`; `None` where none is `https`. Blocks.
    ///
    /// # Errors
    /// When a file can't be used.
    pub fn tls<'a>(
        &self,
        coordinators: impl IntoIterator<Item = &'a Uri>,
        keeper: &Keeper,
    ) -> Result<Option<Arc<ClientTls>>, ServeError> {
        if !coordinators.into_iter().any(|uri| uri.scheme_str() == Some("https")) {
            return Ok(None);
        }
        let ca: Vec<PathBuf> = self.coordinator_ca.iter().cloned().collect();
        let identity = self.coordinator_cert.clone().zip(self.coordinator_key.clone());
        let files = ClientFiles { public: ca.is_empty(), ca, identity };
        let tls = Arc::new(ClientTls::open(files).map_err(|error| ServeError::Tls(Box::new(error)))?);
        keeper.watch("--coordinator-ca", tls.clone());
        Ok(Some(tls))
    }

    /// The token to send, if there is one.
    pub fn token(&self) -> Option<TokenFile> {
        self.coordinator_token_file.clone().map(TokenFile::new)
    }
}
