//! How HTTP participants are called, from the settings: the authorities that are trusted, the addresses that are allowed.
//!
//! It calls nobody. Invariant: a file of authorities that can't be read whole, or holds none, keeps the server from starting.

use std::path::Path;
use std::sync::Arc;

use amends_runtime::participant::{Directory, HttpCaller, HttpSettings, REPLY_BYTES_MAX, SystemResolver};
use amends_runtime::seam::Seams;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::config::EgressConfig;
use crate::error::Error;
use crate::registry::Outside;

/// The caller of HTTP participants.
pub(crate) fn http(
    config: &EgressConfig,
    directory: Arc<Directory>,
    seams: Seams,
    outside: &Outside,
) -> Result<HttpCaller, Error> {
    let path = config.ca_file.as_deref();
    let settings = HttpSettings {
        egress: outside.egress.clone(),
        resolver: Arc::new(SystemResolver),
        keyring: outside.keyring.clone(),
        roots: path.map_or(Ok(Vec::new()), authorities)?,
        reply_bytes_max: REPLY_BYTES_MAX,
    };
    HttpCaller::new(directory, seams, settings)
        .map_err(|error| unusable(path.unwrap_or(Path::new("")), Box::new(error)))
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let certificates: Vec<_> = certificates.map_err(|error| unusable(path, Box::new(error)))?;
    if certificates.is_empty() {
        return Err(unusable(path, "there is no certificate in it".into()));
    }
    Ok(certificates)
}

fn unusable(path: &Path, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Authorities { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_keeps_the_server_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(matches!(authorities(&path), Err(Error::Authorities { .. })));
        for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(authorities(&path), Err(Error::Authorities { .. })), "{text:?}");
        }
    }
}
