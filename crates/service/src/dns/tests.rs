//! Answers of real servers on loopback.

mod answers;
mod memory;
mod server;
mod signed;

use prometheus_client::registry::Registry;

use super::*;
use crate::config::HumanDuration;
use server::Server;

/// Asks these servers, each once.
fn asking(servers: &[&Server]) -> Dns {
    Dns::new(&config(servers)).unwrap()
}

fn config(servers: &[&Server]) -> DnsConfig {
    let servers = servers.iter().map(|server| server.address).collect();
    let timeout = HumanDuration::from_millis(300);
    DnsConfig { servers, timeout, attempts: 0, ..DnsConfig::default() }
}

/// How often answers of this type came from `source` and said `outcome`, as the metrics tell.
fn answers(dns: &Dns, kind: &str, source: &str, outcome: &str) -> u64 {
    let mut registry = Registry::default();
    dns.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let line = format!("dns_answers_total{{kind=\"{kind}\",source=\"{source}\",outcome=\"{outcome}\"}} ");
    let count = text.lines().find_map(|found| found.strip_prefix(line.as_str()));
    count.map_or(0, |count| count.parse().unwrap())
}

/// Lets time pass for whatever is remembered.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
