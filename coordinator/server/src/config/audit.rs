//! How long it is remembered who did what.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;

/// How long it is remembered who did what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// How long entries of the audit log are kept.
    #[serde(with = "duration")]
    pub retention: Duration,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { retention: Duration::from_secs(400 * 24 * 3600) }
    }
}
