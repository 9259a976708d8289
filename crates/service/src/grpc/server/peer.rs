//! Who calls.

use std::{net::SocketAddr, sync::Arc};

use crate::tls::Role;

/// The caller, as its certificate names it. In the extensions of every request that reaches a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What it is to the pipeline.
    pub role: Role,
    /// Its address.
    pub address: SocketAddr,
    /// The subject of its certificate; empty in plaintext.
    pub subject: Arc<str>,
}

impl Peer {
    /// The caller of a request.
    pub fn of<T>(request: &tonic::Request<T>) -> Option<&Self> {
        request.extensions().get()
    }
}
