//! The runtime's settings, as values. Reading them from files and environment is the server's work.

use std::time::Duration;

/// How a node runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// The node's name, in leases and history.
    pub node: String,
    /// How long a lease on a shard lasts; it is renewed at a third of that.
    pub lease: Duration,
    /// How far ahead due sagas are held in memory; those that wait longer are evicted.
    pub window: Duration,
    /// How long finished sagas are kept.
    pub retention: Duration,
    /// Most sagas in memory per shard; past that new ones are refused with `Overloaded`.
    pub residents_max: usize,
    /// Most requests that wait for one shard; past that they are refused with `Overloaded`.
    pub requests_max: usize,
    /// Most commits in one group.
    pub group_max: usize,
    /// Largest input, in bytes.
    pub input_bytes_max: usize,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            node: "amends".to_owned(),
            lease: Duration::from_secs(5),
            window: Duration::from_secs(30),
            retention: Duration::from_secs(7 * 24 * 3600),
            residents_max: 20_000,
            requests_max: 1_024,
            group_max: 512,
            input_bytes_max: 256 * 1024,
        }
    }
}
