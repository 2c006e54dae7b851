//! The flags by which a participant is protected: TLS for its listener, and signatures of calls.
//!
//! Invariant: what is asked for and can't be had keeps the service from starting.

use std::path::PathBuf;
use std::sync::Arc;

use amends_tls::{ClientCertificates, Keeper, ServerFiles, ServerTls};
use clap::Args;

use super::ServeError;
use crate::signing::Verifier;

/// Who may call, and over what.
#[derive(Debug, Clone, Default, Args)]
pub struct GuardFlags {
    /// Serve over TLS with this certificate and its chain (PEM); renewed files are taken up while it runs.
    #[arg(long, value_name = "FILE", env = "AMENDS_PARTICIPANT_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM).
    #[arg(long, value_name = "FILE", env = "AMENDS_PARTICIPANT_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Let in only clients with a certificate of these authorities (PEM).
    #[arg(long, value_name = "FILE", env = "AMENDS_PARTICIPANT_TLS_CLIENT_CA", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
    /// Answer only calls that are signed with the secret found there: env:NAME or file:/path; repeat it to rotate.
    #[arg(long, value_name = "REFERENCE", env = "AMENDS_PARTICIPANT_SIGNED_WITH", value_delimiter = ',')]
    pub signed_with: Vec<String>,
}

impl GuardFlags {
    /// The listener's TLS, looked after by `keeper`; `None` where it isn't asked for. Blocks.
    pub(super) fn tls(&self, keeper: &Keeper) -> Result<Option<Arc<ServerTls>>, ServeError> {
        let Some((certificate, key)) = self.tls_cert.clone().zip(self.tls_key.clone()) else { return Ok(None) };
        let (client_ca, client_certificates) = (self.tls_client_ca.clone(), ClientCertificates::Required);
        let files = ServerFiles { certificate, key, client_ca, client_certificates };
        let tls = Arc::new(ServerTls::open(files).map_err(|error| ServeError::Tls(Box::new(error)))?);
        keeper.watch("--tls-cert", tls.clone());
        Ok(Some(tls))
    }

    /// What checks signatures; `None` where that isn't asked for. Blocks.
    pub(super) fn verifier(&self) -> Result<Option<Verifier>, ServeError> {
        if self.signed_with.is_empty() {
            return Ok(None);
        }
        let secrets: Vec<String> =
            self.signed_with.iter().map(|reference| read(reference)).collect::<Result<_, _>>()?;
        let verifier = Verifier::new(secrets.iter().map(String::as_str));
        Ok(Some(verifier.map_err(|error| ServeError::Secret(error.to_string()))?))
    }
}

fn read(reference: &str) -> Result<String, ServeError> {
    let read = match reference.split_once(':') {
        Some(("env", name)) => std::env::var(name).map_err(|_| format!("env:{name}: there is no such variable")),
        Some(("file", path)) => std::fs::read_to_string(path).map_err(|error| format!("file:{path}: {error}")),
        // Not the text itself: it may be the secret.
        _ => Err("write env:NAME or file:/path, and put the secret there; never the secret itself".to_owned()),
    };
    read.map_err(ServeError::Secret)
}
