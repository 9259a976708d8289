//! Generates the gRPC code with protox, so that no protoc is needed, and writes the descriptor set that reflection
//! serves.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

const PROTOS: [&str; 9] = [
    "waypost/mail/v1/envelope.proto",
    "waypost/msa/v1/submission.proto",
    "waypost/mta/v1/transfer.proto",
    "waypost/mta/v1/queue.proto",
    "waypost/mta/v1/events.proto",
    "waypost/mda/v1/delivery.proto",
    "waypost/mda/v1/directory.proto",
    "waypost/mda/v1/mailbox.proto",
    "waypost/mda/v1/store.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    // `compile_fds` would ignore `file_descriptor_set_path`.
    fs::write(out.join("waypost.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").generate_default_stubs(true).compile_fds(descriptors)?;
    Ok(())
}
