//! Makes the request message of what came over HTTP: path, query, headers and body.
//!
//! Invariants: nothing is left aside: an unknown parameter or field is refused by its name; a field has one value, so that
//! what the path says and what the body says must be the same.

use axum::http::HeaderMap;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};

use super::json::{Misfit, is_well_known, others, read, read_leaf};
use super::routes::{BodyOf, Route};

/// Makes starting something twice one thing.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The field that it fills.
const REQUEST_ID: &str = "request_id";

/// The request message. `values` belong to the variables of the route, `query` has no reserved parameters any more.
pub(super) fn message(
    route: &Route,
    values: Vec<String>,
    query: &[(String, String)],
    headers: &HeaderMap,
    body: &[u8],
) -> Result<DynamicMessage, Misfit> {
    let mut message = from_body(route, body)?;
    for (name, value) in query {
        from_query(&mut message, route, name, value)?;
    }
    for (fields, value) in route.template.variables().zip(values) {
        from_path(&mut message, fields, &value)?;
    }
    from_headers(&mut message, headers)?;
    Ok(message)
}

fn from_body(route: &Route, body: &[u8]) -> Result<DynamicMessage, Misfit> {
    let mut message = DynamicMessage::new(route.rpc.input());
    match &route.body {
        BodyOf::Message => message = read(&route.rpc.input(), body)?,
        BodyOf::Field(field) => {
            let Kind::Message(of) = field.kind() else { return Err(misfit(field.json_name(), "can't be a body")) };
            message.set_field(field, Value::Message(read(&of, body)?));
        }
        BodyOf::Nothing if body.is_empty() => {}
        BodyOf::Nothing => return Err(misfit("", "this method takes no body; write the fields as query parameters")),
    }
    Ok(message)
}

/// `a`, `a.b` for a field within a field, `labels[key]` or `labels.key` for an entry of a map; repeated for a list.
fn from_query(message: &mut DynamicMessage, route: &Route, name: &str, text: &str) -> Result<(), Misfit> {
    let refuse = |problem: &str| Err(misfit(name, problem));
    if matches!(route.body, BodyOf::Message) {
        return refuse("with this method every field is in the path or in the body, not in the query");
    }
    let dotted = name.strip_suffix(']').map(|name| name.replacen('[', ".", 1));
    let mut within = message;
    let mut rest = dotted.as_deref().unwrap_or(name);
    loop {
        let (first, more) = rest.split_once('.').map_or((rest, None), |(first, more)| (first, Some(more)));
        let of = prost_reflect::ReflectMessage::descriptor(within);
        let Some(field) = of.get_field_by_json_name(first).or_else(|| of.get_field_by_name(first)) else {
            return refuse(&format!("there is no such query parameter; {}", others(&of, first)));
        };
        if matches!(&route.body, BodyOf::Field(body) if *body == field) {
            return refuse("this field is the body");
        }
        match (field.kind(), more) {
            (_, Some(key)) if field.is_map() => return entry(within, &field, key, text).or_else(|it| refuse(&it)),
            (Kind::Message(inner), Some(more)) if !field.is_list() && !is_well_known(&inner) => {
                let Some(inner) = within.get_field_mut(&field).as_message_mut() else {
                    return refuse("it has no fields");
                };
                (within, rest) = (inner, more);
            }
            (_, Some(_)) => return refuse("it has no fields"),
            (_, None) => return scalar(within, &field, text).or_else(|it| refuse(&it)),
        }
    }
}

fn entry(within: &mut DynamicMessage, field: &FieldDescriptor, key: &str, text: &str) -> Result<(), String> {
    let value = field.kind().as_message().map(|entry| entry.map_entry_value_field().kind());
    let key = serde_json::Value::from(key);
    let json = format!("{{{key}:{}}}", value.map(|kind| in_json(&kind, text)).unwrap_or_default());
    if let (Some(Value::Map(new)), Some(all)) = (read_leaf(field, &json)?, within.get_field_mut(field).as_map_mut()) {
        for (key, value) in new {
            if all.insert(key, value).is_some() {
                return Err("it is given twice".to_owned());
            }
        }
    }
    Ok(())
}

fn scalar(within: &mut DynamicMessage, field: &FieldDescriptor, text: &str) -> Result<(), String> {
    if field.is_map() {
        return Err(format!("write it as {}[key]=value", field.json_name()));
    }
    if matches!(field.kind(), Kind::Message(of) if !is_well_known(&of)) {
        return Err("it can't be a query parameter".to_owned());
    }
    let json = in_json(&field.kind(), text);
    if field.is_list() {
        let new = read_leaf(field, &format!("[{json}]"))?;
        if let (Some(Value::List(new)), Some(all)) = (new, within.get_field_mut(field).as_list_mut()) {
            all.extend(new);
        }
        return Ok(());
    }
    if within.has_field(field) {
        return Err("it is given twice".to_owned());
    }
    if let Some(value) = read_leaf(field, &json)? {
        within.set_field(field, value);
    }
    Ok(())
}

/// A text outside of JSON as the JSON that it stands for.
fn in_json(kind: &Kind, text: &str) -> String {
    let is_bare = match kind {
        Kind::Bool => matches!(text, "true" | "false"),
        Kind::Enum(_) => text.parse::<i32>().is_ok_and(|number| number.to_string() == text),
        _ => false,
    };
    if is_bare { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

fn from_path(message: &mut DynamicMessage, fields: &[FieldDescriptor], text: &str) -> Result<(), Misfit> {
    let Some((last, outer)) = fields.split_last() else { return Ok(()) };
    let mut within = message;
    for field in outer {
        let Some(inner) = within.get_field_mut(field).as_message_mut() else { return Ok(()) };
        within = inner;
    }
    let read = read_leaf(last, &in_json(&last.kind(), text)).map_err(|problem| misfit(last.json_name(), &problem))?;
    let Some(value) = read else { return Ok(()) };
    if within.has_field(last) && *within.get_field(last) != value {
        return Err(misfit(last.json_name(), "the path says otherwise; give it once"));
    }
    within.set_field(last, value);
    Ok(())
}

/// Only a message with a `request_id` has something that a key can be bound to; elsewhere the header says nothing.
fn from_headers(message: &mut DynamicMessage, headers: &HeaderMap) -> Result<(), Misfit> {
    let field = prost_reflect::ReflectMessage::descriptor(message).get_field_by_name(REQUEST_ID);
    let (Some(key), Some(field)) = (headers.get(IDEMPOTENCY_KEY), field) else { return Ok(()) };
    let Some(key) = key.to_str().ok().map(unquoted).filter(|key| !key.is_empty()) else {
        return Err(misfit("Idempotency-Key", "write 1 to 128 printable ASCII characters"));
    };
    let text = |name| message.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned));
    for name in [REQUEST_ID, "saga_id"] {
        if text(name).is_some_and(|given| !given.is_empty() && given != key) {
            let problem =
                format!("the body has another {name:?}, which makes this safe to repeat already; give one of them");
            return Err(misfit("Idempotency-Key", &problem));
        }
    }
    if text("saga_id").is_none_or(|given| given.is_empty()) {
        message.set_field(&field, Value::String(key.to_owned()));
    }
    Ok(())
}

/// The header is a quoted string by its draft, and bare in most clients.
fn unquoted(key: &str) -> &str {
    key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key)
}

fn misfit(field: &str, problem: &str) -> Misfit {
    Misfit { field: field.to_owned(), problem: problem.to_owned(), place: None }
}
