//! Every method and page, and who may ask for it: the one table.
//!
//! A test takes the list of methods from the compiled descriptors and fails for one that isn't here; another calls each as
//! each role. `docs/access.md` shows the same table, and a third test holds it to this. Invariant: a method that isn't in the
//! table is nobody's.

use super::role::Role::{self, Admin, Operator, Registrar, Starter, Viewer};
use super::target::About;

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Anybody who can connect.
    Nothing,
    /// Whoever has a name.
    Name,
    /// One of these roles, for what the request is about.
    Roles(&'static [Role]),
    /// Another node of the store.
    Node,
}

/// What gives way first when there is too much to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// New work: refused first.
    Start,
    /// Looking: refused next.
    Read,
    /// What ends or mends work, and what nodes tell each other: never refused for load.
    Finish,
}

/// A method: `/package.Service/Method`.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// As over gRPC.
    pub path: &'static str,
    /// Who may call it.
    pub needs: Needs,
    /// What a grant has to be for.
    pub about: About,
    /// When it gives way.
    pub load: Load,
}

const fn row(path: &'static str, needs: Needs, about: About, load: Load) -> Row {
    Row { path, needs, about, load }
}

const LOOKS: Needs = Needs::Roles(&[Viewer, Starter, Operator, Admin]);
const LOOKS_UP: Needs = Needs::Roles(&[Viewer, Starter, Registrar, Operator, Admin]);
const STARTS: Needs = Needs::Roles(&[Starter, Admin]);
const CANCELS: Needs = Needs::Roles(&[Starter, Operator, Admin]);
const REPAIRS: Needs = Needs::Roles(&[Operator, Admin]);
const REGISTERS: Needs = Needs::Roles(&[Registrar, Admin]);
const AUDITS: Needs = Needs::Roles(&[Operator, Admin]);
const SEES_NODES: Needs = Needs::Roles(&[Viewer, Operator, Admin]);

