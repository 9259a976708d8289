//! The nodes that take over.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use service::config::{HumanDuration, PeerConfig};
use service::grpc::client::{Channels, ClientError, Target};
use service::tls::{PeerIdentity, Role};

use super::TRANSFER;

/// Nodes whose connections are kept.
const KEPT: usize = 64;
/// How long a node that does not answer is waited for.
const WAIT: HumanDuration = HumanDuration::from_secs(2);

/// Connections to other nodes, made when they are asked for.
pub(crate) struct Nodes {
    identity: Option<PeerIdentity>,
    known: Mutex<HashMap<Arc<str>, Node>>,
}

/// One other node. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// `host:port`.
    pub(super) address: Arc<str>,
    pub(super) channels: Channels,
}

impl Nodes {
    /// `identity` is this node's.
    pub(crate) fn new(identity: Option<PeerIdentity>) -> Self {
        Self { identity, known: Mutex::default() }
    }

    /// The node at `address`.
    pub(super) fn at(&self, address: &str) -> Result<Node, ClientError> {
        let mut known = self.known.lock();
        if let Some(node) = known.get(address) {
            return Ok(node.clone());
        }
        let config = PeerConfig { wait: WAIT, ..PeerConfig::at([address]) };
        let target = Target { role: Role::Mta, service: TRANSFER };
        let channels = Channels::new(&config, target, self.identity.clone())?;
        let node = Node { address: address.into(), channels };
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(Arc::clone(&node.address), node.clone());
        Ok(node)
    }
}
