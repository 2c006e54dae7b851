//! Every method that is accounted for, and how its request is read: the one table.
//!
//! A test takes the list of methods from the compiled descriptors and fails for one that changes something and isn't here. Paths
//! are field names joined by dots. Invariant: no path leads to a payload, a secret or a text without a bound of its own; what
//! isn't named here is in no entry.

/// What a request is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    /// The first part of its target.
    pub(super) kind: &'static str,
    /// Where the request has the name; empty: nowhere.
    pub(super) name: &'static str,
    /// Where the request has the tenant; empty: it concerns all.
    pub(super) namespace: &'static str,
    /// Where the answer has the name, if the request hasn't; else empty.
    pub(super) answer: &'static str,
}

/// A method: `/package.Service/Method`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// As over gRPC.
    pub(super) path: &'static str,
    /// What it is about.
    pub(super) about: About,
    /// The fields of the request that an entry shows.
    pub(super) asks: &'static [&'static str],
    /// The fields of the answer that an entry tells.
    pub(super) tells: &'static [&'static str],
}

const fn row(path: &'static str, about: About, asks: &'static [&'static str], tells: &'static [&'static str]) -> Row {
    Row { path, about, asks, tells }
}

const fn named(kind: &'static str, name: &'static str) -> About {
    About { kind, name, namespace: "namespace", answer: "" }
}

/// The target's first part where the owner of a saga carries it out, and accounts for what it changes.
pub(super) const SAGAS: &str = "sagas";
const SAGA: About = named(SAGAS, "saga_id");
const DEFINITION: About = named("definitions", "name");
const PARTICIPANT: About = named("participants", "name");
const BATCH: About = named("batches", "id");
/// Its name is in its text.
const SOURCE: About = About { answer: "definition.name", ..named("definitions", "") };
const REGISTRATION: About = About { namespace: "participant.namespace", ..named("participants", "participant.name") };
/// Its id is given by the server.
const PLAN: About = About { answer: "id", ..named("batches", "") };
const NODE: About = About { namespace: "", ..named("nodes", "node") };

const REVISION: &[&str] = &["expected_revision"];

/// All methods that are accounted for.
pub(super) const METHODS: &[Row] = &[
    row("/amends.v1.Sagas/Cancel", SAGA, REVISION, &[]),
    row("/amends.v1.Operations/Retry", SAGA, &["step", "expected_revision"], &[]),
    row("/amends.v1.Operations/Skip", SAGA, &["step", "operation", "expected_revision"], &[]),
    row(
        "/amends.v1.Operations/Resolve",
        SAGA,
        &["step", "operation", "happened", "did_not_happen", "expected_revision"],
        &[],
    ),
    row("/amends.v1.Operations/ForceStop", SAGA, REVISION, &[]),
    row("/amends.v1.Operations/Pause", SAGA, REVISION, &[]),
    row("/amends.v1.Operations/Resume", SAGA, REVISION, &[]),
    row("/amends.v1.Operations/Acknowledge", SAGA, REVISION, &[]),
    row("/amends.v1.Operations/Repin", SAGA, &["version", "expected_revision"], &[]),
    row("/amends.v1.Operations/Reconcile", SAGA, &[], &[]),
    row(
        "/amends.v1.Batches/Plan",
        PLAN,
        &[
            "filter.statuses",
            "filter.definition",
            "filter.version",
            "filter.stuck_reason",
            "filter.participant",
            "action.verb",
            "action.step",
            "action.operation",
            "action.happened",
            "action.version",
        ],
        &["planned"],
    ),
    row("/amends.v1.Batches/Apply", BATCH, &["rate_per_second"], &["planned"]),
    row("/amends.v1.Batches/SetRate", BATCH, &["rate_per_second"], &[]),
    row("/amends.v1.Batches/Stop", BATCH, &[], &["done"]),
    row("/amends.v1.Definitions/Register", SOURCE, &["format"], &["definition.version"]),
    row("/amends.v1.Definitions/Deprecate", DEFINITION, &["version", "undo"], &["version"]),
    row("/amends.v1.Definitions/Pause", DEFINITION, &[], &[]),
    row("/amends.v1.Definitions/Resume", DEFINITION, &[], &[]),
    row(
        "/amends.v1.Participants/Put",
        REGISTRATION,
        &[
            "participant.endpoints",
            "participant.protocol",
            "participant.balancing",
            "participant.refusals_final",
            "participant.self_registration",
            "expected_revision",
        ],
        &["revision"],
    ),
    row(
        "/amends.v1.Participants/SetLimits",
        PARTICIPANT,
        &[
            "limits.concurrency",
            "limits.reserved_percent",
            "limits.rate_per_second",
            "limits.retry_percent",
            "limits.breaker",
            "limits.resume_per_second",
            "expected_revision",
        ],
        &["revision"],
    ),
    row("/amends.v1.Participants/Pause", PARTICIPANT, REVISION, &["revision"]),
    row("/amends.v1.Participants/Resume", PARTICIPANT, REVISION, &["revision"]),
    row("/amends.v1.Cluster/DrainNode", NODE, &[], &["shards"]),
];

/// The row of a method; `None`: it isn't accounted for.
pub(super) fn method(path: &str) -> Option<&'static Row> {
    METHODS.iter().find(|row| row.path == path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost_reflect::{DescriptorPool, Kind, MessageDescriptor, MethodDescriptor};

    use super::*;

    /// What changes something and overrides nobody: the machine's own work, and what services tell it about themselves.
    const NOT_ACCOUNTED_FOR: &[&str] = &[
        "/amends.v1.Sagas/Start",
        "/amends.v1.Sagas/CompleteStep",
        "/amends.v1.Participants/RegisterEndpoint",
        "/amends.v1.Participants/DeregisterEndpoint",
        "/amends.v1.Alerts/TestWebhook",
        "/amends.v1.Peers/Exchange",
        "/amends.v1.Peers/Record",
    ];

    fn methods() -> Vec<(String, MethodDescriptor)> {
        let pool = DescriptorPool::decode(amends_proto::FILE_DESCRIPTOR_SET).unwrap();
        let of = |service: prost_reflect::ServiceDescriptor| {
            let name = service.full_name().to_owned();
            service.methods().map(|rpc| (format!("/{name}/{}", rpc.name()), rpc)).collect::<Vec<_>>()
        };
        pool.services().flat_map(of).collect()
    }

    /// A method that HTTP calls by GET only looks; one that it doesn't call at all is between nodes.
    fn only_looks(rpc: &MethodDescriptor) -> bool {
        let pool = rpc.parent_pool();
        let http = pool.get_extension_by_name("google.api.http").unwrap();
        let options = rpc.options();
        let rule = options.get_extension(&http);
        let rule = rule.as_message().unwrap();
        rule.has_field_by_name("get")
    }

    #[test]
    fn every_method_that_changes_something_is_accounted_for_or_named_here() {
        let changing: BTreeSet<String> =
            methods().into_iter().filter(|(_, rpc)| !only_looks(rpc)).map(|(path, _)| path).collect();
        let listed = METHODS.iter().map(|row| row.path).chain(NOT_ACCOUNTED_FOR.iter().copied());
        let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
        assert_eq!(changing, listed);
        assert_eq!(METHODS.len() + NOT_ACCOUNTED_FOR.len(), listed.len(), "a method is listed twice");
    }

    #[test]
    fn every_path_leads_somewhere_and_none_to_bytes() {
        let methods = methods();
        for row in METHODS {
            let (_, rpc) = methods.iter().find(|(path, _)| path == row.path).unwrap();
            let About { name, namespace, answer, .. } = row.about;
            let asked = row.asks.iter().copied().chain([name, namespace]);
            let told = row.tells.iter().copied().chain([answer]);
            let asked = asked.map(|path| (rpc.input(), path));
            for (message, path) in asked.chain(told.map(|path| (rpc.output(), path))) {
                assert!(path.is_empty() || is_showable(&message, path), "{}: {path}", row.path);
            }
        }
    }

    fn is_showable(message: &MessageDescriptor, path: &str) -> bool {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let Some(field) = message.get_field_by_name(first) else { return false };
        match (field.kind(), rest) {
            (Kind::Message(inner), Some(rest)) => is_showable(&inner, rest),
            // Only that it is there is shown.
            (Kind::Message(_), None) => !field.is_list() && !field.is_map(),
            (Kind::Bytes, _) => false,
            (_, rest) => rest.is_none(),
        }
    }
}
