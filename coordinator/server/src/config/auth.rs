//! Who may do what: where that is written. Judging it is `auth/`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Authentication.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// The access file; `None`: nobody is asked who they are.
    pub file: Option<PathBuf>,
    /// A file with the secret that the nodes of a store share.
    pub node_secret_file: Option<PathBuf>,
    /// Names of client certificates by which other nodes of the store are known.
    pub node_certificates: Vec<String>,
    /// Tokens of an identity provider.
    pub jwt: JwtConfig,
}

impl AuthConfig {
    /// Whether callers are asked who they are.
    pub fn is_on(&self) -> bool {
        self.file.is_some()
    }

    /// Whether the other nodes of a store can be told from anybody else.
    pub fn knows_nodes(&self) -> bool {
        self.node_secret_file.is_some() || !self.node_certificates.is_empty()
    }
}

/// Tokens of an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JwtConfig {
    /// `iss` of its tokens; `None`: no such tokens are taken.
    pub issuer: Option<String>,
    /// What `aud` must name.
    pub audience: Option<String>,
    /// The algorithms that are taken.
    pub algorithms: Vec<String>,
    /// Its keys: a file.
    pub jwks_file: Option<PathBuf>,
    /// Its keys: an address.
    pub jwks_url: Option<String>,
    /// Certificate authorities to trust besides the public ones, for `jwks_url`: a PEM file.
    pub ca_file: Option<PathBuf>,
    /// The claim with the caller's name.
    pub name_claim: String,
    /// The claim whose values the access file maps to grants.
    pub roles_claim: String,
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            algorithms: vec!["RS256".to_owned(), "ES256".to_owned()],
            jwks_file: None,
            jwks_url: None,
            ca_file: None,
            name_claim: "sub".to_owned(),
            roles_claim: "roles".to_owned(),
        }
    }
}
