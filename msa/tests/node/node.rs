//! The MSA under test.

use std::net::SocketAddr;
use std::time::Duration;

use proto::msa::submission_client::SubmissionClient;
use service::cli::{Context, Reload};
use service::config::{HttpConfig, HumanDuration, PeerConfig, TlsConfig};
use service::drain::{Drained, Shutdown};
use service::grpc::client::{Channels, PeerChannel, Target};
use service::tls::Role;

use super::client::Client;
use super::directory;
use super::mta::Mtas;
use service::testing::Authority;

pub struct Node {
    pub authority: Authority,
    pub mtas: Mtas,
    submissions: SocketAddr,
    operator: Channels,
    directory: Shutdown,
    shutdown: Shutdown,
}

impl Node {
    pub async fn start(mtas: usize) -> Self {
        let (authority, shutdown, directory) = (Authority::new(), Shutdown::new(), Shutdown::new());
        let mtas = Mtas::start(mtas, &authority, &shutdown);
        let grpc = authority.grpc(Role::Msa);
        let peers = |addresses: &[SocketAddr]| PeerConfig {
            wait: HumanDuration::from_secs(30),
            ..PeerConfig::at(addresses.iter().map(SocketAddr::to_string))
        };
        let mut config = msa::Config {
            hostname: "msa.example.test".into(),
            tls: Some(TlsConfig { certificate: grpc.certificate.clone(), key: grpc.key.clone() }),
            grpc,
            http: HttpConfig::on_port(0),
            mta: peers(&mtas.addresses),
            directory: peers(&[directory::start(&authority, &directory)]),
            ..msa::Config::default()
        };
        config.submission.listen = Vec::new();
        config.submissions.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        let context = Context { shutdown: shutdown.clone(), reload: Reload::default() };
        let msa = msa::build(config, &context).await.unwrap();
        let (submissions, grpc) = (msa.smtp_addresses()[0], msa.grpc_address());
        tokio::spawn(async move { msa.run(&context).await.unwrap() });
        let target = Target { role: Role::Msa, service: "waypost.msa.v1.Submission" };
        let operator =
            Channels::new(&peers(&[grpc]), target, Some(authority.identity(Role::Operator))).unwrap();
        // It says that it is serving once it sees an MTA and the directory.
        operator.pick().await.unwrap();
        Self { authority, mtas, submissions, operator, directory, shutdown }
    }

    /// The directory goes away.
    pub async fn lose_directory(&self) {
        assert_eq!(self.directory.graceful(Duration::from_secs(10)).await, Drained::Cleanly);
    }

    /// What a client is greeted with.
    pub async fn greeting(&self) -> String {
        Client::greeted(self.submissions, &self.authority).await.1
    }

    pub async fn connect(&self) -> Client {
        Client::connect(self.submissions, &self.authority).await
    }

    pub async fn log_in(&self) -> Client {
        Client::logged_in(self.submissions, &self.authority).await
    }

    pub async fn program(&self) -> SubmissionClient<PeerChannel> {
        SubmissionClient::new(self.operator.pick().await.unwrap())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.directory.start();
        self.shutdown.start();
    }
}
