use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::{
    config::{DnsConfig, HumanDuration, PeerConfig},
    grpc::client::Target,
    tls::Role,
};

#[tokio::test]
async fn a_name_that_nobody_answers_for_holds_up_no_other() {
    // Takes questions and never answers; nor does the resolver give up while the test lasts.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let servers = vec![silent.local_addr().unwrap()];
    let timeout = HumanDuration::from_secs(3600);
    let hosts = Hosts::asking(&DnsConfig { servers, timeout, ..DnsConfig::default() });
    let node = TcpListener::bind("127.0.0.1:0").await.unwrap();

    let config = PeerConfig::at(["silent.test:1".to_owned(), node.local_addr().unwrap().to_string()]);
    let names = config.addresses.iter().map(|address| address.parse().unwrap()).collect();
    let target = Target { role: Role::Mta, service: "waypost.mta.v1.Transfer" };
    let connector = Connector::new(&config, target, None).unwrap();
    let resolving = keep_resolved(Arc::new(Pool::new(&config, target)), names, hosts, connector);
    let connected = tokio::time::timeout(Duration::from_mins(1), node.accept());
    tokio::select! {
        () = resolving => {}
        connected = connected => { connected.unwrap().unwrap(); }
    }
}
