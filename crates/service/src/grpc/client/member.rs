//! One address of a node: its connection while it is healthy, and how busy it is.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::transport::Channel;

/// How long an address is passed over after a call to it failed in transport, unless there is no other.
const EJECTION: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Member {
    /// `host:port` as configured.
    pub(super) name: Arc<str>,
    pub(super) address: SocketAddr,
    in_flight: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// There while the node says that it is SERVING.
    channel: Option<Channel>,
    ejected_until: Option<Instant>,
}

/// How willing a member is; the smaller the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Load {
    ejected: bool,
    in_flight: usize,
}

impl Member {
    pub(super) fn new(name: Arc<str>, address: SocketAddr) -> Self {
        Self { name, address, in_flight: AtomicUsize::new(0), state: Mutex::default() }
    }

    /// Sets or removes the connection; tells whether that changed the member's health.
    pub(super) fn set_channel(&self, channel: Option<Channel>) -> bool {
        let mut state = self.state.lock();
        let changed = state.channel.is_some() != channel.is_some();
        state.channel = channel;
        changed
    }

    /// A call failed in transport.
    pub(super) fn eject(&self) {
        self.state.lock().ejected_until = Some(Instant::now() + EJECTION);
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.state.lock().channel.is_some()
    }

    /// None: not healthy.
    pub(super) fn load(&self) -> Option<Load> {
        let state = self.state.lock();
        state.channel.as_ref()?;
        let ejected = state.ejected_until.is_some_and(|until| Instant::now() < until);
        Some(Load { ejected, in_flight: self.in_flight.load(Ordering::Relaxed) })
    }

    /// The connection, counted as in flight until the lease is dropped.
    pub(super) fn lease(self: &Arc<Self>) -> Option<(Channel, Lease)> {
        let channel = self.state.lock().channel.clone()?;
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Some((channel, Lease(self.clone())))
    }
}

/// One use of a member.
#[derive(Debug)]
pub(super) struct Lease(Arc<Member>);

impl Lease {
    pub(super) fn member(&self) -> &Member {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
