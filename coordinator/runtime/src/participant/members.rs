//! The addresses that a participant has at the moment, whoever named them.
//!
//! Made anew as a whole whenever its registration, an answer of a source, or the instances that are heard change. It looks nothing up
//! and calls nobody. Invariants: no address is there twice, and at most [`MEMBERS_MAX`]; what the registration names comes first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::endpoint::Endpoint;
use super::registration::Registration;
use super::source::Source;

/// Most addresses of one participant that are used at the same time.
pub const MEMBERS_MAX: usize = 256;

/// Who named an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The registration.
    Registered,
    /// A source that was asked.
    Found(Source),
    /// The instance itself.
    Instance(String),
}

/// One address of a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where it answers.
    pub endpoint: Endpoint,
    /// Who named it.
    pub origin: Origin,
    /// How often it is called beside the others, from 1.
    pub weight: u32,
    /// Those of a higher tier are called only where no other is left.
    pub tier: u16,
}

/// A participant as it is registered, with the addresses that it has.
#[derive(Debug)]
pub struct Membership {
    /// As it is registered.
    pub registration: Arc<Registration>,
    /// Its addresses.
    pub members: Vec<Member>,
}

/// What was found beside the registration.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// By source: its last answer.
    pub(super) found: BTreeMap<Source, Vec<Member>>,
    /// Those that registered themselves.
    pub(super) instances: Vec<Member>,
}

impl Membership {
    /// All that is known, in an order that doesn't depend on who answered first.
    pub(super) fn new(registration: Arc<Registration>, elsewhere: &Elsewhere) -> Self {
        let weight = |text: &str| registration.discovery.weights.get(text).copied().unwrap_or(1);
        let registered = registration.endpoints.iter().map(|endpoint| Member {
            endpoint: endpoint.clone(),
            origin: Origin::Registered,
            weight: weight(endpoint.as_str()),
            tier: 0,
        });
        let found = registration.discovery.sources.iter().filter_map(|source| elsewhere.found.get(source)).flatten();
        let instances = elsewhere.instances.iter().filter(|_| registration.discovery.self_registration);
        let mut seen = BTreeSet::new();
        let all = registered.chain(found.cloned()).chain(instances.cloned());
        let members = all.filter(|member| seen.insert(member.endpoint.as_str().to_owned())).take(MEMBERS_MAX).collect();
        Self { registration, members }
    }
}
