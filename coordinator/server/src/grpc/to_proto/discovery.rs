//! How a participant's addresses stand, and how they are looked up.

use amends_proto::v1;
use amends_runtime::participant::{Balancing, EndpointHealth, EndpointState, MemberOrigin, SourceState};

use super::timestamp;

/// How an address stands.
pub(crate) fn endpoint_state(state: EndpointState) -> v1::EndpointState {
    let (last_failure_at, last_failure) = state.last_failure.map(|(at, why)| (Some(at), why)).unwrap_or_default();
    let health = match state.health {
        EndpointHealth::Healthy => v1::EndpointHealth::Healthy,
        EndpointHealth::Ejected => v1::EndpointHealth::Ejected,
        EndpointHealth::Unreachable => v1::EndpointHealth::Unreachable,
    };
    v1::EndpointState {
        endpoint: state.member.endpoint.to_string(),
        source: match &state.member.origin {
            MemberOrigin::Registered => "registered".to_owned(),
            MemberOrigin::Found(source) => source.to_string(),
            MemberOrigin::Instance(name) => format!("instance {name}").trim_end().to_owned(),
        },
        health: health.into(),
        ejected_until: state.until.map(timestamp),
        in_flight: state.in_flight,
        last_failure_time: last_failure_at.map(timestamp),
        last_failure,
        weight: state.member.weight,
        tier: state.member.tier.into(),
    }
}

/// How looking up a name goes.
pub(crate) fn source_state(state: SourceState) -> v1::SourceState {
    let answer_time = state.answered_at.map(timestamp);
    v1::SourceState { source: state.source.to_string(), answer_time, problem: state.problem }
}

pub(super) fn balancing_of(balancing: Balancing) -> v1::ParticipantBalancing {
    match balancing {
        Balancing::LeastRequest => v1::ParticipantBalancing::LeastRequest,
        Balancing::RoundRobin => v1::ParticipantBalancing::RoundRobin,
        Balancing::Weighted => v1::ParticipantBalancing::Weighted,
        Balancing::SagaHash => v1::ParticipantBalancing::SagaHash,
    }
}
