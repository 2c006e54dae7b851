//! Tokens: made at random, kept only as their digest, compared in constant time.
//!
//! Nothing here is ever logged; [`Secret`] shows nothing of itself. Invariant: a token has 256 random bits, so that its plain
//! SHA-256 can't be guessed back.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;

/// What every token of ours begins with, so that people and secret scanners recognise one.
pub(crate) const PREFIX: &str = "amends_";
const RANDOM_BYTES: usize = 32;

/// SHA-256 of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }

    /// From 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
        }
        // Signs, which the reading of numbers lets pass, are none.
        text.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes as long for any other.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandom;

/// A token that was just made. Only its digest is kept anywhere.
pub struct Secret {
    token: String,
    digest: Digest,
}

impl Secret {
    /// Makes one from the system's random numbers.
    ///
    /// # Errors
    /// The system gives none.
    pub fn generate() -> Result<Self, NoRandom> {
        let mut random = [0; RANDOM_BYTES];
        SystemRandom::new().fill(&mut random).map_err(|_| NoRandom)?;
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let digest = Digest::of(&token);
        Ok(Self { token, digest })
    }

    /// The token itself: for its owner, once.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// SHA-256 of the token, 64 hexadecimal digits: for the access file.
    pub fn sha256(&self) -> String {
        self.digest.to_string()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_digest_alone() {
        let (first, second) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(first.token(), second.token());
        assert_eq!(first.token().len(), PREFIX.len() + 43, "256 bits");
        let kept = Digest::parse(&first.sha256()).unwrap();
        assert!(kept.is(&Digest::of(first.token())) && !kept.is(&Digest::of(second.token())));
        assert!(!format!("{first:?}").contains(first.token()));
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_digest() {
        let known = Digest::of("").to_string();
        assert_eq!(known, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert!(Digest::parse(&known).is_some());
        for wrong in ["", "e3", &"+1".repeat(32), &"g".repeat(64), &"é".repeat(32)] {
            assert!(Digest::parse(wrong).is_none(), "{wrong}");
        }
    }
}
