//! What most tests of whole nodes share: a participant `echo` with one method, definitions that call it, and sagas of those.
//!
//! What the participant answers is each test's own.

use std::collections::BTreeMap;

use amends_definition::{Body, Format};
use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaId, SagaKey};
use amends_engine::payload::Payload;
use amends_engine::time::Timestamp;
use amends_runtime::Start;
use amends_store::Store;

const PROTO: &str = "
syntax = \"proto3\";
package echo.v1;
service Echo { rpc Say(Text) returns (Text); }
message Text { string text = 1; }
";

/// Registers a definition whose steps are at these participants, which all have the method `echo.v1.Echo/Say`.
pub(crate) async fn register(store: &dyn Store, name: &str, source: &str, participants: &[&str]) {
    let descriptors = descriptors();
    let participants: BTreeMap<_, _> =
        participants.iter().map(|name| (ParticipantName::parse(name).expect("a name"), descriptors.clone())).collect();
    let document = amends_definition::parse(source, Format::Yaml, "a.saga.yaml").expect("a definition");
    let body = Body::new(source, Format::Yaml, &document, &participants).expect("descriptors");
    let name = DefinitionName::parse(name).expect("a name");
    let namespace = Namespace::default_namespace();
    store.put_definition(&namespace, &name, body.encode(), "test", Timestamp(1)).await.expect("registered");
}

fn descriptors() -> bytes::Bytes {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("echo.proto"), PROTO).expect("written");
    let mut compiler = protox::Compiler::new([folder.path()]).expect("a compiler");
    compiler.open_file("echo.proto").expect("valid");
    compiler.encode_file_descriptor_set().into()
}

pub(crate) fn key(id: &str) -> SagaKey {
    SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse(id).expect("an id") }
}

pub(crate) fn start_of(id: &str, definition: &str, input: &str) -> Start {
    Start {
        key: key(id),
        definition: DefinitionName::parse(definition).expect("a name"),
        version: None,
        input: Payload::json(input.to_owned()),
        labels: Vec::new(),
        principal: "test".to_owned(),
        traceparent: String::new(),
    }
}
