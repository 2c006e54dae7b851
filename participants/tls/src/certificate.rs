//! What a certificate says: whose it is and how long it holds.
//!
//! It trusts nothing and checks no signature; rustls does that. Invariant: names are only those of the subject alternative
//! names, which is what certificates are checked by; the common name is never read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A certificate that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate of X.509: {0}")]
pub struct UnreadableCertificate(String);

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// URIs (a SPIFFE id is one), then DNS names.
    pub names: Vec<String>,
    /// The end of its validity, in seconds since 1970.
    pub not_after: u64,
    /// SHA-256 of the certificate.
    pub sha256: [u8; 32],
}

/// How near the end of a certificate's validity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
    /// More than 14 days.
    Far,
    /// 14 days or less.
    Soon,
    /// A day or less.
    Tomorrow,
    /// It is over.
    Over,
}

impl Certificate {
    /// Reads one.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, UnreadableCertificate> {
        let (_, parsed) = X509Certificate::from_der(der).map_err(|error| UnreadableCertificate(error.to_string()))?;
        let alternative = parsed.subject_alternative_name();
        let alternative = alternative.map_err(|error| UnreadableCertificate(error.to_string()))?;
        let all = alternative.iter().flat_map(|extension| &extension.value.general_names);
        let uris = all.clone().filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
        let hosts = all.filter_map(|name| if let GeneralName::DNSName(host) = name { Some(*host) } else { None });
        let not_after = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest.as_ref());
        Ok(Self { names: uris.chain(hosts).map(str::to_owned).collect(), not_after, sha256 })
    }

    /// How near its end is.
    pub fn expiry(&self, now: SystemTime) -> Expiry {
        let end = UNIX_EPOCH + Duration::from_secs(self.not_after);
        match end.duration_since(now) {
            Err(_) => Expiry::Over,
            Ok(left) if left.is_zero() => Expiry::Over,
            Ok(left) if left <= DAY => Expiry::Tomorrow,
            Ok(left) if left <= 14 * DAY => Expiry::Soon,
            Ok(_) => Expiry::Far,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_seen_coming() {
        let certificate = Certificate { names: Vec::new(), not_after: 100 * 24 * 3600, sha256: [0; 32] };
        let at = |seconds: u64| certificate.expiry(UNIX_EPOCH + Duration::from_secs(seconds));
        let day = 24 * 3600;
        assert_eq!(at(86 * day - 1), Expiry::Far);
        assert_eq!(at(86 * day), Expiry::Soon);
        assert_eq!(at(99 * day - 1), Expiry::Soon);
        assert_eq!(at(99 * day), Expiry::Tomorrow);
        assert_eq!(at(100 * day - 1), Expiry::Tomorrow);
        assert_eq!(at(100 * day), Expiry::Over);
        assert_eq!(at(1000 * day), Expiry::Over);
    }

    #[test]
    fn what_isnt_a_certificate_is_refused() {
        assert!(Certificate::read(&CertificateDer::from(b"no".to_vec())).is_err());
    }
}
