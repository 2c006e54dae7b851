//! Which settings make sense: ranges, addresses, and what must fit together.
//!
//! It never changes a setting to make it fit. Invariant: every refusal names the option and the mend.

use std::net::SocketAddr;
use std::time::Duration;

use amends_engine::ids::NAME_LENGTH_MAX;

use super::ServerConfig;
use super::load::ConfigError;

const MEBIBYTE: usize = 1024 * 1024;

/// The first setting that makes no sense.
pub(super) fn check(config: &ServerConfig) -> Result<(), ConfigError> {
    let ServerConfig { node, grpc, http, store, sagas, egress: _, limits, shutdown, log } = config;
    if node.is_empty() || node.len() > NAME_LENGTH_MAX || node.chars().any(char::is_control) {
        return refuse("node", format!("a node's name has 1 to {NAME_LENGTH_MAX} printable characters"));
    }
    listen("grpc.listen", grpc.listen)?;
    listen("http.listen", http.listen)?;
    if let Some(shards) = store.shards {
        number("store.shards", usize::from(shards), 1, 1024)?;
    }
    if store.data.as_os_str().is_empty() {
        return refuse("store.data", "it is empty; name a directory".to_owned());
    }
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
