//! Stored versions: the same content has the same bytes, what is not needed is not stored, and what can't be used says why.

use std::collections::BTreeMap;

use amends_definition::{Body, BodyError, Call, Compiled, Format, parse, prune};
use amends_engine::ids::{Operation, ParticipantName, StepIndex, Version};
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::prost_types::FileDescriptorSet;

use crate::descriptors::{compile, name, participants, root};

fn source() -> String {
    std::fs::read_to_string(root().join("examples/checkout/checkout.saga.yaml")).expect("example")
}

fn body(descriptors: &BTreeMap<ParticipantName, Bytes>) -> Body {
    let document = parse(&source(), Format::Yaml, "a/path/to/it.yaml").expect("document");
    Body::new(&source(), Format::Yaml, &document, descriptors).expect("body")
}

#[test]
fn a_body_comes_back_and_compiles_to_the_same_definition() {
    let body = body(&participants());
    let stored = body.encode();
    let back = Body::decode(&stored).expect("body");
    assert_eq!(back, body);
    assert_eq!(back.encode(), stored);
    let compiled = back.compile(Version(7)).expect("compiled");
    let document = parse(&source(), Format::Yaml, "other.yaml").expect("document");
    let fresh = Compiled::compile(&document, Version(7), &participants()).expect("compiled");
    assert_eq!(compiled.engine(), fresh.engine());
}

#[test]
fn equal_content_has_equal_bytes_whatever_order_the_descriptors_came_in() {
    let first = body(&participants()).encode();
    let reversed = participants()
        .into_iter()
        .map(|(participant, set)| {
            let mut set = FileDescriptorSet::decode(set).expect("set");
            set.file.reverse();
            (participant, Bytes::from(set.encode_to_vec()))
        })
        .chain([(name("unused"), Bytes::from_static(b"not even descriptors"))])
        .collect();
    assert_eq!(body(&reversed).encode(), first);
}

#[test]
fn only_what_is_called_is_kept() {
    let folder = folder("prune");
    std::fs::write(
        folder.join("used.proto"),
        "syntax = \"proto3\"; package a; import \"common.proto\"; // a comment\n\
        service Used { rpc Do(common.M) returns (common.M); rpc Follow(common.M) returns (stream common.M); }",
    )
    .expect("proto");
    std::fs::write(
        folder.join("common.proto"),
        "syntax = \"proto3\"; package common; message M { map<string, string> tags = 1; }",
    )
    .expect("proto");
    std::fs::write(folder.join("unused.proto"), "syntax = \"proto3\"; package b; message Unused {}").expect("proto");
    std::fs::write(folder.join("all.proto"), "syntax = \"proto3\"; import \"used.proto\"; import \"unused.proto\";")
        .expect("proto");
    let set = compile("all.proto", &folder);
    let call = |service: &str, method: &str| Call { service: service.into(), method: method.into() };

    let pruned = prune(&set, &[call("a.Used", "Do")]).expect("pruned");
    let files = FileDescriptorSet::decode(pruned.clone()).expect("set").file;
    let names: Vec<&str> = files.iter().map(|file| file.name()).collect();
    assert_eq!(names, ["common.proto", "used.proto"]);
    assert!(files.iter().all(|file| file.source_code_info.is_none()));
    assert_eq!(prune(&pruned, &[call("a.Used", "Do")]).expect("again"), pruned);

    for (service, method, message) in [
        ("a.Used", "Doo", "`a.Used` has no method `Doo` — did you mean `Do`?"),
        ("a.Usd", "Do", "there is no service `a.Usd` — did you mean `a.Used`?"),
    ] {
        assert_eq!(prune(&set, &[call(service, method)]).expect_err("unknown").to_string(), message);
    }
    assert!(
        prune(b"\xff", &[])
            .expect_err("damaged")
            .to_string()
            .starts_with("they are no google.protobuf.FileDescriptorSet")
    );

    let one_file = FileDescriptorSet { file: files.into_iter().filter(|file| file.name() == "used.proto").collect() };
    assert_eq!(
        prune(&one_file.encode_to_vec(), &[call("a.Used", "Do")]).expect_err("import").to_string(),
        "`used.proto` imports `common.proto`, which is not among them — include all imports (`protoc --include_imports`)"
    );

    let definition = |method: &str| {
        format!(
            "saga: t\nsteps:\n  - {{ step: s, participant: p, pivot: true, action: {{ call: a.Used/{method}, request: {{ tags: {{ b: x, a: y }} }} }} }}\n"
        )
    };
    let document = parse(&definition("Follow"), Format::Yaml, "t").expect("document");
    let found =
        Compiled::compile(&document, Version(1), &BTreeMap::from([(name("p"), set.clone())])).expect_err("streaming");
    assert_eq!(
        found[0].to_string(),
        "t:3:61: error[AM-L053]: `a.Used/Follow` is a streaming method — call a unary one: one request, one reply"
    );
    let document = parse(&definition("Do"), Format::Yaml, "t").expect("document");
    let compiled = Compiled::compile(&document, Version(1), &BTreeMap::from([(name("p"), set)])).expect("compiled");
    let decoded =
        compiled.decode_reply(StepIndex(0), Operation::Action, b"\x0a\x06\x0a\x01b\x12\x01x\x0a\x06\x0a\x01a\x12\x01y");
    assert_eq!(decoded.expect("reply").bytes.as_ref(), br#"{"tags":{"a":"y","b":"x"}}"#);
}

#[test]
fn editions_say_what_to_do() {
    let mut set = FileDescriptorSet::decode(participants()[&name("payment")].clone()).expect("set");
    for file in &mut set.file {
        file.syntax = Some("editions".to_owned());
    }
    let document = parse(&source(), Format::Yaml, "t").expect("document");
    let mut descriptors = participants();
    descriptors.insert(name("payment"), set.encode_to_vec().into());
    let found = Compiled::compile(&document, Version(1), &descriptors).expect_err("editions");
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "t:65:18: error[AM-L051]: `payment/v1/payment.proto` uses Protobuf editions, which can't be read yet — describe the \
          service in a proto3 file (the bytes on the wire are the same) and upload its descriptor set"
        ]
    );
}

#[test]
fn damaged_and_newer_bodies_are_refused() {
    assert!(matches!(Body::decode(b"\xff"), Err(BodyError::Damaged(_))));
    assert!(matches!(Body::decode(b""), Err(BodyError::UnknownFormat { found: 0 })));
    assert!(matches!(Body::decode(b"\x08\x02"), Err(BodyError::UnknownFormat { found: 2 })));
    assert!(matches!(Body::decode(b"\x08\x01"), Err(BodyError::Invalid(_))));
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("amends-definition-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    folder
}
