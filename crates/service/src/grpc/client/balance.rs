//! Picking.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::sync::{Notify, watch};
use tonic::Status;

use super::{PeerChannel, Target, member::Member};
use crate::config::PeerConfig;

/// All members of a service.
#[derive(Debug)]
pub(in crate::grpc) struct Pool {
    pub(super) target: Target,
    /// As configured, for errors.
    addresses: String,
    deadline: Duration,
    wait: Duration,
    pub(super) resolve_interval: Duration,
    members: RwLock<Vec<Arc<Member>>>,
    /// Told when a member becomes healthy.
    healthy: watch::Sender<()>,
    /// Told when a member is lost: its name may have moved.
    pub(super) lost: Notify,
}

impl Pool {
    pub(super) fn new(config: &PeerConfig, target: Target) -> Self {
        Self {
            target,
            addresses: config.addresses.join(", "),
            deadline: *config.deadline,
            wait: *config.wait,
            resolve_interval: *config.resolve_interval,
            members: RwLock::default(),
            healthy: watch::Sender::new(()),
            lost: Notify::new(),
        }
    }

    /// The least busy healthy member, ties broken at random; those in `avoid` only if there is no other.
    pub(super) async fn pick(&self, avoid: &[SocketAddr]) -> Result<PeerChannel, Status> {
        let mut healthy = self.healthy.subscribe();
        let wait_for_one = async {
            loop {
                // A change after this point wakes the wait below, so none is missed.
                healthy.borrow_and_update();
                if let Some(channel) = self.try_pick(avoid) {
                    return channel;
                }
                // The sender lives as long as the pool.
                let _ = healthy.changed().await;
            }
        };
        tokio::time::timeout(self.wait, wait_for_one).await.map_err(|_| {
            Status::unavailable(format!("no {} is reachable at {}", self.target.role, self.addresses))
        })
    }

    pub(super) fn is_ready(&self) -> bool {
        self.members.read().iter().any(|member| member.is_healthy())
    }

    #[cfg(test)]
    pub(in crate::grpc) fn healthy_addresses(&self) -> Vec<SocketAddr> {
        self.members.read().iter().filter(|member| member.is_healthy()).map(|member| member.address).collect()
    }

    pub(super) fn set_members(&self, members: Vec<Arc<Member>>) {
        *self.members.write() = members;
    }

    pub(super) fn announce_healthy(&self) {
        self.healthy.send_replace(());
    }

    fn try_pick(&self, avoid: &[SocketAddr]) -> Option<PeerChannel> {
        let members = self.members.read();
        loop {
            let (_, best) = members
                .iter()
                .filter_map(|member| {
                    let load = member.load()?;
                    Some(((avoid.contains(&member.address), load, fastrand::u32(..)), member))
                })
                .min_by_key(|(rank, _)| *rank)?;
            // It may have been lost since its load was read: then the next best is looked for.
            if let Some((channel, lease)) = best.lease() {
                return Some(PeerChannel::new(channel, lease, self.deadline));
            }
        }
    }
}
