//! How one address of a participant stands, for people.
//!
//! Invariant: no payload is in it; a failure is told in our words or the system's.

use amends_engine::time::Timestamp;

use super::ejection::{Ejection, Standing};
use super::members::Member;

/// How an address stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointState {
    /// The address, who named it, its weight and tier.
    pub member: Member,
    /// Whether it is called.
    pub health: EndpointHealth,
    /// Until when it is left alone; `None`: it isn't.
    pub until: Option<Timestamp>,
    /// Calls under way.
    pub in_flight: u32,
    /// When something failed there last, and why; `None`: nothing has, since this node knows it.
    pub last_failure: Option<(Timestamp, String)>,
}

/// Whether an address is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointHealth {
    /// It is.
    Healthy,
    /// It is left alone because its calls fail.
    Ejected,
    /// It is left alone because it can't be reached.
    Unreachable,
}

impl EndpointState {
    pub(super) fn new(member: &Member, ejection: &Ejection, in_flight: u32, now: Timestamp) -> Self {
        let health = match ejection.standing(now) {
            Standing::Well => EndpointHealth::Healthy,
            Standing::Ejected => EndpointHealth::Ejected,
            Standing::Unreached => EndpointHealth::Unreachable,
        };
        let last_failure = ejection.last_failure().cloned();
        Self { member: member.clone(), health, until: ejection.until(now), in_flight, last_failure }
    }
}
