//! Generates the fault service's code and descriptors, without a system `protoc`; nothing unless the feature is on.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(feature = "faults")]
    {
        let mut compiler = protox::Compiler::new(["proto"])?;
        compiler.include_imports(true).include_source_info(true).open_file("amends/faults/v1/faults.proto")?;
        let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
        std::fs::write(out.join("faults.fds.bin"), compiler.encode_file_descriptor_set())?;
        tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    }
    println!("cargo::rerun-if-changed=proto");
    Ok(())
}
