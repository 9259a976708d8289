//! Which service listens where.

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use crate::failure::Failure;

/// Every further MTA node's ports lie so far above the ones of the node before.
const NODE_STRIDE: u32 = 100;
/// More nodes than this would meet the ports of another listener: 7025 + 10·100 is 8025.
pub(crate) const MAX_MTA_NODES: u16 = 10;
/// How often a taken port is looked at again before it counts as taken, and how long apart: the kernel may still be
/// closing the sockets of a pipeline that was killed a moment ago.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// One of the three services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    /// Takes mail from people and programs.
    Msa,
    /// Queues and routes it.
    Mta,
    /// Keeps it.
    Mda,
}

impl Role {
    /// The service's name, as in its certificate and its subcommand.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Msa => "msa",
            Self::Mta => "mta",
            Self::Mda => "mda",
        }
    }

    /// The listeners and their default ports.
    fn listeners(self) -> &'static [(&'static str, u16)] {
        match self {
            Self::Msa => &[("submission", 587), ("submissions", 465), ("grpc", 7587), ("http", 8587)],
            Self::Mta => &[("smtp", 25), ("grpc", 7025), ("http", 8025)],
            Self::Mda => &[
                ("imap", 143),
                ("imaps", 993),
                ("pop3", 110),
                ("pop3s", 995),
                ("grpc", 7143),
                ("http", 8143),
            ],
        }
    }
}

/// One process of the pipeline, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// `msa`, `mda`, `mta`, and `mta1`, `mta2` … for further nodes.
    pub(crate) name: String,
    /// What it is.
    pub(crate) role: Role,
    /// Its listeners by name, in the order that a user would look for them.
    pub(crate) listeners: Vec<(&'static str, SocketAddr)>,
}

impl Service {
    fn new(role: Role, node: u16, offset: u16) -> Result<Self, Failure> {
        let name = if node == 0 { role.name().to_owned() } else { format!("{}{node}", role.name()) };
        let listeners = role
            .listeners()
            .iter()
            .map(|&(listener, default)| {
                let port = u32::from(default) + u32::from(offset) + NODE_STRIDE * u32::from(node);
                u16::try_from(port)
                    .map(|port| (listener, SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
                    .map_err(|_| too_high(&name, listener, port, offset))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { name, role, listeners })
    }

    /// The address of a listener that this service's role has.
    pub(crate) fn listener(&self, name: &str) -> Option<SocketAddr> {
        self.listeners.iter().find(|(listener, _)| *listener == name).map(|&(_, address)| address)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// All services of a pipeline: the MSA, the MTA's nodes, the MDA.
pub(crate) fn plan(offset: u16, mta_nodes: u16) -> Result<Vec<Service>, Failure> {
    let mut services = vec![Service::new(Role::Msa, 0, offset)?];
    for node in 0..mta_nodes {
        services.push(Service::new(Role::Mta, node, offset)?);
    }
    services.push(Service::new(Role::Mda, 0, offset)?);
    debug_assert!(all_differ(&services), "no two listeners share a port");
    Ok(services)
}

/// Fails, naming port and service, unless every listener's port can be bound now.
pub(crate) fn check_free(services: &[Service]) -> Result<(), Failure> {
    for service in services {
        for &(listener, address) in &service.listeners {
            check_port(service, listener, address)?;
        }
    }
    Ok(())
}

fn check_port(service: &Service, listener: &str, address: SocketAddr) -> Result<(), Failure> {
    let mut looks = 1;
    let error = loop {
        match TcpListener::bind(address) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::AddrInUse && looks < LOOKS => {
                looks += 1;
                thread::sleep(BETWEEN_LOOKS);
            }
            Err(error) => break error,
        }
    };
    let what = format!("cannot use port {} for {listener} of {service}", address.port());
    Err(match error.kind() {
        ErrorKind::AddrInUse => Failure::new(what, "another program listens there")
            .advise("stop that program, or choose other ports with --port-offset"),
        ErrorKind::PermissionDenied => Failure::new(what, "this user may not listen on ports this low")
            .advise("choose higher ports with --port-offset"),
        _ => Failure::new(what, error),
    })
}

fn too_high(service: &str, listener: &str, port: u32, offset: u16) -> Failure {
    let surplus = port - u32::from(u16::MAX);
    let highest = u32::from(offset).saturating_sub(surplus);
    Failure::new(
        format!("--port-offset {offset} is too high"),
        format!("{listener} of {service} would listen on port {port}, and 65535 is the last"),
    )
    .advise(format!("use {highest} or less"))
}

fn all_differ(services: &[Service]) -> bool {
    let mut seen = HashMap::new();
    services
        .iter()
        .flat_map(|service| &service.listeners)
        .all(|(listener, address)| seen.insert(address.port(), listener).is_none())
}

#[cfg(test)]
mod tests;
