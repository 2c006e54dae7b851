//! The runtime's settings, as values. Reading them from files and environment is the server's work.

use std::time::Duration;

/// How a node runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// The node's name, in leases and history: no other living node of the store has it. A node that is started again under
    /// its old name has its shards back at once; under a new one it waits for its old leases to run out.
    pub node: String,
    /// Where other nodes reach its API, as `http://host:port`; means nothing where there can't be others.
    pub address: String,
    /// How long a lease on a shard lasts; it is renewed at a third of that. A node that wasn't heard for as long is taken for
    /// dead.
    pub lease: Duration,
    /// How often a node says that it is there and looks for the others. Well below `lease`.
    pub heartbeat: Duration,
    /// How far ahead due sagas are held in memory; those that wait longer are evicted.
    pub window: Duration,
    /// How long finished sagas are kept.
    pub retention: Duration,
    /// How long entries of the audit log are kept; the last one of each shard always is.
    pub audit_retention: Duration,
    /// So many sagas per shard are kept whole in memory; of those that come to wait while there are more, only a note is.
    pub awake_max: usize,
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
            address: String::new(),
            lease: Duration::from_secs(5),
            heartbeat: Duration::from_secs(1),
            window: Duration::from_secs(30),
            retention: Duration::from_secs(7 * 24 * 3600),
            audit_retention: Duration::from_secs(400 * 24 * 3600),
            awake_max: 256,
            residents_max: 20_000,
            requests_max: 1_024,
            group_max: 512,
            input_bytes_max: 256 * 1024,
        }
    }
}
