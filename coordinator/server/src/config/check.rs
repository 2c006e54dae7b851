//! Which settings make sense: ranges, addresses, and what must fit together.
//!
//! It never changes a setting to make it fit. Invariant: every refusal names the option and the mend.

use std::net::SocketAddr;
use std::time::Duration;

use amends_engine::ids::{NAME_LENGTH_MAX, Namespace};

use super::load::ConfigError;
use super::tls::{both, may_bind};
use super::{AuthConfig, FrontDoorConfig, JwtConfig, ServerConfig, StoreConfig, StoreKind};
use crate::auth::ALGORITHMS;
use crate::front_door::Networks;

const MEBIBYTE: usize = 1024 * 1024;

/// The first setting that makes no sense.
pub(super) fn check(config: &ServerConfig) -> Result<(), ConfigError> {
    let ServerConfig {
        node,
        grpc,
        http,
        store,
        sagas,
        egress: _,
        discovery,
        auth,
        audit,
        front_door,
        limits,
        shutdown,
        log,
        telemetry,
        alerts,
        tls,
        outgoing_tls,
        insecure_i_know: _,
    } = config;
    if node.is_empty() || node.len() > NAME_LENGTH_MAX || node.chars().any(char::is_control) {
        return refuse("node", format!("a node's name has 1 to {NAME_LENGTH_MAX} printable characters"));
    }
    if let Some((key, problem)) = tls.problem().or_else(|| outgoing_tls.problem()) {
        return refuse(key, problem);
    }
    listen("grpc.listen", grpc.listen, config)?;
    listen("http.listen", http.listen, config)?;
    if let Some(address) = telemetry.metrics.listen {
        listen("telemetry.metrics.listen", address, config)?;
    }
    if let Some(endpoint) = &telemetry.otlp.endpoint {
        collector("telemetry.otlp.endpoint", endpoint)?;
    }
    if let Some(advertise) = &grpc.advertise {
        address("grpc.advertise", advertise, config.tls.files().is_some())?;
    }
    check_store(store)?;
    check_auth(auth, store)?;
    check_front_door(front_door)?;
    time("sagas.retention", sagas.retention, Duration::from_secs(1), Duration::from_secs(3650 * 24 * 3600))?;
    time("audit.retention", audit.retention, Duration::from_secs(3600), Duration::from_secs(36_500 * 24 * 3600))?;
    time("sagas.lease", sagas.lease, Duration::from_secs(1), Duration::from_secs(300))?;
    number("limits.message_bytes", limits.message_bytes, 1024, 64 * MEBIBYTE)?;
    number("limits.input_bytes", limits.input_bytes, 2, limits.message_bytes)?;
    number("limits.requests", limits.requests, 1, 1_000_000)?;
    number("limits.streams_per_connection", limits.streams_per_connection as usize, 1, 100_000)?;
    let day = Duration::from_secs(24 * 3600);
    time("limits.connection_age", limits.connection_age, Duration::from_secs(1), day)?;
    number("limits.sagas_per_shard", limits.sagas_per_shard, 1, 10_000_000)?;
    number("limits.requests_per_shard", limits.requests_per_shard, 1, 1_000_000)?;
    time("discovery.refresh", discovery.refresh, Duration::from_secs(1), Duration::from_secs(3600))?;
    if let Some(consul) = &discovery.consul {
        if !cfg!(feature = "consul") {
            let problem = "this program was built without Consul; build it with feature `consul`, or leave it out";
            return refuse("discovery.consul", problem.to_owned());
        }
        address("discovery.consul", consul, false)?;
    }
    time("alerts.keep", alerts.keep, Duration::from_secs(60), Duration::from_secs(365 * 24 * 3600))?;
    number("alerts.keep_entries", usize::try_from(alerts.keep_entries).unwrap_or(usize::MAX), 100, 10_000_000)?;
    if let Err((key, problem)) = alerts.settings() {
        return Err(ConfigError::Value { key, problem });
    }
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
    let (certificate, key) = ("store.redis.certificate_file", "store.redis.key_file");
    if let Some((key, problem)) = both(certificate, key, redis.certificate_file.as_ref(), redis.key_file.as_ref()) {
        return refuse(key, problem);
    }
    if Namespace::parse(&redis.name).is_err() {
        return refuse("store.redis.name", "use 1 to 128 of A-Z a-z 0-9 . _ -".to_owned());
    }
    match redis.attested_durability.as_deref() {
        None | Some("aof-always" | "aof-everysec") => Ok(()),
        Some(_) => refuse("store.redis.attested_durability", "write aof-always or aof-everysec".to_owned()),
    }
}

