//! The public API of the coordinator as generated code: messages, clients and servers of package `amends.v1`.
//!
//! Never holds a conversion, a default or any other logic: what the fields mean is written in `proto/amends/v1/*.proto`,
//! whose comments are the reference documentation. The serde impls are canonical proto3 JSON (64-bit integers as
//! strings, bytes as base64, enum values by name), the same for gateway, command line and tests.
//!
//! Where to look next: `server` for what the methods do, `cli` for a client of all of them.

/// Package `amends.v1`.
pub mod v1 {
    #![expect(clippy::all, reason = "generated code; its style is the generator's")]

    tonic::include_proto!("amends.v1");
    include!(concat!(env!("OUT_DIR"), "/amends.v1.serde.rs"));
}

/// The encoded `google.protobuf.FileDescriptorSet` of `amends.v1` with its imports and comments, for server reflection
/// and transcoding.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/amends.v1.descriptors.bin"));
