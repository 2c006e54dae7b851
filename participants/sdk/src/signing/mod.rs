//! Checks that a call comes from the coordinator: its signature, over everything that the barrier acts on.
//!
//! The coordinator signs with the secrets that the participant is registered with (`amends participant register --sign-with`); here
//! are the same secrets. A call that somebody kept and sends again is refused by its age, and within the tolerance it is a
//! repeat like any other, which the barrier answers with the stored reply. Invariants: without a signature that fits nothing of
//! a call gets further; no error or `Debug` shows a secret.

mod layer;

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderMap;
use ring::{digest, hmac};

use crate::planted::{self, Bug};
pub use layer::{SignedLayer, SignedService};

/// Most secrets at the same time: the new one and the old one while they are rotated, and one to spare.
pub const SECRETS_MAX: usize = 3;
/// How far the coordinator's clock and ours may be apart, the call's own time on the way included.
pub const TOLERANCE: Duration = Duration::from_secs(300);
/// Most signatures of a call that are looked at.
const SIGNATURES_MAX: usize = 8;
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// Secrets that can't be used. They aren't shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecrets {
    /// None, or more than [`SECRETS_MAX`].
    #[error("give 1 to {SECRETS_MAX} signing secrets: the new one and the old one while they are rotated")]
    Count,
    /// Not of the form that one must have.
    #[error(
        "a signing secret is `whsec_` and base64 of 24 to 64 bytes; make one with `echo whsec_$(openssl rand -base64 32)`"
    )]
    Malformed,
}

/// Why a call isn't believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// No signature came with it.
    #[error("the call isn't signed; register this participant with --sign-with")]
    Missing,
    /// It was signed too long ago, or in the future.
    #[error("the call was signed more than {} s from now; are both clocks right?", TOLERANCE.as_secs())]
    Time,
    /// No signature fits.
    #[error("no signature of the call fits; is it the same secret on both sides?")]
    Wrong,
    /// It isn't one plain gRPC message.
    #[error("only a call with one message, not compressed, can be checked")]
    Message,
}

/// Checks signatures.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<hmac::Key>,
}

impl Verifier {
    /// With these secrets; a call that any of them has signed is believed.
    ///
    /// # Errors
    /// When there are none or too many, or one isn't a secret.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Result<Self, InvalidSecrets> {
        let keys: Vec<hmac::Key> = secrets.into_iter().map(key).collect::<Result<_, _>>()?;
        if (1..=SECRETS_MAX).contains(&keys.len()) { Ok(Self { keys }) } else { Err(InvalidSecrets::Count) }
    }

    /// Checks a call of the method at `path` (`/payment.v1.Payment/Charge`) with this request message.
    ///
    /// # Errors
    /// When it isn't to be believed.
    pub fn check(&self, path: &str, headers: &HeaderMap, message: &[u8], now: SystemTime) -> Result<(), NotSigned> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (seconds, signatures) = (header("amends-timestamp"), header("amends-signature"));
        if seconds.is_empty() || signatures.is_empty() {
            return Err(NotSigned::Missing);
        }
        let signed_at = seconds.parse().map_err(|_| NotSigned::Time)?;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if now.abs_diff(signed_at) > TOLERANCE.as_secs() {
            return Err(NotSigned::Time);
        }
        let text = signed_text(path, seconds, header, message);
        let fits = |signature: &str| {
            let bytes = signature.strip_prefix("v1,").and_then(|text| BASE64_STANDARD.decode(text).ok());
            // In constant time.
            bytes.is_some_and(|bytes| self.keys.iter().any(|key| hmac::verify(key, text.as_bytes(), &bytes).is_ok()))
        };
        if planted::is(Bug::SignatureNotChecked) || signatures.split(' ').take(SIGNATURES_MAX).any(fits) {
            return Ok(());
        }
        Err(NotSigned::Wrong)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} secrets)", self.keys.len())
    }
}

fn key(secret: &str) -> Result<hmac::Key, InvalidSecrets> {
    let bytes = secret.trim().strip_prefix("whsec_").and_then(|text| BASE64_STANDARD.decode(text).ok());
    let bytes = bytes.filter(|bytes| LENGTHS.contains(&bytes.len())).ok_or(InvalidSecrets::Malformed)?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// One line each: `amends-v1`, the time, the method, the metadata that the barrier acts on (empty where there is none), and
/// SHA-256 of the message in hex. No header's value has a line break.
fn signed_text<'h>(path: &str, seconds: &str, header: impl Fn(&str) -> &'h str, message: &[u8]) -> String {
    let mut text = format!("amends-v1\n{seconds}\n{path}\n");
    for name in ["idempotency-key", "amends-epoch", "amends-expects", "amends-saga-begun", "amends-floor"] {
        text.push_str(header(name));
        text.push('\n');
    }
    for byte in digest::digest(&digest::SHA256, message).as_ref() {
        // A string takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
