//! Which settings make sense: ranges, addresses, and what must fit together.
//!
//! It never changes a setting to make it fit. Invariant: every refusal names the option and the mend.

use std::net::SocketAddr;
use std::time::Duration;

use amends_engine::ids::{NAME_LENGTH_MAX, Namespace};

use super::load::ConfigError;
use super::{ServerConfig, StoreConfig, StoreKind};

const MEBIBYTE: usize = 1024 * 1024;

/// The first setting that makes no sense.
pub(super) fn check(config: &ServerConfig) -> Result<(), ConfigError> {
    let ServerConfig { node, grpc, http, store, sagas, egress: _, limits, shutdown, log } = config;
    if node.is_empty() || node.len() > NAME_LENGTH_MAX || node.chars().any(char::is_control) {
        return refuse("node", format!("a node's name has 1 to {NAME_LENGTH_MAX} printable characters"));
    }
    listen("grpc.listen", grpc.listen)?;
    listen("http.listen", http.listen)?;
    if let Some(advertise) = &grpc.advertise {
        address("grpc.advertise", advertise)?;
    }
    check_store(store)?;
    time("sagas.retention", sagas.retention, Duration::from_secs(1), Duration::from_secs(3650 * 24 * 3600))?;
    time("sagas.lease", sagas.lease, Duration::from_secs(1), Duration::from_secs(300))?;
    number("limits.message_bytes", limits.message_bytes, 1024, 64 * MEBIBYTE)?;
    number("limits.input_bytes", limits.input_bytes, 2, limits.message_bytes)?;
    number("limits.requests", limits.requests, 1, 1_000_000)?;
    number("limits.streams_per_connection", limits.streams_per_connection as usize, 1, 100_000)?;
    let day = Duration::from_secs(24 * 3600);
    time("limits.connection_age", limits.connection_age, Duration::from_secs(1), day)?;
    number("limits.sagas_per_shard", limits.sagas_per_shard, 1, 10_000_000)?;
    number("limits.requests_per_shard", limits.requests_per_shard, 1, 1_000_000)?;
    time("shutdown.grace", shutdown.grace, Duration::ZERO, Duration::from_secs(3600))?;
    if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&log.filter) {
        return refuse("log.filter", format!("{error}; write a level such as `info`, or `info,amends_runtime=debug`"));
    }
    Ok(())
}

fn check_store(store: &StoreConfig) -> Result<(), ConfigError> {
    if let Some(shards) = store.shards {
        number("store.shards", usize::from(shards), 1, 1024)?;
    }
    if store.data.as_os_str().is_empty() {
        return refuse("store.data", "it is empty; name a directory".to_owned());
    }
    let redis = &store.redis;
    match (store.kind == StoreKind::Redis, redis.url.is_some()) {
        (true, false) => {
            return refuse("store.redis.url", "it is missing; write redis://user:password@host:6379".to_owned());
        }
        (false, true) => {
            return refuse("store.kind", "store.redis.url is given; write redis here, or leave the url out".to_owned());
        }
        (true, true) | (false, false) => {}
    }
    if Namespace::parse(&redis.name).is_err() {
        return refuse("store.redis.name", "use 1 to 128 of A-Z a-z 0-9 . _ -".to_owned());
    }
    match redis.attested_durability.as_deref() {
        None | Some("aof-always" | "aof-everysec") => Ok(()),
        Some(_) => refuse("store.redis.attested_durability", "write aof-always or aof-everysec".to_owned()),
    }
}

/// Only this machine can connect to a loopback address.
fn listen(key: &'static str, address: SocketAddr) -> Result<(), ConfigError> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    refuse(
        key,
        format!(
            "other machines could reach {address}, and there is neither TLS nor authentication yet; \
             write a loopback address such as 127.0.0.1:{}",
            address.port()
        ),
    )
}

/// Where other nodes connect to: a scheme, a host, a port, and nothing else.
fn address(key: &'static str, given: &str) -> Result<(), ConfigError> {
    let read: Option<http::Uri> = given.parse().ok();
    let is_address = read.is_some_and(|uri| {
        uri.scheme_str() == Some("http") && uri.port_u16().is_some() && uri.path() == "/" && uri.query().is_none()
    });
    if is_address {
        return Ok(());
    }
    refuse(key, format!("{given:?} is not an address; write http://host:port, for example http://10.0.0.7:7400"))
}

fn number(key: &'static str, given: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    if (min..=max).contains(&given) {
        return Ok(());
    }
    refuse(key, format!("{given} is out of range; write a number from {min} to {max}"))
}

fn time(key: &'static str, given: Duration, min: Duration, max: Duration) -> Result<(), ConfigError> {
    if (min..=max).contains(&given) {
        return Ok(());
    }
    refuse(key, format!("{given:?} is out of range; write a time from {min:?} to {max:?}"))
}

fn refuse(key: &'static str, problem: String) -> Result<(), ConfigError> {
    Err(ConfigError::Value { key: key.to_owned(), problem })
}
