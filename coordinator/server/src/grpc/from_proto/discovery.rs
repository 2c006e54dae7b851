//! How a participant's addresses are found, and what its instances say of themselves.

use amends_engine::ids::{Namespace, ParticipantName};
use amends_proto::v1;
use amends_runtime::participant::{Balancing, Discovery, Endpoint, Endpoints, Protocol, Source, WEIGHT_MAX};

use super::{namespace, participant_name, unknown_value};
use crate::grpc::status::Violation;

/// Longest name of an instance, in bytes.
const INSTANCE_LENGTH_MAX: usize = 128;

/// Where a participant answers: addresses and names to look up.
pub(super) fn endpoints(participant: &v1::Participant, protocol: Protocol) -> Result<Endpoints, Violation> {
    let mut fixed = Vec::new();
    let mut sources = Vec::new();
    for (place, text) in participant.endpoints.iter().enumerate() {
        let violation = |problem: String| Violation::new(format!("participant.endpoints[{place}]"), problem);
        match Source::parse(text) {
            Some(source) => sources.push(source.map_err(|error| violation(error.to_string()))?),
            None => fixed.push(parse(text, protocol).map_err(violation)?),
        }
    }
    let weight = |(text, weight): (&String, &u32)| {
        let endpoint = parse(text, protocol).map_err(|problem| Violation::new("participant.weights", problem))?;
        Ok((endpoint.to_string(), *weight))
    };
    let discovery = Discovery {
        sources,
        self_registration: participant.self_registration,
        balancing: balancing(participant.balancing)?,
        weights: participant.weights.iter().map(weight).collect::<Result<_, _>>()?,
    };
    Ok(Endpoints { fixed, discovery })
}

/// An address as a participant of this protocol has it.
pub(crate) fn parse(text: &str, protocol: Protocol) -> Result<Endpoint, String> {
    let parsed = match protocol {
        Protocol::Grpc => Endpoint::parse(text),
        Protocol::Http => Endpoint::parse_http(text),
    };
    parsed.map_err(|error| error.to_string())
}

fn balancing(number: i32) -> Result<Balancing, Violation> {
    use v1::ParticipantBalancing as Way;
    match Way::try_from(number) {
        Ok(Way::Unspecified | Way::LeastRequest) => Ok(Balancing::LeastRequest),
        Ok(Way::RoundRobin) => Ok(Balancing::RoundRobin),
        Ok(Way::Weighted) => Ok(Balancing::Weighted),
        Ok(Way::SagaHash) => Ok(Balancing::SagaHash),
        Err(_) => Err(unknown_value("participant.balancing", number)),
    }
}

/// Which participant an instance is of.
pub(crate) fn participant(ns: &str, name: &str) -> Result<(Namespace, ParticipantName), Violation> {
    Ok((namespace(ns)?, participant_name("participant", name)?))
}

/// An instance's name and weight.
pub(crate) fn instance(message: &v1::RegisterEndpointRequest) -> Result<(String, u32), Violation> {
    let name = &message.instance;
    if name.len() > INSTANCE_LENGTH_MAX || name.chars().any(char::is_control) {
        return Err(Violation::new("instance", format!("at most {INSTANCE_LENGTH_MAX} printable characters")));
    }
    if message.weight > WEIGHT_MAX {
        return Err(Violation::new("weight", format!("write a weight from 1 to {WEIGHT_MAX}")));
    }
    Ok((name.clone(), message.weight.max(1)))
}
