//! Redis in the configuration: where it is, and what it must keep.
//!
//! Invariant: a password in the address is never written out again, in no error and no dump.

use std::path::PathBuf;

use amends_store::redis::{Address, Durability};
use serde::{Deserialize, Serialize};

/// The store on Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// Where it is.
    #[serde(with = "url")]
    pub url: Option<Address>,
    /// The store's name in all its keys.
    pub name: String,
    /// What an answered request has to survive.
    #[serde(with = "level")]
    pub durability: Durability,
    /// How many replicas must confirm each commit; `None`: all that there are.
    pub replicas: Option<u16>,
    /// What the operator vouches for where the server doesn't tell.
    pub attested_durability: Option<String>,
    /// The id that the store must have.
    pub id: Option<String>,
    /// Certificate authorities to trust instead of the public ones: a PEM file.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show where the server asks for one.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: None,
            name: "main".to_owned(),
            durability: Durability::Strict,
            replicas: None,
            attested_durability: None,
            id: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
        }
    }
}

mod url {
    use super::Address;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(address: &Option<Address>, serializer: S) -> Result<S::Ok, S::Error> {
        match address {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| Address::parse(&text)).transpose().map_err(D::Error::custom)
    }
}

mod level {
    use super::Durability;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(level: &Durability, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match level {
            Durability::Strict => "strict",
            Durability::Relaxed => "relaxed",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Durability, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "strict" => Ok(Durability::Strict),
            "relaxed" => Ok(Durability::Relaxed),
            other => Err(D::Error::custom(format!("{other:?} is not a durability: write strict or relaxed"))),
        }
    }
}
