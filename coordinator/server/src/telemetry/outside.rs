//! How participants are called, and how long certificates last.
//!
//! Both are kept by others; this only shows them. Invariant: a participant that this node has called has a series for each state
//! and each operation, so that an alert on one can end.

use std::sync::Arc;

use amends_engine::ids::Operation;
use amends_runtime::Coordinator;
use amends_runtime::participant::protection::BreakerState;
use amends_runtime::telemetry::{Sample, Source, names};
use amends_tls::Keeper;

use super::metrics::Metrics;

/// The states of a breaker, as they are exported.
const STATES: [&str; 5] = ["closed", "open", "probing", "resuming", "held"];
/// What may wait to be called.
const OPERATIONS: [Operation; 4] = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];

#[derive(Debug)]
struct Participants(Coordinator);

impl Source for Participants {
    fn samples(&self) -> Vec<Sample> {
        let known = self.0.telemetry().meters.names();
        let mut samples = Vec::new();
        for ((_, name), standing) in self.0.protections() {
            let participant = known.participants.name(name.as_str());
            let now = word(standing.breaker);
            samples.extend(STATES.map(|state| {
                Sample::new(names::BREAKER_STATE, &[participant, state], f64::from(u8::from(state == now)))
            }));
            samples.extend(OPERATIONS.map(|operation| {
                let count = standing.waiting.get(&operation).copied().unwrap_or_default();
                Sample::new(names::PARTICIPANT_WAITING, &[participant, operation.as_str()], count as f64)
            }));
        }
        samples
    }
}

fn word(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open { .. } => "open",
        BreakerState::Probing => "probing",
        BreakerState::Resuming { .. } => "resuming",
        BreakerState::Held => "held",
    }
}

struct Certificates(Keeper);

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificates")
    }
}

impl Source for Certificates {
    fn samples(&self) -> Vec<Sample> {
        let own = |standing: amends_tls::Standing| Some((standing.what, standing.expires?.0));
        let sample = |(what, expires): (String, u64)| Sample::new(names::CERTIFICATE_EXPIRY, &[&what], expires as f64);
        self.0.standing().into_iter().filter_map(own).map(sample).collect()
    }
}

impl Metrics {
    /// Shows these too.
    pub(crate) fn add_outside(&self, coordinator: &Coordinator, keeper: &Keeper) {
        self.add(Arc::new(Participants(coordinator.clone())));
        self.add(Arc::new(Certificates(keeper.clone())));
    }
}
