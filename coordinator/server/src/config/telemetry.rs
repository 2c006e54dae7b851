//! What is told about the server, and by which way.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What is told about the server, besides the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// For Prometheus.
    pub metrics: MetricsConfig,
    /// Traces.
    pub otlp: OtlpConfig,
}

/// Where `/metrics` is served.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// `ip:port` of a listener of its own; `None`: on the HTTP listener.
    pub listen: Option<SocketAddr>,
}

/// Where traces are sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// A collector's OTLP over gRPC, `http://host:port` or `https://host:port`; `None`: nowhere.
    pub endpoint: Option<String>,
}