/// All methods of the gRPC listener; HTTP calls the same.
pub const METHODS: &[Row] = &[
    row("/amends.v1.Sagas/Start", STARTS, About::Start, Load::Start),
    row("/amends.v1.Sagas/Get", LOOKS, About::Saga, Load::Read),
    row("/amends.v1.Sagas/List", LOOKS, About::Sagas, Load::Read),
    row("/amends.v1.Sagas/Count", LOOKS, About::SagaCount, Load::Read),
    row("/amends.v1.Sagas/ListHistory", LOOKS, About::Saga, Load::Read),
    row("/amends.v1.Sagas/Watch", LOOKS, About::Saga, Load::Read),
    row("/amends.v1.Sagas/Cancel", CANCELS, About::Saga, Load::Finish),
    row("/amends.v1.Sagas/CompleteStep", STARTS, About::Saga, Load::Finish),
    row("/amends.v1.Operations/Retry", REPAIRS, About::Saga, Load::Finish),
    row("/amends.v1.Operations/Skip", REPAIRS, About::Saga, Load::Finish),
    row("/amends.v1.Operations/Resolve", REPAIRS, About::Saga, Load::Finish),
    row("/amends.v1.Operations/ForceStop", REPAIRS, About::Saga, Load::Finish),
    row("/amends.v1.Operations/Pause", REPAIRS, About::Saga, Load::Finish),
    row("/amends.v1.Operations/Resume", REPAIRS, About::Saga, Load::Finish),
    row("/amends.v1.Operations/Acknowledge", REPAIRS, About::Saga, Load::Finish),
    row("/amends.v1.Operations/Repin", REPAIRS, About::Saga, Load::Finish),
    row("/amends.v1.Operations/Reconcile", REPAIRS, About::Saga, Load::Finish),
    row("/amends.v1.Batches/Plan", REPAIRS, About::NewBatch, Load::Finish),
    row("/amends.v1.Batches/Get", REPAIRS, About::Batch, Load::Finish),
    row("/amends.v1.Batches/List", REPAIRS, About::Batches, Load::Finish),
    row("/amends.v1.Batches/ListItems", REPAIRS, About::BatchItems, Load::Finish),
    row("/amends.v1.Batches/Apply", REPAIRS, About::BatchApply, Load::Finish),
    row("/amends.v1.Batches/SetRate", REPAIRS, About::BatchRate, Load::Finish),
    row("/amends.v1.Batches/Stop", REPAIRS, About::BatchStop, Load::Finish),
    row("/amends.v1.Audit/List", AUDITS, About::Audit, Load::Read),
    row("/amends.v1.Alerts/ListWebhooks", SEES_NODES, About::Nothing, Load::Read),
    row("/amends.v1.Alerts/TestWebhook", REPAIRS, About::AllTenants, Load::Finish),
    row("/amends.v1.Definitions/Register", REGISTERS, About::Registration, Load::Finish),
    row("/amends.v1.Definitions/Get", LOOKS_UP, About::Definition, Load::Read),
    row("/amends.v1.Definitions/List", LOOKS_UP, About::Definitions, Load::Read),
    row("/amends.v1.Definitions/ListVersions", LOOKS_UP, About::DefinitionVersions, Load::Read),
    row("/amends.v1.Definitions/Deprecate", REGISTERS, About::Deprecation, Load::Finish),
    row("/amends.v1.Definitions/Pause", REPAIRS, About::DefinitionPause, Load::Finish),
    row("/amends.v1.Definitions/Resume", REPAIRS, About::DefinitionResume, Load::Finish),
    row("/amends.v1.Participants/Put", REGISTERS, About::NewParticipant, Load::Finish),
    row("/amends.v1.Participants/Get", LOOKS_UP, About::Participant, Load::Read),
    row("/amends.v1.Participants/List", LOOKS_UP, About::Participants, Load::Read),
    row("/amends.v1.Participants/SetLimits", REPAIRS, About::Limits, Load::Finish),
    row("/amends.v1.Participants/Pause", REPAIRS, About::ParticipantPause, Load::Finish),
    row("/amends.v1.Participants/Resume", REPAIRS, About::ParticipantResume, Load::Finish),
    row("/amends.v1.Participants/RegisterEndpoint", REGISTERS, About::Instance, Load::Finish),
    row("/amends.v1.Participants/DeregisterEndpoint", REGISTERS, About::InstanceGone, Load::Finish),
    row("/amends.v1.Cluster/ListNodes", SEES_NODES, About::Nothing, Load::Read),
    row("/amends.v1.Cluster/ListShards", SEES_NODES, About::Nothing, Load::Read),
    row("/amends.v1.Cluster/GetStore", SEES_NODES, About::Nothing, Load::Read),
    row("/amends.v1.Cluster/DrainNode", REPAIRS, About::AllTenants, Load::Finish),
    row("/amends.v1.Peers/Exchange", Needs::Node, About::Nothing, Load::Finish),
    row("/amends.v1.Peers/Record", Needs::Node, About::Nothing, Load::Finish),
    // For probes, which carry no token.
    row("/grpc.health.v1.Health/Check", Needs::Nothing, About::Nothing, Load::Finish),
    row("/grpc.health.v1.Health/Watch", Needs::Nothing, About::Nothing, Load::Finish),
    row("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Needs::Name, About::Nothing, Load::Read),
    row("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Needs::Name, About::Nothing, Load::Read),
];

/// The pages of the HTTP listener beside the API. Any other is for whoever has a name, and tells them that it isn't there.
pub const PAGES: &[(&str, Needs)] = &[
    ("/healthz", Needs::Nothing),
    ("/readyz", Needs::Nothing),
    // It asks by itself (console/session.rs), because a browser brings its token in a cookie.
    ("/console/login", Needs::Nothing),
    ("/console/assets/console.css", Needs::Nothing),
    ("/console/assets/console.js", Needs::Nothing),
    ("/console/assets/icon.svg", Needs::Nothing),
    ("/console", Needs::Name),
    ("/", Needs::Name),
    ("/version", Needs::Name),
    ("/openapi.json", Needs::Name),
    ("/metrics", Needs::Name),
];

/// The row of a method.
pub(crate) fn method(path: &str) -> Option<&'static Row> {
    METHODS.iter().find(|row| row.path == path)
}

/// Whether a page is for anybody who can connect.
pub(crate) fn is_open(page: &str) -> bool {
    PAGES.contains(&(page, Needs::Nothing))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost_reflect::DescriptorPool;

    use super::*;

    fn methods_of(set: &[u8]) -> BTreeSet<String> {
        let pool = DescriptorPool::decode(set).unwrap();
        let services: Vec<_> = pool.services().collect();
        let path = |service: &prost_reflect::ServiceDescriptor| {
            let name = service.full_name().to_owned();
            service.methods().map(|rpc| format!("/{name}/{}", rpc.name())).collect::<Vec<_>>()
        };
        services.iter().flat_map(path).collect()
    }

    #[test]
    fn every_method_that_is_served_is_in_the_table_once() {
        let mut served = BTreeSet::new();
        for set in [
            amends_proto::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            served.extend(methods_of(set));
        }
        let listed: BTreeSet<String> = METHODS.iter().map(|row| row.path.to_owned()).collect();
        assert_eq!(served, listed);
        assert_eq!(METHODS.len(), listed.len(), "a method is listed twice");
    }

    #[test]
    fn the_documentation_shows_this_table() {
        let page = include_str!("../../../docs/access.md");
        let names = |roles: &[Role]| roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
        for row in METHODS {
            let needs = match row.needs {
                Needs::Nothing => "anybody".to_owned(),
                Needs::Name => "anybody with a name".to_owned(),
                Needs::Node => "another node".to_owned(),
                Needs::Roles(roles) => names(roles),
            };
            let method = row.path.trim_start_matches("/amends.v1.").trim_start_matches('/');
            let line = format!("| `{method}` | {needs} |");
            assert!(page.contains(&line), "docs/access.md lacks: {line}");
        }
        let lines = page.lines().filter(|line| line.starts_with("| `") && line.contains("` | ") && line.contains('/'));
        let methods = lines
            .filter(|line| line.split('`').nth(1).is_some_and(|name| name.contains('/') && !name.starts_with('/')));
        assert_eq!(methods.count(), METHODS.len(), "docs/access.md has a method too many");
    }
}
