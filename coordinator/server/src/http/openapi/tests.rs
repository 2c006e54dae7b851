//! Tests of the description: that it is whole, and says of each route what a caller must know.

use std::collections::BTreeSet;

use prost_reflect::DescriptorPool;

use super::*;

fn table() -> Table {
    Table::read(&DescriptorPool::decode(amends_proto::FILE_DESCRIPTOR_SET).unwrap()).unwrap()
}

fn references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            into.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| references(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}

#[test]
fn every_reference_resolves_and_every_schema_is_used() {
    let description = describe(&table());
    let mut all = Vec::new();
    references(&description, &mut all);
    assert!(all.len() > 100, "{}", all.len());
    for reference in &all {
        let found = description.pointer(reference.strip_prefix('#').unwrap());
        assert!(found.is_some_and(|found| !found.is_null()), "{reference}");
    }
    for name in description["components"]["schemas"].as_object().unwrap().keys() {
        assert!(all.contains(&format!("#/components/schemas/{name}")), "{name}");
    }
}

#[test]
fn every_route_is_in_it_with_its_variables() {
    let (table, description) = (table(), describe(&table()));
    let mut ids = BTreeSet::new();
    for route in table.all() {
        let path = route.template.to_string();
        let operation = &description["paths"][&path][route.verb.as_str().to_ascii_lowercase()];
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{path}");
        assert!(operation["responses"]["default"].is_object() && operation["responses"]["200"].is_object(), "{path}");
        for name in path.split('{').skip(1).filter_map(|part| part.split('}').next()) {
            let declared = operation["parameters"].as_array().unwrap().iter().filter(|it| it["name"] == name);
            assert_eq!(declared.filter(|it| it["in"] == "path" && it["required"] == true).count(), 1, "{path}: {name}");
        }
    }
    assert!(ids.contains("Sagas_Start") && ids.contains("Sagas_Start_2"));
}

#[test]
fn it_says_what_a_caller_must_know() {
    let description = describe(&table());
    let watch = &description["paths"]["/v1/sagas/{sagaId}:watch"]["get"];
    assert!(watch["responses"]["200"]["content"]["text/event-stream"].is_object());
    let names = |operation: &Value| -> Vec<String> {
        let name = |it: &Value| it["name"].as_str().or(it["$ref"].as_str()).unwrap().to_owned();
        operation["parameters"].as_array().unwrap().iter().map(name).collect()
    };
    let components = ["wait", "Last-Event-ID"].map(|name| format!("#/components/parameters/{name}"));
    assert_eq!(names(watch), ["sagaId", "namespace", "afterSequence", &components[0], &components[1]]);
    let start = &description["paths"]["/v1/sagas"]["post"];
    assert!(names(start).contains(&"#/components/parameters/Idempotency-Key".to_owned()), "{start}");
    let list = &description["paths"]["/v1/sagas"]["get"];
    assert_eq!(list["summary"], "Sagas that match all given filters, newest first");
    let labels = list["parameters"].as_array().unwrap().iter().find(|it| it["name"] == "labels").unwrap();
    assert_eq!(labels["style"], "deepObject");
    let put = &description["paths"]["/v1/participants/{name}"]["put"];
    assert_eq!(names(put), ["name", "expectedRevision", "#/components/parameters/amends-principal"]);
    let schemas = &description["components"]["schemas"];
    assert!(schemas["Payload"].get("type").is_none());
    assert_eq!(schemas["Saga"]["properties"]["revision"]["type"], "string");
    assert_eq!(schemas["Saga"]["properties"]["createTime"]["format"], "date-time");
    let outcome = schemas["CompleteStepRequest"]["properties"]["rejected"]["description"].as_str().unwrap();
    assert!(outcome.ends_with("Only one of `succeeded`, `rejected`."), "{outcome}");
}

#[test]
fn what_is_made_leads_to_all_that_can_be_done_with_it() {
    let description = describe(&table());
    let links = |path: &str, verb: &str| description["paths"][path][verb]["responses"]["200"]["links"].clone();
    let started = links("/v1/sagas", "post");
    for next in ["Sagas_Get", "Sagas_ListHistory_2", "Sagas_Cancel", "Operations_Retry"] {
        assert!(started[next].is_object(), "{next}: {started}");
    }
    assert!(started["Sagas_CompleteStep"].is_null(), "an answer doesn't say which step: {started}");
    assert!(started["Definitions_Get"].is_null() && started["Sagas_List"].is_null(), "{started}");
    let link = |name: &str| description["components"]["links"][name]["parameters"].clone();
    let both = json!({ "path.namespace": "$response.body#/namespace", "path.sagaId": "$response.body#/id" });
    assert_eq!(link("Saga_Sagas_Get_2"), both);
    let version =
        json!({ "path.name": "$response.body#/definition/name", "path.version": "$response.body#/definition/version" });
    assert_eq!(link("Definition_definition_Definitions_Get_2"), version);
    assert!(links("/v1/participants/{name}", "put")["Participants_RegisterEndpoint"].is_object());
    assert!(links("/v1/sagas/{sagaId}", "get").is_null(), "it makes nothing");
}
