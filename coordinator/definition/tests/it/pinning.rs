//! Stored versions: the same content has the same bytes, what is not needed is not stored, and what can't be used says why.

use std::collections::BTreeMap;

use amends_definition::{Body, BodyError, Call, Compiled, Format, check_descriptors, parse, prune};
use amends_engine::ids::{Operation, ParticipantName, StepIndex, Version};
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::descriptors::{compile, edition_2023, name, participants, root};

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
    let temporary = tempfile::tempdir().expect("folder");
    let folder = temporary.path();
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
    let set = compile("all.proto", folder);
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

/// Files import each other and messages lead to each other as deeply as there are any: following them must not use up the stack.
#[test]
fn descriptors_of_any_depth_give_an_answer() {
    use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
    use prost_reflect::prost_types::{DescriptorProto, FieldDescriptorProto};

    const DEPTH: usize = 20_000;
    let mut set = FileDescriptorSet::decode(participants()[&name("payment")].clone()).expect("set");
    let mut chained = set.clone();
    for number in 0..DEPTH {
        chained.file[number].dependency.push(format!("{number}.proto"));
        chained.file.push(FileDescriptorProto { name: Some(format!("{number}.proto")), ..Default::default() });
    }
    let call = Call { service: "payment.v1.Payment".into(), method: "Charge".into() };
    let pruned = prune(&chained.encode_to_vec(), std::slice::from_ref(&call)).expect("pruned");
    assert_eq!(FileDescriptorSet::decode(pruned).expect("set").file.len(), DEPTH + 1);

    let message = |number: usize| DescriptorProto {
        name: Some(format!("M{number}")),
        field: Vec::from_iter((number + 1 < DEPTH).then(|| FieldDescriptorProto {
            name: Some("next".into()),
            number: Some(1),
            label: Some(Label::Optional.into()),
            r#type: Some(Type::Message.into()),
            type_name: Some(format!(".payment.v1.M{}", number + 1)),
            ..Default::default()
        })),
        ..Default::default()
    };
    set.file[0].message_type.extend((0..DEPTH).map(message));
    for method in &mut set.file[0].service[0].method {
        method.output_type = Some(".payment.v1.M0".into());
    }
    let source = "saga: t\nsteps:\n  - { step: s, participant: payment, pivot: true, action: { call: payment.v1.Payment/Charge } }\n";
    let document = parse(source, Format::Yaml, "t").expect("document");
    let descriptors = BTreeMap::from([(name("payment"), set.encode_to_vec().into())]);
    assert!(Compiled::compile(&document, Version(1), &descriptors).is_ok());
}

#[test]
fn editions_say_what_to_do() {
    let source = source().replace("payment.v1.Payment/Charge", "shop.v1.Shop/Order");
    let source = source.replace("payment.v1.Payment/GetCharge", "shop.v1.Shop/Find");
    let document = parse(&source, Format::Yaml, "t").expect("document");
    let mut descriptors = participants();
    descriptors.insert(name("payment"), edition_2023());
    let found = Compiled::compile(&document, Version(1), &descriptors).expect_err("editions");
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "t:66:18: error[AM-L051]: this participant's descriptors can't be used: `shop.proto` uses Protobuf editions, which can't be read yet — describe the \
          service in a proto3 file (the bytes on the wire are the same) and upload its descriptor set"
        ]
    );
}

#[test]
fn a_whole_set_is_checked_like_what_is_called_of_it() {
    let all = crate::descriptors::world();
    let problem = |participant: &str| check_descriptors(&all[&name(participant)]).map_err(|error| error.to_string());
    assert_eq!(problem("shop"), Ok(()));
    for (participant, message) in [
        (
            "editions",
            "`shop.proto` uses Protobuf editions, which can't be read yet — describe the service in a proto3 file",
        ),
        (
            "proto4",
            "`google/protobuf/duration.proto` has the syntax \"proto4\", which doesn't exist — generate them again",
        ),
        (
            "no-imports",
            "`shop.proto` imports `google/protobuf/duration.proto`, which is not among them — include all imports",
        ),
        ("damaged", "they are no google.protobuf.FileDescriptorSet — make them with"),
    ] {
        let problem = problem(participant).expect_err(participant);
        assert!(problem.starts_with(message), "{problem}");
    }
}

#[test]
fn damaged_and_newer_bodies_are_refused() {
    assert!(matches!(Body::decode(b"\xff"), Err(BodyError::Damaged(_))));
    assert!(matches!(Body::decode(b""), Err(BodyError::UnknownFormat { found: 0 })));
    assert!(matches!(Body::decode(b"\x08\x02"), Err(BodyError::UnknownFormat { found: 2 })));
    assert!(matches!(Body::decode(b"\x08\x01"), Err(BodyError::Invalid(_))));
}
