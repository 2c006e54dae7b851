//! Tokens that an identity provider signed (JWT, as OIDC has them): whose are they, and what do they grant?
//!
//! ```text
//!   header ─► algorithm is one of ours ─► key by its id ─► unknown: one refresh, not more often than keys.rs lets
//!          ─► signature, iss, aud, exp, nbf ─► the claims for name and roles
//! ```
//!
//! The library reads and checks; the signature is checked by `ring` (provider.rs). Invariants: the algorithm is one of the
//! settings and fits the key, never what the token would like; secret-key algorithms don't exist here; a refusal says which
//! check failed and nothing of the token.

mod fetch;
mod keys;
mod provider;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::Value;

use super::book::NAME_LENGTH_MAX;
use crate::config::JwtConfig;
pub(crate) use keys::Keys;

/// How far the provider's clock may differ from ours.
const LEEWAY_SECONDS: u64 = 30;
/// Longer ones aren't looked at.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// The algorithms there are, by their names in the settings.
pub(crate) const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// What a valid token says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
}

/// Reads tokens.
#[derive(Debug)]
pub(crate) struct Jwt {
    validation: Validation,
    name_claim: String,
    roles_claim: String,
    pub(crate) keys: Keys,
}

impl Jwt {
    /// `None` where the settings name no issuer.
    pub(crate) fn new(config: &JwtConfig) -> Option<Self> {
        let issuer = config.issuer.clone()?;
        provider::install();
        let named = |name: &String| ALGORITHMS.iter().find(|(known, _)| known == name).map(|(_, it)| *it);
        let algorithms: Vec<Algorithm> = config.algorithms.iter().filter_map(named).collect();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.algorithms = algorithms;
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[config.audience.clone().unwrap_or_default()]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_aud = !crate::planted::is("audience_ignored");
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECONDS;
        let (name_claim, roles_claim) = (config.name_claim.clone(), config.roles_claim.clone());
        Some(Self { validation, name_claim, roles_claim, keys: Keys::new(config) })
    }

    /// Checks a token. What is wrong with it is said in words that are safe to send back.
    pub(crate) async fn read(&self, token: &str) -> Result<Said, &'static str> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("the token is too long");
        }
        let header = decode_header(token).map_err(|_| "the token can't be read")?;
        if !self.validation.algorithms.contains(&header.alg) {
            return Err("the token's algorithm is none of auth.jwt.algorithms");
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg).await;
        let key = key.ok_or("the token's key isn't among those of the provider")?;
        // One at a time: the library takes a list as one family.
        let validation = Validation { algorithms: vec![header.alg], ..self.validation.clone() };
        let claims = decode::<Value>(token, &key, &validation).map_err(|error| wrong(error.kind()))?.claims;
        let name = claims.get(&self.name_claim).and_then(Value::as_str).unwrap_or_default();
        let name = format!("jwt:{name}");
        let is_name =
            name.len() > 4 && name.len() <= NAME_LENGTH_MAX && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name {
            return Err("the token has no name that can be recorded in auth.jwt.name_claim");
        }
        Ok(Said { name, roles: listed(&claims, &self.roles_claim) })
    }
}

fn wrong(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "the token has expired",
        ErrorKind::ImmatureSignature => "the token isn't valid yet",
        ErrorKind::InvalidIssuer => "the token is of another issuer",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "the token lacks exp, iss or aud",
        _ => "the token's signature or form is wrong",
    }
}

/// The strings of a claim, which may lie deeper (`realm_access.roles`) and be a list or words.
fn listed(claims: &Value, path: &str) -> Vec<String> {
    let direct = claims.get(path);
    let found = direct.or_else(|| path.split('.').try_fold(claims, |inner, part| inner.get(part)));
    match found {
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(words)) => words.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
