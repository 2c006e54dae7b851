//! PEM texts as certificates and keys.
//!
//! Reads nothing itself. Invariant: a file with nothing of what is wanted is an error, never an empty list.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;
use crate::error::TlsError;

/// ring.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// All certificates of a file.
pub(crate) fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|source| TlsError::Pem { path: path.to_owned(), source })?;
    if read.is_empty() {
        return Err(TlsError::Nothing { path: path.to_owned(), wanted: "certificate" });
    }
    Ok(read)
}

/// Adds the authorities of a file.
pub(crate) fn add_roots(store: &mut RootCertStore, path: &Path, pem: &[u8]) -> Result<(), TlsError> {
    for certificate in certificates(path, pem)? {
        store.add(certificate).map_err(|source| TlsError::Certificate { path: path.to_owned(), source })?;
    }
    Ok(())
}

/// A certificate with its chain and key, which belong together, and what the certificate says.
pub(crate) fn identity(
    (certificate_path, chain): (&Path, &[u8]),
    (key_path, key): (&Path, &[u8]),
) -> Result<(CertifiedKey, Certificate), TlsError> {
    let chain = certificates(certificate_path, chain)?;
    // The first is the one that is shown; there is one.
    let first =
        chain.first().ok_or_else(|| TlsError::Nothing { path: certificate_path.to_owned(), wanted: "certificate" })?;
    let about =
        Certificate::read(first).map_err(|source| TlsError::Validity { path: certificate_path.to_owned(), source })?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| match source {
        rustls::pki_types::pem::Error::NoItemsFound => {
            TlsError::Nothing { path: key_path.to_owned(), wanted: "private key" }
        }
        source => TlsError::Pem { path: key_path.to_owned(), source },
    })?;
    let pair = |source| TlsError::Pair { certificate: certificate_path.to_owned(), key: key_path.to_owned(), source };
    let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(pair)?;
    Ok((certified, about))
}
