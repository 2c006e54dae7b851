//! The provider's keys: kept at hand, read again now and then, and once when a token names one that isn't known.
//!
//! Keys that were read stay until newer ones are: a provider that is down locks nobody out. Invariant: tokens with made-up key
//! ids cause at most one read in [`READ_AGAIN_MIN`], whoever sends them and however many.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use tokio::sync::Mutex;

use super::fetch::{self, FetchError};
use crate::config::JwtConfig;
use crate::error::chain;

/// How often keys are read at most for the sake of unknown ones.
pub(super) const READ_AGAIN_MIN: Duration = Duration::from_secs(10);
/// How long keys from an address are believed before they are read again.
const FRESH: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Url(String, Option<PathBuf>),
}

/// The keys. A read is waited for by everybody who needs it, and made once.
#[derive(Debug)]
pub(crate) struct Keys {
    source: Option<Source>,
    set: RwLock<Arc<JwkSet>>,
    /// When keys were last asked for. Held while they are.
    asked: Mutex<Option<Instant>>,
}

impl Keys {
    pub(super) fn new(config: &JwtConfig) -> Self {
        let url = config.jwks_url.clone().map(|url| Source::Url(url, config.ca_file.clone()));
        let source = config.jwks_file.clone().map(Source::File).or(url);
        Self { source, set: RwLock::default(), asked: Mutex::default() }
    }

    /// The key of a token; reads the keys again if it isn't known.
    pub(super) async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        if let Some(found) = pick(&self.known(), id, algorithm) {
            return Some(found);
        }
        let mut asked = self.asked.lock().await;
        // Somebody else may have read them meanwhile.
        if let Some(found) = pick(&self.known(), id, algorithm) {
            return Some(found);
        }
        if !is_due(*asked, Instant::now(), READ_AGAIN_MIN) {
            return None;
        }
        *asked = Some(Instant::now());
        self.read_or_keep().await;
        pick(&self.known(), id, algorithm)
    }

    /// Reads them if they are due: a file always, which costs little; an address after [`FRESH`].
    pub(crate) async fn refresh(&self) {
        let mut asked = self.asked.lock().await;
        let period = if matches!(self.source, Some(Source::Url(..))) { FRESH } else { Duration::ZERO };
        if is_due(*asked, Instant::now(), period) {
            if matches!(self.source, Some(Source::Url(..))) {
                *asked = Some(Instant::now());
            }
            self.read_or_keep().await;
        }
    }

    fn known(&self) -> Arc<JwkSet> {
        self.set.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read_or_keep(&self) {
        match self.read().await {
            Ok(set) => {
                let known = self.known();
                if *known != set {
                    tracing::info!(keys = set.keys.len(), "keys of the identity provider read");
                    *self.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
                }
            }
            Err(error) => {
                let known = self.known().keys.len();
                tracing::warn!(
                    error = chain(&error),
                    known,
                    "keys of the identity provider can't be read; keeping those known"
                );
            }
        }
    }

    async fn read(&self) -> Result<JwkSet, FetchError> {
        let bytes: bytes::Bytes = match &self.source {
            None => return Ok(JwkSet::default()),
            Some(Source::File(path)) => tokio::fs::read(path).await.map_err(FetchError::File)?.into(),
            Some(Source::Url(url, ca_file)) => fetch::get(url, ca_file.as_deref()).await?,
        };
        // Key by key: one of a kind that the library doesn't know must not hide the others.
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|_| FetchError::NoKeys)?;
        let keys = value.get("keys").and_then(serde_json::Value::as_array).ok_or(FetchError::NoKeys)?;
        let keys = keys.iter().filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok()).collect();
        Ok(JwkSet { keys })
    }
}

fn is_due(asked: Option<Instant>, now: Instant, period: Duration) -> bool {
    asked.is_none_or(|asked| now.saturating_duration_since(asked) >= period)
}

/// The key by its id, if it is one for this algorithm. A token without an id needs there to be only one key for it.
fn pick(set: &JwkSet, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let mut fitting = set.keys.iter().filter(|key| fits(key, algorithm));
    let found = match id {
        Some(id) => fitting.find(|key| key.common.key_id.as_deref() == Some(id))?,
        None => {
            let only = fitting.next()?;
            if fitting.next().is_some() {
                return None;
            }
            only
        }
    };
    DecodingKey::from_jwk(found).ok()
}

fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let named = key.common.key_algorithm.is_none_or(|named| named.to_string() == format!("{algorithm:?}"));
    let signs = key.common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
    let kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), _) => algorithm.family() == AlgorithmFamily::Rsa,
        (AlgorithmParameters::EllipticCurve(of), Algorithm::ES256) => of.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(of), Algorithm::ES384) => of.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(of), Algorithm::EdDSA) => of.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    named && signs && kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_keys_cause_few_reads() {
        let now = Instant::now();
        assert!(is_due(None, now, READ_AGAIN_MIN));
        assert!(!is_due(Some(now), now + READ_AGAIN_MIN / 2, READ_AGAIN_MIN));
        assert!(is_due(Some(now), now + READ_AGAIN_MIN, READ_AGAIN_MIN));
    }
}
