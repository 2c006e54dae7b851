//! Secrets that requests are signed with: named by a reference, read from there, kept in memory only.
//!
//! A registration, its stored record and every answer of the API have the reference; the secret itself is nowhere but in a
//! [`Keyring`]. The form is that of Standard Webhooks: `whsec_` and base64 of 24 to 64 bytes. Invariants: no error, log or
//! `Debug` shows a secret or any part of it; a secret that can't be read never means "unsigned".

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ring::hmac;

/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 4096;
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretReference {
    /// `env:NAME`: an environment variable of the server.
    Env(String),
    /// `file:/path`: a file on the server's machine.
    File(PathBuf),
}

/// A text that refers to no secret. It isn't shown: it may be the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a reference to a secret: write env:NAME, or file:/absolute/path, and put the secret there; never the secret itself"
)]
pub struct InvalidSecretReference;

/// A secret that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such variable.
    #[error("{0}: the server's environment has no such variable; set it and start the server again")]
    NotSet(SecretReference),
    /// The file can't be read.
    #[error("{0}: the server can't read it")]
    Unreadable(SecretReference, #[source] std::io::Error),
    /// Not of the form that it must have.
    #[error(
        "{0}: a signing secret is `whsec_` and base64 of 24 to 64 bytes; make one with `echo whsec_$(openssl rand -base64 32)`"
    )]
    Malformed(SecretReference),
}

impl SecretReference {
    /// Reads a reference.
    pub fn parse(text: &str) -> Result<Self, InvalidSecretReference> {
        match text.split_once(':') {
            Some(("env", name)) if is_variable(name) => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if path.starts_with('/') && !path.contains('\0') => Ok(Self::File(path.into())),
            _ => Err(InvalidSecretReference),
        }
    }

    /// Reads the secret. It may block for as long as a small file takes.
    pub(super) fn read(&self) -> Result<SigningKey, SecretError> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::NotSet(self.clone()))?,
            Self::File(path) => {
                let unreadable = |error| SecretError::Unreadable(self.clone(), error);
                // A pipe or a device could keep us waiting for ever.
                if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
                    return Err(unreadable(std::io::Error::other("it is no regular file")));
                }
                let file = std::fs::File::open(path).map_err(unreadable)?;
                let mut text = String::new();
                file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
                text
            }
        };
        SigningKey::parse(text.trim()).ok_or_else(|| SecretError::Malformed(self.clone()))
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A secret, ready to sign.
#[derive(Clone)]
pub(super) struct SigningKey(hmac::Key);

impl SigningKey {
    fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
        LENGTHS.contains(&bytes.len()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// HMAC-SHA256 of these parts, one after the other, in base64.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        BASE64_STANDARD.encode(context.sign())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// The secrets that were read.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: RwLock<BTreeMap<SecretReference, Result<SigningKey, String>>>,
}

impl Keyring {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a secret, anew where it is known. One that can't be read doesn't replace one that could. May block.
    pub fn load(&self, reference: &SecretReference) -> Result<(), SecretError> {
        let read = reference.read();
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(key) => {
                keys.insert(reference.clone(), Ok(key));
                Ok(())
            }
            Err(error) => {
                keys.entry(reference.clone()).or_insert_with(|| Err(crate::error::with_sources(&error)));
                Err(error)
            }
        }
    }

    /// Why requests can't be signed with this secret; `None`: they can.
    pub fn problem(&self, reference: &SecretReference) -> Option<String> {
        self.get(reference).err()
    }

    pub(super) fn get(&self, reference: &SecretReference) -> Result<SigningKey, String> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(reference).cloned().unwrap_or_else(|| Err(format!("{reference}: it hasn't been read")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_reference_names_a_place_and_nothing_else_is_one() {
        for text in ["env:MERCHANT_SECRET", "env:_a1", "file:/run/secrets/merchant"] {
            assert_eq!(SecretReference::parse(text).unwrap().to_string(), text);
        }
        for text in [SECRET, "", "env:", "env:1A", "env:A B", "env:A=B", "file:", "file:relative", "vault:a", "env"] {
            let error = SecretReference::parse(text).unwrap_err().to_string();
            assert!(!error.contains("MfKQ"), "{error}");
        }
    }

    #[test]
    fn a_file_holds_one_secret_and_errors_show_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let reference = SecretReference::parse(&format!("file:{}", path.display())).unwrap();
        let keyring = Keyring::new();
        assert!(matches!(keyring.load(&reference), Err(SecretError::Unreadable(..))));
        assert!(keyring.problem(&reference).unwrap().contains("can't read it"));
        for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
        {
            std::fs::write(&path, bad).unwrap();
            let error = keyring.load(&reference).unwrap_err();
            assert!(
                matches!(error, SecretError::Malformed(_)) && !format!("{error} {error:?}").contains("MfKQ"),
                "{error}"
            );
        }
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        keyring.load(&reference).unwrap();
        assert_eq!(keyring.problem(&reference), None);
        std::fs::remove_file(&path).unwrap();
        assert!(keyring.load(&reference).is_err());
        assert_eq!(keyring.problem(&reference), None, "what could be read is kept");
        assert!(!format!("{keyring:?}").contains("MfKQ"));
        let device = SecretReference::parse("file:/dev/zero").unwrap();
        assert!(keyring.load(&device).is_err(), "and it ends");
    }

    /// The example of the Standard Webhooks specification.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let key = SigningKey::parse(SECRET).unwrap();
        let signature =
            key.sign(&[b"msg_p5jXN8AQM9LWM0D4loKWxJek", b".", b"1614265330", b".", b"{\"test\": 2432232314}"]);
        assert_eq!(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
