//! Descriptor sets of the example participants, compiled from their .proto files, and of others that only tests need.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use amends_engine::ids::ParticipantName;
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn name(text: &str) -> ParticipantName {
    ParticipantName::parse(text).expect("name")
}

/// What server reflection of the three participants would give.
pub(crate) fn participants() -> BTreeMap<ParticipantName, Bytes> {
    ["account", "inventory", "payment"].map(|participant| (name(participant), of_participant(participant))).into()
}

/// The same, with a participant that has every type, and some whose descriptors can't be used.
pub(crate) fn world() -> BTreeMap<ParticipantName, Bytes> {
    let shop = compile("shop.proto", &root().join("coordinator/definition/tests/proto"));
    let mut without_imports = FileDescriptorSet::decode(shop.clone()).expect("set");
    without_imports.file.retain(|file| file.name() == "shop.proto");
    let mut proto4 = FileDescriptorSet::decode(shop.clone()).expect("set");
    proto4.file.iter_mut().for_each(|file| file.syntax = Some("proto4".to_owned()));
    let mut all = participants();
    all.extend([
        (name("shop"), shop.clone()),
        (name("editions"), edition_2023()),
        (name("proto4"), proto4.encode_to_vec().into()),
        (name("no-imports"), without_imports.encode_to_vec().into()),
        (name("damaged"), shop.slice(..shop.len() / 2)),
    ]);
    all
}

/// What protoc 27 makes of a file with `edition = "2023"`. prost-types doesn't know the fields, so they are written as bytes.
pub(crate) fn edition_2023() -> Bytes {
    let shop = compile("shop.proto", &root().join("coordinator/definition/tests/proto"));
    let set = FileDescriptorSet::decode(shop).expect("set");
    let mut bytes = Vec::new();
    for file in set.file {
        let ours = file.name() == "shop.proto";
        let mut encoded = FileDescriptorProto { syntax: None, ..file.clone() }.encode_to_vec();
        if ours {
            // options.features { field_presence: IMPLICIT }, syntax, edition 1000.
            encoded.extend(b"\x42\x05\x92\x03\x02\x08\x02");
            encoded.extend(b"\x62\x08editions");
            encoded.extend(b"\x70\xe8\x07");
        } else {
            encoded = file.encode_to_vec();
        }
        prost::encoding::bytes::encode(1, &encoded, &mut bytes);
    }
    bytes.into()
}

fn of_participant(participant: &str) -> Bytes {
    let folder = root().join("participants").join(participant).join("proto");
    compile(&format!("{participant}/v1/{participant}.proto"), &folder)
}

pub(crate) fn compile(file: &str, folder: &Path) -> Bytes {
    let mut compiler = protox::Compiler::new([folder]).expect("folder");
    compiler.include_imports(true).include_source_info(true).open_file(file).expect("proto");
    compiler.encode_file_descriptor_set().into()
}
