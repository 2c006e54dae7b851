//! Why files can't be used for TLS.
//!
//! Invariant: a message names the file and the mend, and never what is in it.

use std::path::PathBuf;

/// Files that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{}: it can't be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Over 1 MiB.
    #[error("{}: it is too large for a file of certificates (over 1 MiB)", .0.display())]
    TooLarge(PathBuf),
    /// Not PEM, or PEM of something else.
    #[error("{}: no {wanted} in it; it must be a PEM file", path.display())]
    Nothing {
        /// Which.
        path: PathBuf,
        /// `certificate` or `private key`.
        wanted: &'static str,
    },
    /// PEM that is damaged.
    #[error("{}: its PEM is damaged", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate that can't be read.
    #[error("{}: a certificate in it can't be read", path.display())]
    Certificate {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Its validity can't be read.
    #[error("{}: the certificate in it can't be read", path.display())]
    Validity {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: crate::UnreadableCertificate,
    },
    /// The key isn't the certificate's, or of a kind that isn't supported.
    #[error("{} and {} don't belong together, or the key can't be used", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The certificate is over already.
    #[error("{}: its certificate has expired", .0.display())]
    Expired(PathBuf),
    /// Authorities that can't be used to check clients.
    #[error("{}: clients can't be checked with it", path.display())]
    Clients {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::server::VerifierBuilderError,
    },
    /// rustls refuses the settings as a whole.
    #[error("TLS can't be set up")]
    Setup(#[from] rustls::Error),
}