fn check_auth(auth: &AuthConfig, store: &StoreConfig) -> Result<(), ConfigError> {
    let AuthConfig { file, node_secret_file, node_certificates, jwt } = auth;
    if file.is_none() {
        let given = [
            ("auth.node_secret_file", node_secret_file.is_some()),
            ("auth.node_certificates", !node_certificates.is_empty()),
            ("auth.jwt.issuer", jwt.issuer.is_some()),
        ];
        return match given.into_iter().find(|(_, given)| *given) {
            Some((key, _)) => refuse(key, "nobody is asked who they are without auth.file; name it too".to_owned()),
            None => Ok(()),
        };
    }
    if store.kind == StoreKind::Redis && !auth.knows_nodes() {
        let mend = "other nodes can share this store, and must be told from anybody else; name a file with a secret of them all";
        return refuse("auth.node_secret_file", mend.to_owned());
    }
    if jwt.issuer.is_some() { check_jwt(jwt) } else { Ok(()) }
}

fn check_jwt(jwt: &JwtConfig) -> Result<(), ConfigError> {
    if jwt.audience.as_deref().unwrap_or_default().is_empty() {
        return refuse("auth.jwt.audience", "it is missing: tokens for other services would be taken too".to_owned());
    }
    let is_known = |name: &String| ALGORITHMS.iter().any(|(known, _)| known == name);
    if jwt.algorithms.is_empty() || !jwt.algorithms.iter().all(is_known) {
        let known: Vec<&str> = ALGORITHMS.iter().map(|(name, _)| *name).collect();
        return refuse("auth.jwt.algorithms", format!("write some of {}", known.join(", ")));
    }
    match (&jwt.jwks_file, &jwt.jwks_url) {
        (Some(_), None) => Ok(()),
        (None, Some(url)) => check_jwks_url(url),
        (None, None) | (Some(_), Some(_)) => {
            refuse("auth.jwt.jwks_url", "name either this or auth.jwt.jwks_file: where the keys are".to_owned())
        }
    }
}

/// Whoever can change keys on their way can be anybody.
fn check_jwks_url(url: &str) -> Result<(), ConfigError> {
    let is_loopback = |host: &str| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    };
    let read: Option<http::Uri> = url.parse().ok();
    let is_safe = read.is_some_and(|uri| match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => is_loopback(host),
        _ => false,
    });
    if is_safe {
        Ok(())
    } else {
        refuse("auth.jwt.jwks_url", format!("{url:?} can't be trusted; write https://host/path"))
    }
}

fn check_front_door(front: &FrontDoorConfig) -> Result<(), ConfigError> {
    for (key, texts) in [("front_door.allow", &front.allow), ("front_door.deny", &front.deny)] {
        if let Err(problem) = Networks::parse(texts, &[]) {
            return refuse(key, problem);
        }
    }
    number("front_door.connections", front.connections, 1, 1_000_000)?;
    number("front_door.connections_per_address", front.connections_per_address, 1, 1_000_000)?;
    time("front_door.header_time", front.header_time, Duration::from_millis(100), Duration::from_secs(300))?;
    time("front_door.start_time_target", front.start_time_target, Duration::ZERO, Duration::from_secs(60))
}

/// A listener's address.
fn listen(key: &'static str, address: SocketAddr, config: &ServerConfig) -> Result<(), ConfigError> {
    match may_bind(address, config.tls.files().is_some(), config.auth.file.is_some()) {
        Err(_) if config.insecure_i_know => Ok(()),
        Err(problem) => refuse(key, problem),
        Ok(()) => Ok(()),
    }
}

/// Where other nodes connect to: a scheme, a host, a port, and nothing else.
fn address(key: &'static str, given: &str, is_tls: bool) -> Result<(), ConfigError> {
    let scheme = if is_tls { "https" } else { "http" };
    let read: Option<http::Uri> = given.parse().ok();
    let is_address = read.is_some_and(|uri| {
        uri.scheme_str() == Some(scheme) && uri.port_u16().is_some() && uri.path() == "/" && uri.query().is_none()
    });
    if is_address {
        return Ok(());
    }
    let with = if is_tls { "with TLS" } else { "without TLS" };
    let problem =
        format!("{given:?} is not an address {with}; write {scheme}://host:port, for example {scheme}://10.0.0.7:7400");
    refuse(key, problem)
}

/// A collector: a scheme, a host, a port, and nothing else.
fn collector(key: &'static str, given: &str) -> Result<(), ConfigError> {
    let read: Option<http::Uri> = given.parse().ok();
    let is_address = read.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.port_u16().is_some() && uri.path() == "/"
    });
    if is_address {
        return Ok(());
    }
    refuse(key, format!("{given:?} is not an address; write http://host:port, for example http://127.0.0.1:4317"))
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
