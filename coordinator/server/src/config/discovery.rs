//! How participants' addresses are found, in the configuration.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;

/// How participants' addresses are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoveryConfig {
    /// DNS servers to ask, `ip:port`; `None`: those of the system.
    pub dns_servers: Option<Vec<SocketAddr>>,
    /// Longest time between two look-ups of a name.
    #[serde(with = "duration")]
    pub refresh: Duration,
    /// Consul's agent, `http://host:port`, where the program is built with it.
    pub consul: Option<String>,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self { dns_servers: None, refresh: Duration::from_secs(30), consul: None }
    }
}
