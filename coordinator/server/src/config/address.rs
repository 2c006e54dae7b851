//! Addresses in the configuration: `ip:port`. Names are refused, since what they stand for can change after the check.

use std::net::SocketAddr;

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(address: &SocketAddr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let explain = |_| format!("{text:?} is not an address; write ip:port, for example 127.0.0.1:7400");
    text.parse().map_err(|error| D::Error::custom(explain(error)))
}
