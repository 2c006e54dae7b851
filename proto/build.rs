//! Generates the messages, clients and servers of `amends.v1`, their proto3 JSON, and the descriptor set.
//!
//! Uses no `protoc`: protox compiles in this process, so that a clean machine needs nothing but cargo. The file list is
//! the folder's content: a new .proto is picked up by being there.

use std::error::Error;
use std::path::{Path, PathBuf};

const PACKAGE_FOLDER: &str = "proto/amends/v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(proto_files()?)?;
    let descriptor_set = compiler.encode_file_descriptor_set();
    std::fs::write(out_dir.join("amends.v1.descriptors.bin"), &descriptor_set)?;

    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .bytes(".")
        .btree_map(".") // hash-ordered maps would make JSON output and stored bytes differ from run to run
        .compile_fds(compiler.file_descriptor_set())?;
    pbjson_build::Builder::new().register_descriptors(&descriptor_set)?.btree_map(["."]).build(&[".amends.v1"])?;
    Ok(())
}

/// In the order of their names, so that two builds give the same descriptor set.
fn proto_files() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(Path::new(PACKAGE_FOLDER))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
