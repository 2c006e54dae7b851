//! What expressions and templates cost: the example's input checked, its requests made, its replies read.
//!
//! `make bench-micro`. Asserts nothing about time: figures aren't tests. Invariant: what is measured succeeds.

#![allow(clippy::unwrap_used, reason = "a measuring program, not a part of the crate")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use amends_definition::{Compiled, Format, Prepared, Scope, parse, read_json};
use amends_engine::ids::{Namespace, Operation, ParticipantName, SagaId, SagaKey, StepIndex, Version};
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use prost_reflect::{DescriptorPool, DynamicMessage};

const INPUT: &str = r#"{"order_id": "o-1", "sku": "book", "quantity": 2, "account_id": "alice", "amount_minor": 1200}"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What server reflection of a participant would give.
fn descriptors(participant: &str) -> Bytes {
    let folder = root().join("participants").join(participant).join("proto");
    let mut compiler = protox::Compiler::new([folder]).unwrap();
    compiler.include_imports(true).open_file(format!("{participant}/v1/{participant}.proto")).unwrap();
    compiler.encode_file_descriptor_set().into()
}

fn participants() -> BTreeMap<ParticipantName, Bytes> {
    ["account", "inventory", "payment"].map(|name| (ParticipantName::parse(name).unwrap(), descriptors(name))).into()
}

fn expressions(criterion: &mut Criterion) {
    let path = "examples/checkout/checkout.saga.yaml";
    let source = std::fs::read_to_string(root().join(path)).unwrap();
    let participants = participants();
    let document = parse(&source, Format::Yaml, path).unwrap();
    let compiled = Compiled::compile(&document, Version(1), &participants).unwrap();
    let key = SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").unwrap() };
    let (input, outputs) = (read_json(INPUT.as_bytes()).unwrap(), BTreeMap::new());
    let scope = Scope { key: &key, input: &input, outputs: &outputs };
    let (reserve, action) = (StepIndex(0), Operation::Action);
    let prepared = compiled.prepare(reserve, action, &scope).unwrap();
    assert!(matches!(&prepared, Prepared::Requests(requests) if !requests.is_empty()), "{prepared:?}");

    let mut group = criterion.benchmark_group("definition");
    group.bench_function("compiled", |b| b.iter(|| Compiled::compile(&document, Version(1), &participants)));
    group.bench_function("input checked", |b| b.iter(|| compiled.check_input(black_box(INPUT.as_bytes())).unwrap()));
    group.bench_function("labels", |b| b.iter(|| compiled.labels(black_box(&input)).unwrap()));
    group.bench_function("requests of a step", |b| b.iter(|| compiled.prepare(reserve, action, &scope).unwrap()));
    let method = compiled.method(reserve, action).unwrap().path().trim_start_matches('/').replace('/', ".");
    let pool = DescriptorPool::decode(descriptors("inventory")).unwrap();
    let (service, name) = method.rsplit_once('.').unwrap();
    let output = pool.get_service_by_name(service).unwrap().methods().find(|it| it.name() == name).unwrap().output();
    let reply = prost::Message::encode_to_vec(&DynamicMessage::new(output));
    let payload = compiled.decode_reply(reserve, action, &reply).unwrap();
    group.bench_function("reply read", |b| {
        b.iter(|| compiled.decode_reply(reserve, action, black_box(&reply)).unwrap())
    });
    group.bench_function("reply judged", |b| b.iter(|| compiled.judge_reply(reserve, action, &payload).unwrap()));
    group.finish();
}

criterion_group!(benches, expressions);
criterion_main!(benches);
