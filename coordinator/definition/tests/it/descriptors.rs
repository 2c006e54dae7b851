//! Descriptor sets of the example participants, compiled from their .proto files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use amends_engine::ids::ParticipantName;
use bytes::Bytes;

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

fn of_participant(participant: &str) -> Bytes {
    let folder = root().join("participants").join(participant).join("proto");
    compile(&format!("{participant}/v1/{participant}.proto"), &folder)
}

pub(crate) fn compile(file: &str, folder: &Path) -> Bytes {
    let mut compiler = protox::Compiler::new([folder]).expect("folder");
    compiler.include_imports(true).include_source_info(true).open_file(file).expect("proto");
    compiler.encode_file_descriptor_set().into()
}
