//! Certificates for tests: an authority, and files that it signs. Never in a release.
//!
//! Invariant: every key is made for the test that asks for it, and gone with its folder.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use crate::{ClientCertificates, ClientFiles, ClientTls, ServerFiles, ServerTls};

/// An authority with a folder for what it signs.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Gone with this.
    pub folder: TempDir,
}

impl Authority {
    /// One of its own, whose certificate is in `ca.pem`.
    #[expect(clippy::new_without_default, reason = "there is nothing usual about it")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "an authority for tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// The file with its own certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// PEM of a certificate and its key, for a host, over in so many days.
    pub fn sign(&self, host: &str, uri: Option<&str>, days: i64) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.subject_alt_names.extend(uri.map(|uri| SanType::URI(uri.try_into().unwrap())));
        // Another one than the authority's, or OpenSSL takes it for signed by itself.
        params.distinguished_name.push(DnType::CommonName, "one of its certificates");
        params.not_before = OffsetDateTime::now_utc() - Duration::days(100);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(days);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Writes `<name>.pem` and `<name>.key`; the certificate is for the host and `spiffe://shop.example/<name>`, and over in so
    /// many days.
    pub fn write(&self, name: &str, host: &str, days: i64) -> (PathBuf, PathBuf) {
        let uri = format!("spiffe://shop.example/{name}");
        let (certificate, key) = self.sign(host, Some(&uri), days);
        let paths = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        write(&paths.0, &certificate);
        write(&paths.1, &key);
        paths
    }

    /// What a listener for this host needs, without asking clients for certificates.
    pub fn server_files(&self, name: &str, host: &str, days: i64) -> ServerFiles {
        let (certificate, key) = self.write(name, host, days);
        ServerFiles { certificate, key, client_ca: None, client_certificates: ClientCertificates::Required }
    }

    /// A listener for `localhost`.
    pub fn server(&self) -> Arc<ServerTls> {
        Arc::new(ServerTls::open(self.server_files("server", "localhost", 90)).unwrap())
    }

    /// Who trusts this authority alone.
    pub fn client(&self, identity: Option<(PathBuf, PathBuf)>) -> Arc<ClientTls> {
        let files = ClientFiles { public: false, ca: vec![self.ca()], identity };
        Arc::new(ClientTls::open(files).unwrap())
    }
}

/// Writes a file.
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
