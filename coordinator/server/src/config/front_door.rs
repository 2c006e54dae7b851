//! Who is let in, and how much of it: connections, rates, and what gives way when there is too much to do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;

/// What is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrontDoorConfig {
    /// Networks that may connect; empty: all.
    pub allow: Vec<String>,
    /// Networks that may not, even if allowed.
    pub deny: Vec<String>,
    /// Connections at the same time, of each listener.
    pub connections: usize,
    /// Connections at the same time from one address, of each listener.
    pub connections_per_address: usize,
    /// How long the head of an HTTP request may take.
    #[serde(with = "duration")]
    pub header_time: Duration,
    /// Sagas that one principal may start a second; 0: any number.
    pub starts_per_second: u32,
    /// Other requests that one principal may make a second; 0: any number.
    pub requests_per_second: u32,
    /// How long a start may wait for its commit before new ones are refused; 0: they never are.
    #[serde(with = "duration")]
    pub start_time_target: Duration,
}

impl Default for FrontDoorConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            connections: 10_000,
            connections_per_address: 1_000,
            header_time: Duration::from_secs(10),
            starts_per_second: 0,
            requests_per_second: 0,
            start_time_target: Duration::from_millis(500),
        }
    }
}
