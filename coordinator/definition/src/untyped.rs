//! Stand-ins for descriptors that aren't at hand: every method takes and gives a `google.protobuf.Struct`.
//!
//! For running scenarios on a laptop, without the participants. With them a definition compiles as it would with the real
//! ones, but no field name or type is checked against a message, and an integer of more than 53 bits is refused. They are
//! never pinned: registering asks for the real ones. Invariant: what has real descriptors is checked against them.

use std::collections::{BTreeMap, BTreeSet};

use amends_engine::ids::ParticipantName;
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_reflect::prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};

use crate::document::{Call, Document};

/// The file that defines `google.protobuf.Struct`.
const STRUCT_FILE: &str = "google/protobuf/struct.proto";
/// The message that holds any JSON object.
pub(crate) const STRUCT: &str = "google.protobuf.Struct";

/// Adds a stand-in for every participant of a document that has no descriptors. Returns which those are.
pub fn stand_in(document: &Document, descriptors: &mut BTreeMap<ParticipantName, Bytes>) -> Vec<ParticipantName> {
    let mut added = Vec::new();
    for (participant, calls) in document.calls() {
        if !descriptors.contains_key(&participant) {
            descriptors.insert(participant.clone(), set(&calls));
            added.push(participant);
        }
    }
    added
}

fn set(calls: &[Call]) -> Bytes {
    let mut services: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for call in calls {
        services.entry(&call.service).or_default().insert(&call.method);
    }
    let known = DescriptorPool::global().get_file_by_name(STRUCT_FILE);
    let mut file: Vec<FileDescriptorProto> = known.iter().map(|file| file.file_descriptor_proto().clone()).collect();
    file.extend(services.iter().map(|(service, methods)| service_file(service, methods)));
    FileDescriptorSet { file }.encode_to_vec().into()
}

/// A file per service, since each may have a package of its own.
fn service_file(service: &str, methods: &BTreeSet<&str>) -> FileDescriptorProto {
    let (package, name) = service.rsplit_once('.').unwrap_or(("", service));
    let method = |name: &&str| MethodDescriptorProto {
        name: Some((*name).to_owned()),
        input_type: Some(format!(".{STRUCT}")),
        output_type: Some(format!(".{STRUCT}")),
        ..MethodDescriptorProto::default()
    };
    FileDescriptorProto {
        name: Some(format!("{service}.proto")),
        package: (!package.is_empty()).then(|| package.to_owned()),
        dependency: vec![STRUCT_FILE.to_owned()],
        service: vec![ServiceDescriptorProto {
            name: Some(name.to_owned()),
            method: methods.iter().map(method).collect(),
            ..ServiceDescriptorProto::default()
        }],
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    }
}
