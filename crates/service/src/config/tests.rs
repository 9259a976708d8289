//! What a configuration's author meets.

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::*;
use crate::tls::Role;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    hostname: String,
    grpc: GrpcConfig,
    http: HttpConfig,
    log: LogConfig,
    mta: PeerConfig,
    dns: DnsConfig,
    limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    message_size: ByteSize,
    idle: HumanDuration,
    recipients: u32,
    relay_password: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".to_owned(),
            grpc: GrpcConfig::on_port(7587),
            http: HttpConfig::on_port(8587),
            log: LogConfig::default(),
            mta: PeerConfig::default(),
            dns: DnsConfig::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: ByteSize::mib(50),
            idle: HumanDuration::from_mins(5),
            recipients: 100,
            relay_password: String::new(),
        }
    }
}

/// A file with this text, loaded with these variables.
fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("msa.toml");
    fs::write(&path, text).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load_with(&path, "msa", variables)
        .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), ""))
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(load_text("", &[]).unwrap(), Config::default());
}

#[test]
fn what_a_section_leaves_out_keeps_the_services_own_default() {
    let config = load_text("[grpc]\nplaintext_on_loopback = true\n", &[]).unwrap();
    assert!(config.grpc.plaintext_on_loopback);
    assert_eq!(config.grpc.listen.port(), 7587);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let error =
        load_text("hostname = \"mx.example\"\n\n[grpc]\n# here\nlistn = \"127.0.0.1:1\"\n", &[]).unwrap_err();
    assert!(error.starts_with("/msa.toml:5: unknown field `listn`"), "{error}");
    let error = load_text("hostname = \"mx.example\"\n[grcp]\n", &[]).unwrap_err();
    assert!(error.starts_with("/msa.toml:2: unknown field `grcp`"), "{error}");
}

#[test]
fn a_wrong_value_is_named_with_its_line() {
    let error = load_text("[limits]\nrecipients = 1\nidle = \"5 minutes\"\n", &[]).unwrap_err();
    assert!(error.starts_with("/msa.toml:3: `5 minutes` is not a duration"), "{error}");
    let error = load_text("[limits]\nrecipients = \"many\"\n", &[]).unwrap_err();
    assert!(error.starts_with("/msa.toml:2: invalid type"), "{error}");
    let error = load_text("[limits\n", &[]).unwrap_err();
    assert!(error.starts_with("/msa.toml:1: "), "{error}");
    assert!(!error.contains('\n'), "one line: {error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = load_with::<Config>(&PathBuf::from("/nowhere/msa.toml"), "msa", []).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot read configuration /nowhere/msa.toml: No such file"),
        "{error}"
    );
}

#[test]
fn the_environment_goes_before_the_file() {
    let config = load_text(
        "hostname = \"file.example\"\n[limits]\nrecipients = 1\n",
        &[
            ("WAYPOST_MSA__HOSTNAME", "env.example"),
            ("WAYPOST_MSA__GRPC__LISTEN", "127.0.0.1:9"),
            ("WAYPOST_MSA__GRPC__PLAINTEXT_ON_LOOPBACK", "true"),
            ("WAYPOST_MSA__GRPC__PLAINTEXT_ROLE", "msa"),
            ("WAYPOST_MSA__LIMITS__RECIPIENTS", "7"),
            ("WAYPOST_MSA__LIMITS__MESSAGE_SIZE", "1GiB"),
            ("WAYPOST_MSA__MTA__ADDRESSES", "[\"a:1\", \"b:2\"]"),
            ("WAYPOST_MTA__HOSTNAME", "another.service"),
            ("WAYPOST_LOG", "debug"),
        ],
    )
    .unwrap();
    assert_eq!(config.hostname, "env.example");
    assert_eq!(config.grpc.listen, "127.0.0.1:9".parse().unwrap());
    assert!(config.grpc.plaintext_on_loopback);
    assert_eq!(config.grpc.plaintext_role, Role::Msa);
    assert_eq!(config.limits.recipients, 7);
    assert_eq!(config.limits.message_size, ByteSize::gib(1));
    assert_eq!(config.mta.addresses, ["a:1", "b:2"]);
}

