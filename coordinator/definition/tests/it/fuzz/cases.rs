//! What is made: a definition, expressions in one, an input with its schema, descriptors with a reply.
//!
//! Invariant: a kind and a seed give the same case for ever, as long as this code and the corpus stay the same.

use std::collections::BTreeMap;

use amends_definition::{Format, ParticipantName};
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::prost_types::FileDescriptorSet;
use serde_json::{Value, json};

use super::generate::{IN_REPLIES, IN_STEPS, expression, schema, value};
use super::mutate::mutate;
use super::random::Random;
use crate::descriptors::{root, world};

/// What all cases share.
pub(super) struct World {
    /// Broken definitions, then valid ones.
    texts: Vec<String>,
    broken: usize,
    pub(super) descriptors: BTreeMap<ParticipantName, Bytes>,
}

impl World {
    pub(super) fn load() -> Self {
        let [mut texts, valid] = ["broken", "valid"].map(|folder| {
            let folder = root().join("coordinator/definition/tests/corpus").join(folder);
            let files = std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path());
            let mut texts: Vec<String> = files.map(|file| std::fs::read_to_string(file).expect("text")).collect();
            texts.sort();
            texts
        });
        let broken = texts.len();
        texts.extend(valid);
        Self { texts, broken, descriptors: world() }
    }
}

/// A kind of input.
#[derive(Debug, Clone, Copy)]
pub(super) enum Case {
    Definition,
    Expression,
    Input,
    Descriptors,
}

/// One input.
pub(super) enum Made {
    Definition { source: String, format: Format, input: Value },
    Input { schema: String, json: Vec<u8> },
    Descriptors { set: Vec<u8>, reply: Vec<u8> },
}

impl Case {
    pub(super) const ALL: [Self; 4] = [Self::Definition, Self::Expression, Self::Input, Self::Descriptors];

    pub(super) fn make(self, random: &mut Random, world: &World) -> Made {
        match self {
            Self::Definition => definition(random, world),
            Self::Expression => with_expressions(random),
            Self::Input => {
                let mut json = value(random, 6).to_string().into_bytes();
                for _ in 0..random.below(3) {
                    let at = random.below(json.len());
                    match random.below(3) {
                        0 if !json.is_empty() => json[at] = u8::try_from(random.below(256)).expect("a byte"),
                        1 => json.truncate(at),
                        _ => drop(json.splice(at..at, b"[{\"next\":".repeat(random.size(40_000)))),
                    }
                }
                Made::Input { schema: schema(random, 5).to_string(), json }
            }
            Self::Descriptors => descriptors(random, world),
        }
    }
}

fn definition(random: &mut Random, world: &World) -> Made {
    // Valid ones stand last.
    let from = if random.once_in(3) { 0 } else { world.broken };
    let mut source = random.pick(&world.texts[from..]).clone();
    mutate(&mut source, &world.texts, random);
    let format = if random.once_in(8) { Format::Json } else { Format::Yaml };
    Made::Definition { source, format, input: value(random, 4) }
}

/// One or two invented expressions where any type will do, so that most are accepted and evaluated.
fn with_expressions(random: &mut Random) -> Made {
    let depth = 1 + random.below(5);
    let fact = |random: &mut Random| json!(format!("${{{}}}", expression(random, depth, &IN_STEPS)));
    let judging = expression(random, depth, &IN_REPLIES);
    let (value_of, text_of, rejected) = match random.below(4) {
        0 => (fact(random), json!(format!("x-${{string({})}}", expression(random, depth, &IN_STEPS))), None),
        1 => (fact(random), json!("x"), Some(format!("${{{judging}}}"))),
        2 => (json!([fact(random), {"inner": fact(random)}]), json!("x"), None),
        _ => (json!(1), json!("x"), Some(format!("${{[{judging}].size() > 0 && {judging} == 'OPEN'}}"))),
    };
    let mut order = json!({"step": "order", "participant": "shop", "after": ["reserve-stock"],
        "action": {"call": "shop.v1.Shop/Order", "request": {"order_id": text_of, "extra": {"value": value_of}}},
        "compensate": {"none": "x"}});
    if let Some(rejected) = rejected {
        order["action"]["rejected_when"] = json!(rejected);
    }
    let mut source = json!({"saga": "t", "steps": [
        {"step": "reserve-stock", "participant": "inventory", "compensate": {"none": "x"},
         "action": {"call": "inventory.v1.Inventory/Reserve", "request": {"sku": "a", "quantity": 1, "order_id": "x"}}},
        order,
    ]});
    if random.once_in(3) {
        source["input"] = schema(random, 3);
    }
    Made::Definition { source: source.to_string(), format: Format::Json, input: value(random, 4) }
}

fn descriptors(random: &mut Random, world: &World) -> Made {
    let sets: Vec<&Bytes> = world.descriptors.values().collect();
    let original = *random.pick(&sets);
    let mut set = original.to_vec();
    if random.once_in(3) {
        for _ in 0..=random.below(4) {
            let at = random.below(set.len());
            set[at] = u8::try_from(random.below(256)).expect("a byte");
        }
    } else if random.once_in(2)
        && let Ok(mut read) = FileDescriptorSet::decode(original.clone())
    {
        rearrange(&mut read, random);
        set = read.encode_to_vec();
    }
    // Small bytes are field numbers, wire types and lengths.
    let most = *random.pick(&[256, 40, 12]);
    let reply = (0..random.size(200)).map(|_| u8::try_from(random.below(most)).expect("a byte")).collect();
    Made::Descriptors { set, reply }
}

/// Descriptors that contradict themselves, lead in circles, or go on and on.
fn rearrange(set: &mut FileDescriptorSet, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let (file, other) = (random.below(set.file.len()), random.below(set.file.len()));
        let name = set.file[other].name().to_owned();
        match random.below(6) {
            0 => set.file[file].dependency.push(name),
            1 => drop(set.file.remove(file)),
            2 => {
                let length = random.size(300);
                for number in 0..length {
                    let mut copy = set.file[file].clone();
                    copy.name = Some(format!("{number}.proto"));
                    copy.package = Some(format!("p{number}"));
                    copy.dependency.push(format!("{}.proto", number + 1));
                    copy.message_type.clear();
                    copy.service.clear();
                    copy.enum_type.clear();
                    set.file.push(copy);
                }
                set.file[file].dependency.push("0.proto".to_owned());
                return;
            }
            3 => {
                for message in &mut set.file[file].message_type {
                    let copies: Vec<_> = message.field.clone();
                    message.field.extend(copies);
                }
            }
            4 => {
                for message in &mut set.file[file].message_type {
                    for field in &mut message.field {
                        field.type_name =
                            Some(random.pick(&[".shop.v1.OrderRequest", ".shop.v1.Line", ".nowhere", ""]).to_string());
                        field.set_type(prost_reflect::prost_types::field_descriptor_proto::Type::Message);
                    }
                }
            }
            _ => {
                let mut message = set.file[file].message_type.first().cloned().unwrap_or_default();
                for _ in 0..random.size(90) {
                    message = prost_reflect::prost_types::DescriptorProto {
                        name: Some("N".to_owned()),
                        nested_type: vec![message],
                        ..Default::default()
                    };
                }
                set.file[file].message_type.push(message);
            }
        }
        if set.file.is_empty() {
            return;
        }
    }
}
