//! The API as OpenAPI 3.1, made of the same routes that are served and of the comments in the .proto files.
//!
//! It names no method. Invariants: every route is in it, every operation has an id of its own, every reference resolves.

mod comments;
mod links;
mod schemas;
#[cfg(test)]
mod tests;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::json::is_well_known;
use super::routes::{BodyOf, Route, Table};
use comments::{Commented as _, summary};
use schemas::Schemas;

const ABOUT: &str = "The same methods as gRPC package `amends.v1`, as JSON. Field names are written in lowerCamelCase and also \
    taken as they are in the .proto files (`saga_id`); 64-bit integers are written as strings and also taken as numbers; enums \
    are written by name and also taken by number; unset fields and defaults are left out. An unknown field or parameter is \
    refused. A request with a body needs `Content-Type: application/json`.";
/// What a name in a path looks like.
const NAME: &str = "^[A-Za-z0-9._-]{1,128}$";
/// Parameters within parameters, at most.
const DEPTH_MAX: usize = 3;

/// The description of all routes.
pub(super) fn describe(table: &Table) -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    let mut links = Map::new();
    let mut tags: Vec<Value> = Vec::new();
    for route in table.all() {
        let service = route.rpc.parent_service();
        if tags.last().is_none_or(|tag| tag["name"] != service.name()) {
            tags.push(json!({ "name": service.name(), "description": service.comment() }));
        }
        let item = paths.entry(route.template.to_string()).or_insert_with(|| json!({}));
        item[route.verb.as_str().to_ascii_lowercase()] = operation(route, &mut schemas);
        let next = links::links(route, table, &mut links);
        if !next.is_empty() {
            item[route.verb.as_str().to_ascii_lowercase()]["responses"]["200"]["links"] = next.into();
        }
    }
    let mut schemas = schemas.into_map();
    schemas.insert("Status".to_owned(), status());
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Amends", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "tags": tags,
        "paths": paths,
        // Only where the server asks who calls.
        "security": [{}, { "bearer": [] }],
        "components": {
            "securitySchemes": { "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of the access file, or one of the identity provider.",
            } },
            "schemas": schemas,
            "links": links,
            "parameters": header_parameters(),
            "responses": { "Error": {
                "description": "What went wrong; what may be tried again says when in `Retry-After` and RetryInfo.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Status" } } },
            } },
        },
    })
}