#[test]
fn text_that_looks_like_another_type_stays_text_where_text_is_wanted() {
    for text in ["25", "true", "1979-05-27", "[\"x\"]", "\n", "a\nb = 1"] {
        let config = load_text("", &[("WAYPOST_MSA__HOSTNAME", text)]).unwrap();
        assert_eq!(config.hostname, text);
    }
}

#[test]
fn a_variable_that_names_no_key_or_a_wrong_value_is_an_error() {
    let error = load_text("", &[("WAYPOST_MSA__GRPC__LISTN", "127.0.0.1:1")]).unwrap_err();
    assert!(
        error.starts_with("environment variable WAYPOST_MSA__GRPC__LISTN: unknown field `listn`"),
        "{error}"
    );
    let error = load_text("", &[("WAYPOST_MSA__LIMITS__RECIPIENTS", "many")]).unwrap_err();
    assert!(
        error.starts_with("environment variable WAYPOST_MSA__LIMITS__RECIPIENTS: invalid type"),
        "{error}"
    );
    let error = load_text("", &[("WAYPOST_MSA__HOSTNAME__X", "1")]).unwrap_err();
    assert_eq!(error, "environment variable WAYPOST_MSA__HOSTNAME__X: `hostname` is not a section");
}

#[test]
fn what_is_printed_is_read_back_as_the_same_configuration() {
    let mut config = Config { mta: PeerConfig::at(["a:1"]), ..Config::default() };
    config.limits.idle = HumanDuration::from_millis(90_500);
    let text = print(&config).unwrap();
    assert!(text.contains("idle = \"1m30s500ms\"") && text.contains("message_size = \"50MiB\""), "{text}");
    assert_eq!(load_text(&text, &[]).unwrap(), config);
}

#[test]
fn secrets_are_not_printed() {
    let mut config = Config::default();
    config.limits.relay_password = "hunter2".to_owned();
    let text = print(&config).unwrap();
    assert!(!text.contains("hunter2") && text.contains("relay_password = \"********\""), "{text}");
}

#[test]
fn durations_and_sizes_are_read_as_people_write_them() {
    let duration = |text: &str| text.parse::<HumanDuration>().ok();
    assert_eq!(duration("250ms"), Some(HumanDuration::from_millis(250)));
    assert_eq!(duration("1h30m"), Some(HumanDuration::from_mins(90)));
    assert_eq!(duration("1h 30m"), Some(HumanDuration::from_mins(90)));
    assert_eq!(duration("5d"), Some(HumanDuration::from_days(5)));
    assert_eq!(duration("0s"), Some(HumanDuration::default()));
    for wrong in ["", "5", "m", "5 m", "-1s", "1.5h", "5y", "99999999999999999999s", "999999999999999d"] {
        assert_eq!(duration(wrong), None, "{wrong}");
    }

    let size = |text: &str| text.parse::<ByteSize>().ok();
    assert_eq!(size("50MiB"), Some(ByteSize::mib(50)));
    assert_eq!(size("1 GB"), Some(ByteSize(1_000_000_000)));
    assert_eq!(size("512"), Some(ByteSize(512)));
    assert_eq!(ByteSize(0).to_string(), "0B");
    for wrong in ["", "MiB", "5 apples", "-1", "1.5MiB", "99999999TiB"] {
        assert_eq!(size(wrong), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn units_survive_printing(milliseconds in 0..u64::MAX / 2, octets: u64) {
        let duration = HumanDuration::from_millis(milliseconds);
        prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        let size = ByteSize(octets);
        prop_assert_eq!(size.to_string().parse(), Ok(size));
    }
}
