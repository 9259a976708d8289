//! A configuration file for each service: the service's own defaults, with the addresses, folders and certificates of
//! this pipeline.

use std::net::SocketAddr;

use serde::Serialize;
use service::config::{
    DnsConfig, GrpcConfig, HttpConfig, HumanDuration, PeerConfig, RuntimeConfig, TlsConfig,
};

use super::certificates::PUBLIC;
use super::files::{self, Access};
use super::layout::Layout;
use super::ports::{Role, Service};
use crate::failure::{Explain, Failure};

/// A service may take so long to finish what it has; less than the supervisor waits before it kills.
const DRAIN: HumanDuration = HumanDuration::from_secs(10);

/// What the services have to know of the world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outside<'a> {
    /// Domains whose mail is kept here; the first one is this host's own.
    pub(crate) domains: &'a [String],
    /// The DNS server to ask; none means the system's.
    pub(crate) resolver: Option<SocketAddr>,
    /// The port on which other MTAs are dialled.
    pub(crate) remote_smtp_port: u16,
}

/// Writes all of them.
pub(crate) fn write(layout: &Layout, services: &[Service], outside: &Outside<'_>) -> Result<(), Failure> {
    let plan = Plan { layout, services, outside };
    for service in services {
        let path = layout.config(service);
        let text = plan.toml(service).explain(|| format!("cannot make the configuration of {service}"))?;
        let text = format!("{}{text}", header(service));
        files::replace(&path, Access::Private, text.as_bytes())
            .explain(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn header(service: &Service) -> String {
    let (role, upper) = (service.role.name(), service.role.name().to_uppercase());
    format!(
        "# The configuration of {service}. `waypost up` writes it at every start, so what is changed here is lost.\n\
         # To change a value, set a variable in the environment of `waypost up`, for example\n\
         # WAYPOST_{upper}__LOG__LEVEL=debug. Elsewhere, `{role} --config FILE` runs with a file like this one.\n\n"
    )
}

/// What the configurations are made from.
struct Plan<'a> {
    layout: &'a Layout,
    services: &'a [Service],
    outside: &'a Outside<'a>,
}

impl Plan<'_> {
    fn toml(&self, service: &Service) -> Result<String, toml::ser::Error> {
        match service.role {
            Role::Msa => text(&self.msa(service)),
            Role::Mta => text(&self.mta(service)),
            Role::Mda => text(&self.mda(service)),
        }
    }

    fn msa(&self, service: &Service) -> msa::Config {
        let mut config = msa::Config {
            hostname: self.hostname(),
            runtime: runtime(),
            grpc: self.grpc(service),
            http: http(service),
            tls: Some(self.public()),
            mta: self.peers(Role::Mta),
            directory: self.peers(Role::Mda),
            ..msa::Config::default()
        };
        config.submission.listen = listen(service, "submission");
        config.submissions.listen = listen(service, "submissions");
        config
    }

    fn mta(&self, service: &Service) -> mta::Config {
        let data = self.layout.data(service);
        let mut config = mta::Config {
            hostname: self.hostname(),
            node: service.name.clone(),
            runtime: runtime(),
            grpc: self.grpc(service),
            http: http(service),
            tls: Some(self.public()),
            mda: self.peers(Role::Mda),
            dns: DnsConfig { servers: self.outside.resolver.into_iter().collect(), ..DnsConfig::default() },
            ..mta::Config::default()
        };
        config.smtp.listen = listen(service, "smtp");
        config.spool.dir = data.join("spool");
        config.events.dir = data.join("events");
        config.receiving.greylist.file = data.join("greylist");
        config.outbound.port = self.outside.remote_smtp_port;
        config
    }

    fn mda(&self, service: &Service) -> mda::Config {
        let mut config = mda::Config {
            hostname: self.hostname(),
            data_dir: self.layout.data(service),
            runtime: runtime(),
            grpc: self.grpc(service),
            http: http(service),
            tls: Some(self.public()),
            ..mda::Config::default()
        };
        config.imap.listen = listen(service, "imap");
        config.imaps.listen = listen(service, "imaps");
        config.pop3.listen = listen(service, "pop3");
        config.pop3s.listen = listen(service, "pop3s");
        config
    }

    /// All services of this machine greet with the same name: the one that MX records of the first domain would name.
    fn hostname(&self) -> String {
        self.outside.domains.first().map_or_else(|| "localhost".to_owned(), |domain| format!("mail.{domain}"))
    }

    fn grpc(&self, service: &Service) -> GrpcConfig {
        let role = service.role.name();
        let mut config = GrpcConfig {
            certificate: self.layout.certificate(role),
            key: self.layout.key(role),
            ca: self.layout.certificate("ca"),
            drain_timeout: DRAIN,
            ..GrpcConfig::default()
        };
        if let Some(address) = service.listener("grpc") {
            config.listen = address;
        }
        config
    }

    fn public(&self) -> TlsConfig {
        TlsConfig { certificate: self.layout.certificate(PUBLIC), key: self.layout.key(PUBLIC) }
    }

    fn peers(&self, role: Role) -> PeerConfig {
        let peers = self.services.iter().filter(|service| service.role == role);
        PeerConfig::at(peers.filter_map(|peer| peer.listener("grpc")).map(|address| address.to_string()))
    }
}

fn runtime() -> RuntimeConfig {
    RuntimeConfig { drain_timeout: DRAIN, ..RuntimeConfig::default() }
}

fn http(service: &Service) -> HttpConfig {
    service.listener("http").map_or_else(HttpConfig::default, |listen| HttpConfig { listen })
}

fn listen(service: &Service, listener: &str) -> Vec<SocketAddr> {
    service.listener(listener).into_iter().collect()
}

fn text(config: &impl Serialize) -> Result<String, toml::ser::Error> {
    toml::to_string(config)
}

#[cfg(test)]
mod tests;
