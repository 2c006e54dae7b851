//! The server's settings: a tree of typed values with their defaults.
//!
//! `config.default.yaml` beside this crate documents every one of them; a test holds the two to each other. Reading them
//! from file, environment and flags is `load.rs`, judging them `check.rs`. Invariant: a [`ServerConfig`] that [`load`] gave
//! has passed all checks; nothing else in this crate checks a setting again.

mod address;
mod alerts;
mod allow;
mod audit;
mod auth;
mod check;
mod discovery;
mod duration;
mod front_door;
mod load;
mod redis;
mod telemetry;
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use amends_runtime::participant::{Allow, Egress};
use serde::{Deserialize, Serialize};

pub use alerts::{AlertsConfig, WebhookConfig, WebhookUrl};
pub use audit::AuditConfig;
pub use auth::{AuthConfig, JwtConfig};
pub use discovery::DiscoveryConfig;
pub use front_door::FrontDoorConfig;
pub use load::{ConfigError, Flags, load};
pub use redis::RedisConfig;
pub use telemetry::{MetricsConfig, OtlpConfig, TelemetryConfig};
pub use tls::{Clients, OutgoingTlsConfig, TlsConfig, may_bind};

/// The reference documentation of all options, as a valid configuration file.
pub const DEFAULT_FILE: &str = include_str!("../../config.default.yaml");

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// The node's name; where none is given and others may share the store, made of host and port by [`load`].
    #[serde(deserialize_with = "name_or_none")]
    pub node: String,
    /// The API.
    pub grpc: GrpcConfig,
    /// The API as JSON, health, readiness, version.
    pub http: HttpConfig,
    /// Where sagas are remembered.
    pub store: StoreConfig,
    /// How sagas run.
    pub sagas: SagasConfig,
    /// Whom HTTP participants may be.
    pub egress: EgressConfig,
    /// How participants' addresses are found.
    pub discovery: DiscoveryConfig,
    /// Who may do what.
    pub auth: AuthConfig,
    /// How long it is remembered who did what.
    pub audit: AuditConfig,
    /// What is let in.
    pub front_door: FrontDoorConfig,
    /// What is refused.
    pub limits: LimitsConfig,
    /// How the server stops.
    pub shutdown: ShutdownConfig,
    /// What is logged.
    pub log: LogConfig,
    /// Metrics and traces.
    pub telemetry: TelemetryConfig,
    /// Who is told what happens.
    pub alerts: AlertsConfig,
    /// What the listeners show.
    pub tls: TlsConfig,
    /// How other nodes and participants are connected to.
    pub outgoing_tls: OutgoingTlsConfig,
    /// Others may reach the listeners without TLS and authentication.
    pub insecure_i_know: bool,
}

/// Left out is as good as absent.
fn name_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Where gRPC is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// `ip:port`; see [`may_bind`].
    #[serde(with = "address")]
    pub listen: SocketAddr,
    /// Where other nodes reach it, as `http://host:port`, over TLS `https://host:port`; `None`: at `listen`.
    pub advertise: Option<String>,
}

/// Where HTTP is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// `ip:port`; see [`may_bind`].
    #[serde(with = "address")]
    pub listen: SocketAddr,
}

/// Where sagas are remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Which store.
    pub kind: StoreKind,
    /// Its directory.
    pub data: PathBuf,
    /// Into how many parts the sagas are divided; `None`: as the store has it, or 16 in a new one, 64 on Redis.
    pub shards: Option<u16>,
    /// Redis, when it is the store.
    pub redis: RedisConfig,
}

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// One file, embedded.
    Sqlite,
    /// A Redis server, a master under Sentinels, or a Cluster.
    Redis,
    /// Gone when the process ends.
    Memory,
}

/// How sagas run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SagasConfig {
    /// How long finished sagas are kept.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// How long a lease on a shard lasts.
    #[serde(with = "duration")]
    pub lease: Duration,
}

/// Whom HTTP participants may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// Addresses that may be connected to.
    #[serde(with = "allow")]
    pub allow: Vec<Allow>,
    /// Certificate authorities to trust besides the public ones: a PEM file.
    pub ca_file: Option<PathBuf>,
}

/// What is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Largest request.
    pub message_bytes: usize,
    /// Largest input of a saga.
    pub input_bytes: usize,
    /// Requests at the same time.
    pub requests: usize,
    /// Requests at the same time over one connection.
    pub streams_per_connection: u32,
    /// When a connection is renewed.
    #[serde(with = "duration")]
    pub connection_age: Duration,
    /// Sagas in memory per shard.
    pub sagas_per_shard: usize,
    /// Requests that wait for one shard.
    pub requests_per_shard: usize,
}

/// How the server stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long it waits for what is under way.
    #[serde(with = "duration")]
    pub grace: Duration,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Level or directives.
    pub filter: String,
    /// For whom.
    pub format: LogFormat,
}

/// For whom the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            node: "amends".to_owned(),
            grpc: GrpcConfig::default(),
            http: HttpConfig::default(),
            store: StoreConfig::default(),
            sagas: SagasConfig::default(),
            egress: EgressConfig::default(),
            discovery: DiscoveryConfig::default(),
            auth: AuthConfig::default(),
            audit: AuditConfig::default(),
            front_door: FrontDoorConfig::default(),
            limits: LimitsConfig::default(),
            shutdown: ShutdownConfig::default(),
            log: LogConfig::default(),
            telemetry: TelemetryConfig::default(),
            alerts: AlertsConfig::default(),
            tls: TlsConfig::default(),
            outgoing_tls: OutgoingTlsConfig::default(),
            insecure_i_know: false,
        }
    }
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7400)), advertise: None }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7480)) }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            kind: StoreKind::Sqlite,
            data: PathBuf::from("./amends-data"),
            shards: None,
            redis: RedisConfig::default(),
        }
    }
}

impl Default for SagasConfig {
    fn default() -> Self {
        Self { retention: Duration::from_secs(7 * 24 * 3600), lease: Duration::from_secs(5) }
    }
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self { allow: Egress::ALLOW.into(), ca_file: None }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_bytes: 1024 * 1024,
            input_bytes: 256 * 1024,
            requests: 4096,
            streams_per_connection: 256,
            connection_age: Duration::from_secs(30 * 60),
            sagas_per_shard: 20_000,
            requests_per_shard: 1024,
        }
    }
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10) }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}
