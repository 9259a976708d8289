//! Keeping the members in step with what the names resolve to.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use super::{
    ClientError,
    balance::Pool,
    connect::{Connector, supervise},
    member::Member,
};
use crate::dns::Hosts;

#[cfg(test)]
mod tests;

/// The least time between two rounds of resolving, and the pause before a name that failed is asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// A configured `host:port`.
#[derive(Clone, Debug)]
pub(super) struct Name {
    /// As configured.
    text: Arc<str>,
    host: String,
    port: u16,
}

impl FromStr for Name {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let error = || ClientError::Address(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port = port.parse().map_err(|_| error())?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(address) => address,
            // Without brackets it is not clear where the address ends.
            None if host.contains(':') || host.is_empty() => return Err(error()),
            None => host,
        };
        Ok(Self { text: text.into(), host: host.to_owned(), port })
    }
}

impl Name {
    /// The host without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

/// A member and the task that keeps it connected, which ends with this.
struct Supervised {
    member: Arc<Member>,
    _stop: DropGuard,
}

/// Resolves the names for ever, all at once, and keeps one member per address.
pub(super) async fn keep_resolved(pool: Arc<Pool>, names: Vec<Name>, hosts: Hosts, connector: Connector) {
    let mut members: HashMap<SocketAddr, Supervised> = HashMap::new();
    // What each name last resolved to: kept while it does not resolve.
    let mut known: Vec<Vec<SocketAddr>> = vec![Vec::new(); names.len()];
    loop {
        let mut all_resolved = true;
        let mut answers: FuturesUnordered<_> =
            names.iter().enumerate().map(|(index, name)| resolve(&hosts, index, name)).collect();
        // Each counts as it comes: a name that nobody answers for holds up no other.
        while let Some((index, addresses)) = answers.next().await {
            if let Some(addresses) = addresses {
                known[index] = addresses;
                adjust(&pool, &mut members, &names, &known, &connector);
            } else {
                all_resolved = false;
            }
        }
        let interval = if all_resolved { pool.resolve_interval.max(PAUSE) } else { PAUSE };
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = pool.lost.notified() => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// What a name, the one at `index`, resolves to now; `None` if it does not.
async fn resolve(hosts: &Hosts, index: usize, name: &Name) -> (usize, Option<Vec<SocketAddr>>) {
    let found = hosts.addresses(&name.host).await;
    let found = found.inspect_err(|error| debug!(name = &*name.text, %error, "peer's name does not resolve"));
    let address = |ip| SocketAddr::new(ip, name.port);
    (index, found.ok().map(|ips| ips.into_iter().map(address).collect()))
}

/// Starts members for new addresses and ends those whose address is gone.
fn adjust(
    pool: &Arc<Pool>,
    members: &mut HashMap<SocketAddr, Supervised>,
    names: &[Name],
    known: &[Vec<SocketAddr>],
    connector: &Connector,
) {
    let current: HashSet<SocketAddr> = known.iter().flatten().copied().collect();
    members.retain(|address, _| current.contains(address));
    for (name, addresses) in names.iter().zip(known) {
        for address in addresses {
            members.entry(*address).or_insert_with(|| {
                let member = Arc::new(Member::new(name.text.clone(), *address));
                let stop = CancellationToken::new();
                let connector = connector.clone().to(name, *address);
                tokio::spawn(stop.clone().run_until_cancelled_owned(supervise(
                    pool.clone(),
                    member.clone(),
                    connector,
                )));
                Supervised { member, _stop: stop.drop_guard() }
            });
        }
    }
    pool.set_members(members.values().map(|supervised| supervised.member.clone()).collect());
}
