//! Tests of the route table, against the descriptors that are served and against ones that can't be.

use super::*;

fn table() -> Table {
    Table::read(&DescriptorPool::decode(amends_proto::FILE_DESCRIPTOR_SET).unwrap()).unwrap()
}

/// Which method with which variables, or what else was found.
fn found(verb: Method, path: &str) -> String {
    match table().find(&verb, path) {
        Found::Route(route, values) => format!("{} {}", route.rpc.full_name(), values.join(" ")),
        Found::Otherwise(methods) => format!("{methods:?}"),
        Found::Nothing(nearest) => {
            nearest.map(|route| format!("{} {}", route.verb, route.template)).unwrap_or_default()
        }
    }
}

#[test]
fn every_method_of_the_api_has_an_annotation() {
    let pool = DescriptorPool::decode(amends_proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = pool.services().filter(|service| service.name() != "Peers");
    let methods: Vec<_> = services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    assert!(methods.len() >= 19);
    for rpc in methods {
        let rules = rules(&pool, &rpc);
        assert!(!rules.is_empty(), "{} needs `option (google.api.http)` to be reached over HTTP", rpc.full_name());
        if ["Alerts", "Cluster"].contains(&rpc.parent_service().name()) {
            // A tenant has no nodes, and no webhooks of its own.
            continue;
        }
        assert!(rules.len() > 1, "{} needs a binding without and one with a namespace", rpc.full_name());
        let spaced = table().all().iter().any(|route| {
            route.rpc.full_name() == rpc.full_name()
                && route.template.to_string().starts_with("/v1/namespaces/{namespace}/")
        });
        assert!(spaced, "{} needs a binding below /v1/namespaces/{{namespace}}", rpc.full_name());
    }
}

#[test]
fn all_paths_are_under_v1() {
    for route in table().all() {
        assert!(route.template.to_string().starts_with("/v1/"), "{}", route.template);
    }
}

#[test]
fn a_path_means_its_method_with_its_variables() {
    for (verb, path, expected) in [
        (Method::POST, "/v1/sagas", "amends.v1.Sagas.Start "),
        (Method::GET, "/v1/sagas", "amends.v1.Sagas.List "),
        (Method::HEAD, "/v1/sagas", "amends.v1.Sagas.List "),
        (Method::GET, "/v1/sagas/o-1", "amends.v1.Sagas.Get o-1"),
        (Method::GET, "/v1/sagas/o%2D1", "amends.v1.Sagas.Get o-1"),
        (Method::GET, "/v1/sagas/o-1/history", "amends.v1.Sagas.ListHistory o-1"),
        (Method::GET, "/v1/sagas/o-1:watch", "amends.v1.Sagas.Watch o-1"),
        (Method::POST, "/v1/sagas/o-1/steps/pay:complete", "amends.v1.Sagas.CompleteStep o-1 pay"),
        (Method::POST, "/v1/namespaces/eu/sagas/o-1:forceStop", "amends.v1.Operations.ForceStop eu o-1"),
        (Method::GET, "/v1/definitions/checkout/versions/3", "amends.v1.Definitions.Get checkout 3"),
        (Method::PUT, "/v1/participants/shop", "amends.v1.Participants.Put shop"),
    ] {
        assert_eq!(found(verb, path), expected, "{path}");
    }
}

#[test]
fn another_method_or_path_says_what_there_is() {
    for (verb, path, expected) in [
        (Method::DELETE, "/v1/sagas/o-1", "[GET]"),
        (Method::PUT, "/v1/sagas", "[POST, GET]"),
        (Method::GET, "/v1/saga/o-1", "GET /v1/sagas/{sagaId}"),
        (Method::GET, "/v1/sagas/o-1:wacth", "GET /v1/sagas/{sagaId}:watch"),
        (Method::POST, "/v1/sagas/o-1/steps/pay:completed", "POST /v1/sagas/{sagaId}/steps/{step}:complete"),
        (Method::POST, "/v1/sagas/o-1/cancel", "POST /v1/sagas/{sagaId}:cancel"),
        (Method::POST, "/v1/sagas/o-1/steps/pay/complete", "POST /v1/sagas/{sagaId}/steps/{step}:complete"),
        (Method::GET, "/v1/sagas/o-1/watch", "GET /v1/sagas/{sagaId}:watch"),
        (Method::GET, "/v1/sagas/o-1/histori", "GET /v1/sagas/{sagaId}/history"),
        (Method::GET, "/v1/sagas/", "GET /v1/sagas"),
        (Method::GET, "/v1", "GET /v1/webhooks"),
    ] {
        assert_eq!(found(verb, path), expected, "{path}");
    }
}

fn unroutable(options: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let source = format!(
        "syntax = \"proto3\"; package t; import \"google/api/annotations.proto\";\n\
         message M {{ string a = 1; repeated string many = 2; M m = 3; }}\n\
         service S {{ rpc One(M) returns (M) {{ option (google.api.http) = {{ get: \"/one/{{a}}\" }}; }}\n\
                      rpc Two(M) returns (M) {{ option (google.api.http) = {{ {options} }}; }} }}"
    );
    std::fs::write(folder.path().join("t.proto"), source).unwrap();
    let interface = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto/proto");
    let mut compiler = protox::Compiler::new([folder.path(), interface.as_ref()]).unwrap();
    compiler.include_imports(true).open_file("t.proto").unwrap();
    let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap();
    Table::read(&pool).map(|_| "fine".to_owned()).unwrap_or_else(|error| error.to_string())
}

#[test]
fn an_annotation_that_cant_be_served_says_why() {
    assert_eq!(unroutable("post: \"/two/{m.a}\" body: \"m\""), "fine");
    for (options, expected) in [
        ("get: \"/one/{m.a}\"", "GET /one/{} is t.S.One"),
        ("get: \"/two/{b}\"", "/two/{b}: t.M has no \"b\""),
        ("get: \"/two/{many}\"", "/two/{many}: many can't be written as one segment"),
        ("get: \"/two/{m}\"", "/two/{m}: m can't be written as one segment"),
        ("get: \"/two/{a=*}\"", "/two/{a=*}: t.M has no \"a=*\""),
        ("get: \"/two/**\"", "/two/**: \"**\" isn't supported"),
        ("get: \"two\"", "two: it doesn't begin with /"),
        ("post: \"/two\" body: \"b\"", "t.M has no \"b\""),
        ("body: \"*\"", "it has no path"),
    ] {
        assert_eq!(unroutable(options), format!("the HTTP annotation of t.S.Two can't be served: {expected}"));
    }
}
