//! What an entry shows of a request and of its answer: the fields that the table names, and nothing else.
//!
//! Pure. It reads any message by its descriptor, so that a new method needs a row and no code. Invariant: no text that leaves
//! here holds a user name or password of a URL, not even of a request that was refused.

use std::sync::LazyLock;

use amends_engine::ids::DefinitionName;
use amends_runtime::audit::Call;
use bytes::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MethodDescriptor, ReflectMessage as _, Value};
use serde_json::{Map, json};

use super::table::Row;

/// Longest text of a request in an entry.
const TEXT_BYTES_MAX: usize = 256;
/// Most items of a list in an entry.
const ITEMS_MAX: usize = 32;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(amends_proto::FILE_DESCRIPTOR_SET).ok());

fn rpc(row: &Row) -> Option<MethodDescriptor> {
    let (service, method) = row.path.trim_start_matches('/').split_once('/')?;
    let service = POOL.as_ref()?.get_service_by_name(service)?;
    service.methods().find(|rpc| rpc.name() == method)
}

/// What is called, as far as the request says; `None` where it only wants to know.
pub(super) fn call(row: &Row, message: Option<Bytes>, principal: &str, id: u128) -> Option<Call> {
    let method = row.path.trim_start_matches("/amends.v1.").to_owned();
    let mut call =
        Call { id, principal: principal.to_owned(), method, target: row.about.kind.to_owned(), ..Call::default() };
    let message = message.and_then(|bytes| DynamicMessage::decode(rpc(row)?.input(), bytes).ok());
    let Some(message) = message else { return Some(call) };
    if text(&message, "dry_run").is_some() {
        return None;
    }
    if !row.about.namespace.is_empty() {
        call.namespace = text(&message, row.about.namespace).unwrap_or_else(|| "default".to_owned());
    }
    let name = match row.about.name {
        "" => text(&message, "source").and_then(|source| name_in(&source)),
        path => text(&message, path),
    };
    if let Some(name) = name {
        call.target = format!("{}/{name}", row.about.kind);
    }
    call.reason = text(&message, "reason").map(|reason| without_credentials(&reason)).unwrap_or_default();
    call.request = request(row, &message);
    Some(call)
}

/// What the answer tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The target's name, where only the answer has it.
    pub(super) name: Option<String>,
    /// What was done, in words.
    pub(super) message: String,
    /// A saga's revision; else 0.
    pub(super) revision: u64,
    /// It says itself that nothing is new.
    pub(super) is_idle: bool,
}

/// Reads what an answer tells.
pub(super) fn told(row: &Row, answer: Bytes) -> Told {
    let message = rpc(row).and_then(|rpc| DynamicMessage::decode(rpc.output(), answer).ok());
    let Some(message) = message else { return Told::default() };
    let words = row.tells.iter().filter_map(|path| {
        let word = path.rsplit('.').next().unwrap_or(path);
        Some(format!("{word} {}", text(&message, path)?))
    });
    let words = words.collect::<Vec<_>>().join(", ");
    let is_idle = message.descriptor().get_field_by_name("created").is_some() && text(&message, "created").is_none();
    let name = Some(row.about.answer).filter(|path| !path.is_empty()).and_then(|path| text(&message, path));
    let revision = ["revision", "saga.revision"].iter().find_map(|path| text(&message, path));
    let is_saga = row.about.kind == super::table::SAGAS;
    Told {
        name,
        message: if is_idle { format!("nothing changed: {words}") } else { words },
        revision: revision.filter(|_| is_saga).and_then(|revision| revision.parse().ok()).unwrap_or(0),
        is_idle,
    }
}

/// The fields that the table names, as JSON; empty where none of them is set.
fn request(row: &Row, message: &DynamicMessage) -> String {
    let mut shown = Map::new();
    for path in row.asks {
        if let Some((value, kind)) = find(message, path) {
            shown.insert((*path).to_owned(), show(&value, &kind));
        }
    }
    if shown.is_empty() { String::new() } else { serde_json::Value::Object(shown).to_string() }
}

/// A field that is set.
fn find(message: &DynamicMessage, path: &str) -> Option<(Value, Kind)> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let field = message.descriptor().get_field_by_name(first)?;
    if !message.has_field(&field) {
        return None;
    }
    let value = message.get_field(&field).into_owned();
    match (rest, &value) {
        (Some(rest), Value::Message(inner)) => find(inner, rest),
        (Some(_), _) => None,
        (None, _) => Some((value, field.kind())),
    }
}

/// A field that is set, as text.
fn text(message: &DynamicMessage, path: &str) -> Option<String> {
    let (value, kind) = find(message, path)?;
    Some(match &value {
        Value::String(text) => text.clone(),
        value => show(value, &kind).to_string(),
    })
}

