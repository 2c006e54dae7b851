//! What can be done next with what a request made: links from its answer to every method that is about such a thing.
//!
//! Found by the names of fields, as the API names them: the thing has an `id` or a `name`, the path of the next method has that, or
//! the kind of thing with it (`saga_id`). It names no method. Invariant: a link gives every variable of the path that it leads to.

use http::Method;
use prost_reflect::{Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::super::routes::{Route, Table};
use super::operation_id;

/// Where in an answer the thing is that was made.
struct Made {
    /// Its kind, as field names begin: `saga`.
    kind: String,
    message: MessageDescriptor,
    /// `/definition`; empty where it is the answer itself.
    pointer: String,
    service: String,
}

/// The links of one route's answer, as references, and what they refer to.
pub(super) fn links(from: &Route, table: &Table, known: &mut Map<String, Value>) -> Map<String, Value> {
    let mut links = Map::new();
    let Some(made) = made(from) else { return links };
    for to in table.all() {
        let Some(parameters) = made.variables_of(to) else { continue };
        let (operation, kind) = (operation_id(to), made.message.name());
        let name = format!("{kind}{}_{operation}", made.pointer.replace('/', "_"));
        links.insert(operation.clone(), json!({ "$ref": format!("#/components/links/{name}") }));
        known.insert(name, json!({ "operationId": operation, "parameters": parameters }));
    }
    links
}

/// What a route makes: it has no name in its path yet, or puts it there.
fn made(route: &Route) -> Option<Made> {
    let mut named = route.template.variables().filter_map(<[_]>::last).filter(|field| field.name() != "namespace");
    if route.verb == Method::GET || (route.verb != Method::PUT && named.next().is_some()) {
        return None;
    }
    let output = route.rpc.output();
    let within = output.fields().filter(|field| !field.is_list() && !field.is_map());
    let within = within.filter_map(|field| match field.kind() {
        Kind::Message(message) => Some((message, format!("/{}", field.json_name()))),
        _ => None,
    });
    let (message, pointer) = std::iter::once((output.clone(), String::new())).chain(within).find(|(message, _)| {
        let has = |name| message.get_field_by_name(name).is_some();
        has("namespace") && (has("id") || has("name"))
    })?;
    let service = route.rpc.parent_service().full_name().to_owned();
    Some(Made { kind: message.name().to_ascii_lowercase(), message, pointer, service })
}

impl Made {
    /// By parameter, where in the answer its value is; `None` where one isn't there.
    fn variables_of(&self, route: &Route) -> Option<Map<String, Value>> {
        let is_own = route.rpc.parent_service().full_name() == self.service;
        let mut parameters = Map::new();
        let mut is_named = false;
        for field in route.template.variables().filter_map(<[_]>::last) {
            let field_of_thing = match field.name() {
                "namespace" => "namespace",
                name if name == format!("{}_id", self.kind) => "id",
                name if name == self.kind => "name",
                name if is_own => name,
                _ => return None,
            };
            is_named |= field_of_thing != "namespace";
            let value = self.message.get_field_by_name(field_of_thing)?;
            let value = format!("$response.body#{}/{}", self.pointer, value.json_name());
            parameters.insert(format!("path.{}", field.json_name()), value.into());
        }
        is_named.then_some(parameters)
    }
}
