//! `waypost queue sites`: where mail goes, and how it flows.

use jiff::Timestamp;
use proto::mta::{Site, SitesRequest};
use serde::Serialize;
use service::count::counted;

use super::nodes::{Choice, Nodes};
use crate::console::{Console, Table};
use crate::failure::Failure;
use crate::pipeline::status;
use crate::{replies, times};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost queue sites
  waypost queue sites --limit 10 --json | jq -r '.[].site'")]
pub(super) struct Arguments {
    /// Show at most so many sites
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// As JSON, for programs; moments are in UTC
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    choice: Choice,
}

/// A site of one node, as programs read it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    site: String,
    node: String,
    ready: u64,
    scheduled: u64,
    in_flight: u64,
    connections: u32,
    connection_limit: u32,
    delivered_last_minute: u64,
    deferred_last_minute: u64,
    suspended: bool,
    aside: u64,
    down_until: Option<String>,
    last_failure: String,
    #[serde(skip)]
    down: Option<Timestamp>,
}

/// The sites of all nodes, and what the nodes hold beside them.
pub(super) struct Overview {
    pub(super) sites: Vec<Shown>,
    /// Sites in all.
    pub(super) total: u64,
    /// Recipients whose site is not known.
    pub(super) unrouted: u64,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let nodes = arguments.choice.find(console)?;
    let overview = overview(&nodes, arguments.limit).await?;
    if arguments.json {
        console.print_json(&overview.sites);
    } else if overview.sites.is_empty() {
        console.note(overview.rest());
    } else {
        console.print_table(&table(&overview.sites, Timestamp::now()));
        console.note(overview.rest());
    }
    Ok(())
}

/// Asks the nodes, and puts the busiest sites first.
pub(super) async fn overview(nodes: &Nodes, limit: u32) -> Result<Overview, Failure> {
    let answers = nodes
        .ask(async |queue| {
            let answer = queue.client.sites(SitesRequest { limit }).await;
            let answer =
                answer.map_err(|error| status(format!("cannot list the sites of {}", queue.node), &error))?;
            Ok((queue.node.clone(), answer.into_inner()))
        })
        .await?;
    let mut overview = Overview { sites: Vec::new(), total: 0, unrouted: 0 };
    for (node, answer) in answers {
        overview.total += answer.total;
        overview.unrouted += answer.unrouted;
        overview.sites.extend(answer.sites.into_iter().map(|site| Shown::new(&node, site)));
    }
    overview.sites.sort_by_key(|site| std::cmp::Reverse((site.in_flight, site.ready, site.scheduled)));
    overview.sites.truncate(limit as usize);
    Ok(overview)
}

impl Overview {
    /// What the list does not show, in words.
    pub(super) fn rest(&self) -> String {
        let unseen = self.total.saturating_sub(self.sites.len() as u64);
        match (unseen, self.unrouted) {
            (0, 0) => counted(self.total, "site"),
            (0, unrouted) => {
                format!("{}; {} at no site yet", counted(self.total, "site"), counted(unrouted, "recipient"))
            }
            (unseen, unrouted) => {
                let unrouted = counted(unrouted, "recipient");
                format!("{} (--limit); {unrouted} at no site yet", counted(unseen, "more site"))
            }
        }
    }
}

/// A row for each site.
pub(super) fn table(sites: &[Shown], now: Timestamp) -> Table {
    let mut table = Table::new([
        "SITE",
        "NODE",
        "READY",
        "LATER",
        "SENDING",
        "CONN",
        "LIMIT",
        "OK/MIN",
        "DEFER/MIN",
        "STATE",
        "LAST FAILURE",
    ]);
    for site in sites {
        table.row([
            site.site.clone(),
            site.node.clone(),
            site.ready.to_string(),
            site.scheduled.to_string(),
            site.in_flight.to_string(),
            site.connections.to_string(),
            site.connection_limit.to_string(),
            site.delivered_last_minute.to_string(),
            site.deferred_last_minute.to_string(),
            site.state(now),
            site.last_failure.clone(),
        ]);
    }
    table
}

impl Shown {
    fn new(node: &str, site: Site) -> Self {
        let down = times::moment(site.down_until.as_ref());
        Self {
            site: site.name,
            node: node.to_owned(),
            ready: site.ready,
            scheduled: site.scheduled,
            in_flight: site.in_flight,
            connections: site.connections,
            connection_limit: site.connection_limit,
            delivered_last_minute: site.delivered_last_minute,
            deferred_last_minute: site.deferred_last_minute,
            suspended: site.suspended,
            aside: site.aside,
            down_until: down.map(times::utc),
            last_failure: site.last_failure.as_ref().map(replies::line).unwrap_or_default(),
            down,
        }
    }

    fn state(&self, now: Timestamp) -> String {
        match self.down {
            _ if self.suspended => "suspended".to_owned(),
            Some(until) if until > now => format!("down, again {}", times::until(Some(until), now)),
            _ if self.aside > 0 => format!("up, {} suspended", self.aside),
            _ => "up".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(site: Site, now: i64) -> Vec<String> {
        let table = table(&[Shown::new("mta", site)], Timestamp::new(now, 0).unwrap()).render(false);
        let cells = table.lines().nth(1).unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect()
    }

    #[test]
    fn a_site_that_is_left_alone_says_until_when() {
        let site = Site {
            name: "mx.remote.test".into(),
            ready: 7,
            connection_limit: 5,
            down_until: Some(prost_types::Timestamp { seconds: 160, nanos: 0 }),
            ..Site::default()
        };
        let cells = row(site.clone(), 100);
        assert_eq!(cells[0], "mx.remote.test");
        assert_eq!(cells.last().unwrap(), "down, again in 60 s");
        assert_eq!(row(site, 200).last().unwrap(), "up");
    }

    #[test]
    fn a_suspended_site_says_so() {
        let site = Site { name: "mx.remote.test".into(), suspended: true, ..Site::default() };
        assert_eq!(row(site, 0).last().unwrap(), "suspended");
    }
}
