use std::path::Path;

use serde::de::DeserializeOwned;

use super::*;
use crate::local::ports;

/// Reads a configuration as its service does.
fn load<T: Default + Serialize + DeserializeOwned>(path: &Path) -> T {
    service::config::load_with(path, "test", []).unwrap()
}

struct Written {
    _folder: tempfile::TempDir,
    layout: Layout,
    services: Vec<Service>,
}

impl Written {
    fn new(resolver: Option<SocketAddr>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        files::make_folder(&folder.path().join("config"), Access::Private).unwrap();
        let services = ports::plan(10_000, 2).unwrap();
        let domains = ["example.test".to_owned(), "example.org".to_owned()];
        write(&layout, &services, &Outside { domains: &domains, resolver, remote_smtp_port: 2525 }).unwrap();
        Self { _folder: folder, layout, services }
    }

    fn read<T: Default + Serialize + DeserializeOwned>(&self, name: &str) -> T {
        let service = self.services.iter().find(|service| service.name == name).unwrap();
        load(&self.layout.config(service))
    }
}

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

#[test]
fn the_msa_reads_its_file_and_knows_every_mta_node() {
    let config: msa::Config = Written::new(None).read("msa");
    assert_eq!(config.hostname, "mail.example.test");
    assert_eq!(config.submission.listen, [at(10_587)]);
    assert_eq!(config.submissions.listen, [at(10_465)]);
    assert_eq!(config.grpc.listen, at(17_587));
    assert_eq!(config.mta.addresses, ["127.0.0.1:17025", "127.0.0.1:17125"]);
    assert_eq!(config.directory.addresses, ["127.0.0.1:17143"]);
}

#[test]
fn each_mta_node_has_a_name_ports_and_folders_of_its_own() {
    let written = Written::new(Some(at(5353)));
    let config: mta::Config = written.read("mta1");
    assert_eq!(config.node, "mta1");
    assert_eq!(config.smtp.listen, [at(10_125)]);
    assert_eq!(config.http.listen, at(18_125));
    assert_eq!(config.spool.dir, written.layout.root().join("mta1/spool"));
    assert_eq!(config.events.dir, written.layout.root().join("mta1/events"));
    assert_eq!(config.receiving.greylist.file, written.layout.root().join("mta1/greylist"));
    assert_eq!(config.outbound.port, 2525);
    assert_eq!(config.dns.servers, [at(5353)]);
    let first: mta::Config = written.read("mta");
    assert_ne!(first.spool.dir, config.spool.dir);
}

#[test]
fn without_a_resolver_the_systems_are_asked() {
    let config: mta::Config = Written::new(None).read("mta");
    assert!(config.dns.servers.is_empty());
}

#[test]
fn the_mda_serves_all_its_protocols_with_the_public_certificate() {
    let written = Written::new(None);
    let config: mda::Config = written.read("mda");
    assert_eq!(config.imap.listen, [at(10_143)]);
    assert_eq!(config.imaps.listen, [at(10_993)]);
    assert_eq!(config.pop3.listen, [at(10_110)]);
    assert_eq!(config.pop3s.listen, [at(10_995)]);
    assert_eq!(config.tls.unwrap().certificate, written.layout.certificate("mail"));
    assert_eq!(config.grpc.certificate, written.layout.certificate("mda"));
}
