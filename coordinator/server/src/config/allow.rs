//! The entries of `egress.allow`, as texts: `public`, `10.0.0.0/8`, `merchant.example:443`.

use amends_runtime::participant::Allow;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(entries: &[Allow], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(entries.iter().map(ToString::to_string))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Allow>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.trim().parse().map_err(D::Error::custom)).collect()
}
