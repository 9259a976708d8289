//! The next hop: the recipients' MDA by gRPC, or a domain's MX by SMTP. One attempt at a time; what follows from its
//! outcome is the queue's.

mod connect;
mod dead;
mod letter;
mod mda;
mod pool;
mod remote;
mod session;
mod source;

use service::directory::Directory;

use crate::routing::Router;

pub(crate) use connect::{Connected, Connector, Errand};
pub(crate) use dead::Dead;
pub(crate) use letter::ConversionMemory;
pub(crate) use mda::{Mda, Straight, TARGET as MDA_TARGET};
pub(crate) use pool::{Carried, Pool};
pub(crate) use remote::{Attempt, Remote};
pub(crate) use session::Session;
pub(crate) use source::Sources;

/// What the MDA is called where sites and peers are named.
pub(crate) const MDA: &str = "mda";

/// All next hops.
pub(crate) struct Hops {
    pub(crate) directory: std::sync::Arc<Directory>,
    /// Which of them a recipient's mail goes to.
    pub(crate) router: Router,
    pub(crate) mda: Mda,
    pub(crate) remote: Remote,
}

/// A service of our own did not answer; nothing is known about the recipients.
#[derive(Debug)]
pub(crate) struct Stalled(pub(crate) String);
