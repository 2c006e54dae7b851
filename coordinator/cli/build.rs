//! Generates the clients that `amends demo` calls the example participants with, and the participant of `amends bench`.
//! A client-only build needs none of them.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("CARGO_FEATURE_SERVER").is_none() {
        return Ok(());
    }
    let participants = "../../participants";
    let folders = ["account", "inventory", "sdk"].map(|name| format!("{participants}/{name}/proto"));
    let mut compiler = protox::Compiler::new(&folders)?;
    compiler.open_file("account/v1/account.proto")?;
    compiler.open_file("inventory/v1/inventory.proto")?;
    compiler.open_file("amends/faults/v1/faults.proto")?;
    tonic_prost_build::configure().build_server(false).compile_fds(compiler.file_descriptor_set())?;
    let mut bench = protox::Compiler::new(["proto"])?;
    bench.open_file("bench.proto")?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("bench.fds.bin"), bench.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_fds(bench.file_descriptor_set())?;
    println!("cargo::rerun-if-changed=proto");
    folders.iter().for_each(|folder| println!("cargo::rerun-if-changed={folder}"));
    Ok(())
}
