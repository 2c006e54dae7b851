//! TLS in the configuration: what listeners show and ask for, and how others are connected to.
//!
//! Invariant: a certificate and its key are given together.

use std::net::SocketAddr;
use std::path::PathBuf;

use amends_tls::{ClientCertificates, ClientFiles, ServerFiles};
use serde::{Deserialize, Serialize};

/// What both listeners show, and whether they ask clients for a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and its chain; `None`: no TLS.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// The authorities of clients' certificates; `None`: they aren't asked for one.
    pub client_ca_file: Option<PathBuf>,
    /// Whether clients must show one.
    pub client_certificates: Clients,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clients {
    /// They must.
    #[default]
    Required,
    /// They may.
    Optional,
}

/// How other nodes and participants are connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutgoingTlsConfig {
    /// Authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

impl TlsConfig {
    /// The files of the listeners; `None`: no TLS.
    pub fn files(&self) -> Option<ServerFiles> {
        let (certificate, key) = self.certificate_file.clone().zip(self.key_file.clone())?;
        let client_certificates = match self.client_certificates {
            Clients::Required => ClientCertificates::Required,
            Clients::Optional => ClientCertificates::Optional,
        };
        Some(ServerFiles { certificate, key, client_ca: self.client_ca_file.clone(), client_certificates })
    }

    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        let pair = both("tls.certificate_file", "tls.key_file", self.certificate_file.as_ref(), self.key_file.as_ref());
        let alone = self.client_ca_file.is_some() && self.certificate_file.is_none();
        pair.or_else(|| {
            let problem =
                "clients are asked for certificates over TLS only; give tls.certificate_file and tls.key_file";
            alone.then(|| ("tls.client_ca_file", problem.to_owned()))
        })
    }
}

impl OutgoingTlsConfig {
    /// The files for connections to other nodes: only the authorities that are named, where any are.
    pub fn nodes(&self) -> ClientFiles {
        let ca: Vec<PathBuf> = self.ca_file.iter().cloned().collect();
        ClientFiles { public: ca.is_empty(), ca, identity: self.identity() }
    }

    /// The files for connections to participants: the public authorities and all that are named.
    pub fn participants(&self, besides: Option<&PathBuf>) -> ClientFiles {
        let mut ca: Vec<PathBuf> = self.ca_file.iter().chain(besides).cloned().collect();
        ca.dedup();
        ClientFiles { public: true, ca, identity: self.identity() }
    }

    fn identity(&self) -> Option<(PathBuf, PathBuf)> {
        self.certificate_file.clone().zip(self.key_file.clone())
    }

    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        let (certificate, key) = (self.certificate_file.as_ref(), self.key_file.as_ref());
        both("outgoing_tls.certificate_file", "outgoing_tls.key_file", certificate, key)
    }
}

/// What is missing of a pair.
pub(super) fn both(
    certificate: &'static str,
    key: &'static str,
    certificate_file: Option<&PathBuf>,
    key_file: Option<&PathBuf>,
) -> Option<(&'static str, String)> {
    let missing = |other: &str| format!("it is missing; {other} is given, and one is nothing without the other");
    match (certificate_file, key_file) {
        (Some(_), None) => Some((key, missing(certificate))),
        (None, Some(_)) => Some((certificate, missing(key))),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// Whether a listener may be at this address; the error says what is missing and the lines to write. Only this machine can
/// connect to a loopback address; everybody else must be kept out (authentication) and mustn't be overheard (TLS).
pub fn may_bind(address: SocketAddr, has_tls: bool, has_auth: bool) -> Result<(), String> {
    if address.ip().to_canonical().is_loopback() || (has_tls && has_auth) {
        return Ok(());
    }
    let tls = "`tls: { certificate_file: /path/tls.crt, key_file: /path/tls.key }`";
    let auth = "an `auth:` section";
    let (missing, lines) = match (has_tls, has_auth) {
        (false, false) => ("neither TLS nor authentication", format!("{tls} and {auth}")),
        (false, true) => ("no TLS", tls.to_owned()),
        (true, _) => ("no authentication", auth.to_owned()),
    };
    Err(format!(
        "other machines could reach {address}, and there is {missing}; write {lines}, or a loopback address such as \
         127.0.0.1:{}; --insecure-i-know starts all the same",
        address.port()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_goes_without_tls_and_authentication() {
        for (address, tls, auth, missing) in [
            ("127.0.0.1:1", false, false, None),
            ("[::1]:1", false, false, None),
            ("[::ffff:127.0.0.1]:1", false, false, None),
            ("0.0.0.0:1", true, true, None),
            ("0.0.0.0:1", true, false, Some("no authentication; write an `auth:` section")),
            ("[::]:1", false, true, Some("no TLS; write `tls: { certificate_file")),
            ("10.0.0.1:1", false, false, Some("neither TLS nor authentication; write `tls:")),
        ] {
            match (may_bind(address.parse().unwrap(), tls, auth), missing) {
                (Ok(()), None) => {}
                (Err(said), Some(missing)) => assert!(said.contains(missing), "{address}: {said}"),
                (verdict, _) => panic!("{address}: {verdict:?}"),
            }
        }
    }
}