fn show(value: &Value, kind: &Kind) -> serde_json::Value {
    match value {
        Value::Bool(value) => json!(value),
        Value::I32(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::U32(value) => json!(value),
        Value::U64(value) => json!(value),
        Value::F32(value) => json!(value),
        Value::F64(value) => json!(value),
        Value::String(text) => json!(shortened(without_credentials(text))),
        Value::EnumNumber(number) => match kind.as_enum().and_then(|of| of.get_value(*number)) {
            Some(value) => json!(value.name()),
            None => json!(number),
        },
        Value::List(values) => values.iter().take(ITEMS_MAX).map(|value| show(value, kind)).collect(),
        // Only that it is there; what is in it may be a payload.
        Value::Message(_) | Value::Bytes(_) | Value::Map(_) => json!(true),
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}

/// A text with `…` in place of what stands between `//` and `@` of a URL.
pub(super) fn without_credentials(text: &str) -> String {
    let mut parts = text.split("//");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str("//");
        let end = part.find(|it: char| it == '/' || it.is_whitespace() || it == '"').unwrap_or(part.len());
        match part[..end].rfind('@') {
            Some(at) => {
                shown.push('…');
                shown.push_str(&part[at..]);
            }
            None => shown.push_str(part),
        }
    }
    shown
}

/// The name of a definition as its text has it, also where the text is none that can be registered.
fn name_in(source: &str) -> Option<String> {
    let keys = source.lines().filter_map(|line| line.trim_start_matches(['{', ' ', '"']).strip_prefix("saga"));
    let name = keys.filter_map(|rest| rest.trim_start_matches(['"', ' ']).strip_prefix(':')).next()?;
    let name: String = name
        .trim_start_matches([' ', '"', '\''])
        .chars()
        .take_while(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-'))
        .collect();
    DefinitionName::parse(&name).ok().map(|name| name.to_string())
}

#[cfg(test)]
mod tests {
    use amends_proto::v1;
    use prost::Message as _;

    use super::super::table;
    use super::*;

    fn read(path: &str, message: &impl prost::Message) -> Option<Call> {
        call(table::method(path).unwrap(), Some(message.encode_to_vec().into()), "ops", 1)
    }

    #[test]
    fn an_entry_shows_what_the_table_names_and_no_more() {
        let happened = v1::Happened { output: Some(v1::Payload { encoding: 1, data: "\"4111\"".into() }) };
        let resolve = v1::ResolveOperationRequest {
            saga_id: "order-1".to_owned(),
            step: "charge".to_owned(),
            operation: v1::Operation::Action.into(),
            finding: Some(v1::resolve_operation_request::Finding::Happened(happened)),
            reason: "the bank says so".to_owned(),
            expected_revision: 7,
            ..Default::default()
        };
        let call = read("/amends.v1.Operations/Resolve", &resolve).unwrap();
        assert_eq!((call.method.as_str(), call.target.as_str()), ("Operations/Resolve", "sagas/order-1"));
        assert_eq!((call.namespace.as_str(), call.reason.as_str()), ("default", "the bank says so"));
        let shown = r#"{"step":"charge","operation":"OPERATION_ACTION","happened":true,"expected_revision":7}"#;
        assert_eq!(call.request, shown);
    }

    #[test]
    fn no_secret_of_a_registration_is_shown() {
        let participant = v1::Participant {
            namespace: "shop".to_owned(),
            name: "bank".to_owned(),
            endpoints: vec!["https://ops:hunter2@bank.example/x".to_owned()],
            signing_secrets: vec!["hunter3".to_owned()],
            ..Default::default()
        };
        let put = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
        let call = read("/amends.v1.Participants/Put", &put).unwrap();
        assert_eq!((call.namespace.as_str(), call.target.as_str()), ("shop", "participants/bank"));
        assert!(!format!("{call:?}").contains("hunter"), "{call:?}");
        assert!(call.request.contains("https://…@bank.example/x"), "{}", call.request);
        assert_eq!(without_credentials("a//b@c d//e f@g"), "a//…@c d//e f@g");
    }

    #[test]
    fn a_definition_is_found_in_its_text_and_a_dry_run_is_none() {
        for source in [
            "# x\nsaga: checkout\n",
            "{\"saga\": \"checkout\"}",
            "saga: 'checkout'\nsteps: [",
            "{\n  \"saga\" : \"checkout\",",
        ] {
            let register = v1::RegisterDefinitionRequest { source: source.to_owned(), ..Default::default() };
            let call = read("/amends.v1.Definitions/Register", &register).unwrap();
            assert_eq!(call.target, "definitions/checkout", "{source}");
            assert!(!call.request.contains("steps"));
            let dry = v1::RegisterDefinitionRequest { dry_run: true, ..register };
            assert_eq!(read("/amends.v1.Definitions/Register", &dry), None);
        }
        let register = v1::RegisterDefinitionRequest { source: "sagas: 7".to_owned(), ..Default::default() };
        assert_eq!(read("/amends.v1.Definitions/Register", &register).unwrap().target, "definitions");
    }

    #[test]
    fn what_cant_be_read_is_accounted_for_all_the_same() {
        let row = table::method("/amends.v1.Operations/Pause").unwrap();
        for message in [None, Some(Bytes::from_static(b"\xff"))] {
            let call = call(row, message, "ops", 1).unwrap();
            assert_eq!((call.method.as_str(), call.target.as_str()), ("Operations/Pause", "sagas"));
        }
    }

    #[test]
    fn an_answer_tells_its_name_and_whether_anything_is_new() {
        let row = table::method("/amends.v1.Definitions/Register").unwrap();
        let definition = v1::Definition { name: "checkout".to_owned(), version: 3, ..Default::default() };
        let mut answer =
            v1::RegisterDefinitionResponse { definition: Some(definition), created: true, ..Default::default() };
        let created = told(row, answer.encode_to_vec().into());
        assert_eq!((created.name.as_deref(), created.message.as_str()), (Some("checkout"), "version 3"));
        assert!(!created.is_idle);
        answer.created = false;
        let again = told(row, answer.encode_to_vec().into());
        assert!(again.is_idle && again.message == "nothing changed: version 3", "{again:?}");
        let row = table::method("/amends.v1.Operations/Pause").unwrap();
        let saga = v1::Saga { revision: 9, ..Default::default() };
        assert_eq!(told(row, saga.encode_to_vec().into()).revision, 9);
    }
}
