//! Dependencies point one way: services → proto and crates; crates and proto know nothing of the services.

use std::process::Command;

use serde_json::Value;

const SERVICES: [&str; 3] = ["msa", "mta", "mda"];
const LIBRARIES: [&str; 11] = [
    "failpoint",
    "fulltext",
    "journal",
    "mailfiles",
    "message",
    "proto",
    "sasl",
    "scheduler",
    "service",
    "smtp",
    "tls-policy",
];

#[test]
fn dependencies_point_one_way() {
    let packages = packages();
    for (name, dependencies) in &packages {
        let forbidden: &[&str] = match name.as_str() {
            name if SERVICES.contains(&name) => &["msa", "mta", "mda", "waypost"],
            name if LIBRARIES.contains(&name) => &["msa", "mta", "mda", "waypost"],
            _ => &[],
        };
        for dependency in dependencies {
            assert!(!forbidden.contains(&dependency.as_str()), "{name} depends on {dependency}");
        }
    }
}

#[test]
fn the_cores_know_no_network() {
    for (name, dependencies) in packages() {
        if ["mailfiles", "message", "sasl", "smtp"].contains(&name.as_str()) {
            for network in ["tokio", "tonic", "rustls", "hyper"] {
                assert!(
                    !dependencies.iter().any(|dependency| dependency == network),
                    "{name} depends on {network}"
                );
            }
        }
    }
}

#[test]
fn only_the_mda_sees_sled() {
    for (name, dependencies) in packages() {
        assert!(name == "mda" || !dependencies.iter().any(|dependency| dependency == "sled"), "{name}");
    }
}

/// Two providers in one program panic when the first handshake has to choose between them.
#[test]
fn there_is_one_provider_of_cryptography() {
    for other in ["ring", "openssl-sys"] {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--workspace", "--offline", "--invert", other])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo starts");
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// What is shipped is built without the packages that turn them on.
#[test]
fn nothing_is_left_of_the_failpoints_in_what_is_shipped() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "waypost", "-e", "normal", "--offline", "-f", "{p} [{f}]", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let tree = String::from_utf8_lossy(&output.stdout);
    let failpoint = tree.lines().find(|line| line.starts_with("failpoint "));
    assert!(failpoint.is_some_and(|line| line.contains("[]")), "{failpoint:?}");
}

/// The workspace's packages with what they depend on, tests' dependencies left out.
fn packages() -> Vec<(String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let built_with = dependencies.filter(|dependency| dependency["kind"].is_null());
            (text(&package["name"]), built_with.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}