fn operation(route: &Route, schemas: &mut Schemas) -> Value {
    let (rpc, comment) = (&route.rpc, route.rpc.comment());
    let (summary, description) = summary(&comment);
    let service = rpc.parent_service();
    let mut operation = json!({
        "operationId": operation_id(route),
        "tags": [service.name()],
        "summary": summary,
        "description": description,
        "parameters": parameters(route, schemas),
    });
    let body = match &route.body {
        BodyOf::Nothing => None,
        BodyOf::Message => Some(schemas.message(&rpc.input())),
        BodyOf::Field(field) => Some(schemas.field(field)),
    };
    if let Some(schema) = body {
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    let mut content = json!({ "application/json": { "schema": schemas.message(&rpc.output()) } });
    let mut responses = json!({});
    if rpc.is_server_streaming() {
        let what = "One event a message: `data` is the JSON of the message, `id` the number to go on from with \
            `Last-Event-ID`. A failure is an event of the name `status`. The stream ends after the last message.";
        content["text/event-stream"] = json!({ "schema": { "type": "string", "description": what } });
        responses["204"] = json!({ "description": "All events up to the end have been seen." });
    }
    responses["200"] = json!({ "description": "Done.", "content": content });
    responses["default"] = json!({ "$ref": "#/components/responses/Error" });
    operation["responses"] = responses;
    operation
}

fn operation_id(route: &Route) -> String {
    let (service, method) = (route.rpc.parent_service(), route.rpc.name());
    match route.way {
        0 => format!("{}_{method}", service.name()),
        way => format!("{}_{method}_{}", service.name(), way + 1),
    }
}

fn parameters(route: &Route, schemas: &mut Schemas) -> Vec<Value> {
    let mut parameters = Vec::new();
    let mut in_path = Vec::new();
    for fields in route.template.variables() {
        let Some(field) = fields.last() else { continue };
        let mut schema = schemas.field(field);
        let description = taken(&mut schema, "description");
        if matches!(field.kind(), Kind::String) {
            schema["pattern"] = NAME.into();
        }
        parameters.push(json!({
            "name": field.json_name(), "in": "path", "required": true, "description": description, "schema": schema,
        }));
        in_path.extend(fields.first().filter(|_| fields.len() == 1).cloned());
    }
    if !matches!(route.body, BodyOf::Message) {
        if let BodyOf::Field(field) = &route.body {
            in_path.push(field.clone());
        }
        in_query(&route.rpc.input(), "", &in_path, schemas, &mut parameters);
    }
    let mut refer = |name: &str| parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
    if route.rpc.is_server_streaming() {
        refer("wait");
        refer("Last-Event-ID");
    }
    if route.rpc.input().get_field_by_name("request_id").is_some() {
        refer("Idempotency-Key");
    }
    if route.verb != http::Method::GET {
        refer("amends-principal");
    }
    parameters
}

/// The fields of a message as query parameters, those of messages within it by their path.
fn in_query(
    of: &MessageDescriptor,
    prefix: &str,
    elsewhere: &[FieldDescriptor],
    schemas: &mut Schemas,
    into: &mut Vec<Value>,
) {
    for field in of.fields().filter(|field| !elsewhere.contains(field)) {
        let name = format!("{prefix}{}", field.json_name());
        match field.kind() {
            Kind::Message(inner) if !field.is_map() && !is_well_known(&inner) => {
                if !field.is_list() && prefix.matches('.').count() < DEPTH_MAX {
                    in_query(&inner, &format!("{name}."), elsewhere, schemas, into);
                }
            }
            _ => {
                let mut schema = schemas.field(&field);
                let description = taken(&mut schema, "description");
                schemas.also_by_number(&field, &mut schema);
                let mut parameter =
                    json!({ "name": name, "in": "query", "description": description, "schema": schema });
                if field.is_map() {
                    parameter["style"] = "deepObject".into();
                    parameter["explode"] = true.into();
                }
                into.push(parameter);
            }
        }
    }
}

fn taken(schema: &mut Value, member: &str) -> Value {
    schema.as_object_mut().and_then(|schema| schema.shift_remove(member)).unwrap_or_else(|| "".into())
}

/// What isn't a field of a request.
fn header_parameters() -> Value {
    let parameter = |name: &str, place: &str, pattern: &str, description: &str| {
        let schema = json!({ "type": "string", "pattern": pattern });
        json!({ "name": name, "in": place, "description": description, "schema": schema })
    };
    json!({
        "wait": parameter("wait", "query", "^([0-9]|[1-5][0-9])(\\.[0-9]{1,9})?s$|^60s$", "How long to wait for news before answering without, up to `60s`; left out: \
            `30s`. Not for event streams."),
        "Last-Event-ID": parameter("Last-Event-ID", "header", "^[0-9]{1,18}$", "The `id` of the last event seen; overrides `afterSequence`."),
        "Idempotency-Key": parameter("Idempotency-Key", "header", "^[!-~]{1,128}$", "The same as `requestId` in the body, 1 to 128 bytes: a \
            repeat with the same key is the same request. Not together with another `sagaId` or `requestId`. Other methods \
            are safe to repeat by themselves or take `expectedRevision`; there the header says nothing."),
        "amends-principal": parameter("amends-principal", "header", "^[ -~]{1,128}$", "Who asks, for the history: 1 to 128 printable ASCII \
            characters. Counts only where the server asks for no token."),
    })
}

/// `google.rpc.Status`, which is no part of our own package.
fn status() -> Value {
    json!({
        "type": "object",
        "description": "google.rpc.Status. `details` holds google.rpc.ErrorInfo with a `reason` that programs can rely on, \
            and, where they apply, google.rpc.BadRequest and google.rpc.RetryInfo.",
        "required": ["code", "message", "details"],
        "properties": {
            "code": { "type": "integer", "format": "int32", "description": "The gRPC status code." },
            "message": { "type": "string", "description": "For people." },
            "details": { "type": "array", "items": {
                "type": "object",
                "required": ["@type"],
                "properties": {
                    "@type": { "type": "string" },
                    "reason": { "type": "string" },
                    "domain": { "type": "string" },
                    "metadata": { "type": "object", "additionalProperties": { "type": "string" } },
                    "retryDelay": { "type": "string" },
                    "fieldViolations": { "type": "array", "items": {
                        "type": "object",
                        "properties": { "field": { "type": "string" }, "description": { "type": "string" } },
                    } },
                },
            } },
        },
    })
}
