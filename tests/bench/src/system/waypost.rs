//! Waypost, all of it on this machine, as `waypost up` runs it.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context as _, anyhow};
use pipeline_tests::{Options, Pipeline, metric};
use serde_json::Value;

use super::{Doors, Kind, PASSWORD, Place, System, account};
use crate::cost::Group;
use crate::interruption::Interruption;

/// In the environment of a process that is to be the operator's command: Waypost is built into this program, so that what
/// is measured is always of the same commit as what measures.
pub(crate) const AS_WAYPOST: &str = "BENCH_AS_WAYPOST";

/// Accounts that one start makes, so that it is over in seconds.
const ACCOUNTS_AT_ONCE: usize = 200;

/// How Waypost is started.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    binary: String,
    /// What a pipeline has kept that has all accounts and no mail.
    kept: Option<PathBuf>,
}

impl Template {
    /// Of the program at `binary`; without one, of what is built into this one.
    pub(crate) fn new(binary: Option<&PathBuf>) -> anyhow::Result<Self> {
        let this = || env::current_exe().context("cannot find this program");
        let binary = binary.map_or_else(this, |path| {
            path.canonicalize().with_context(|| format!("cannot find {}", path.display()))
        })?;
        let binary = binary.to_str().context("a path that is not UTF-8")?.to_owned();
        Ok(Self { binary, kept: None })
    }

    /// Makes the accounts once, for all that are started from now on.
    pub(crate) fn make_accounts(&mut self, place: &Place, interruption: &Interruption) -> anyhow::Result<()> {
        for first in (0..place.accounts).step_by(ACCOUNTS_AT_ONCE) {
            interruption.check()?;
            let before = self.kept.take();
            let mut options = Options { kept: before.clone(), ..options(place) };
            for number in (first..place.accounts).take(ACCOUNTS_AT_ONCE) {
                options.arguments.extend(["--account".to_owned(), format!("{}={PASSWORD}", account(number))]);
            }
            let mut pipeline = Pipeline::start(&self.binary, &options);
            pipeline.down();
            let kept = place.dir.join(format!("accounts-{first}"));
            fs::rename(pipeline.data(), &kept).context("cannot keep the accounts")?;
            if let Some(before) = before {
                fs::remove_dir_all(&before).with_context(|| format!("cannot remove {}", before.display()))?;
            }
            self.kept = Some(kept);
        }
        Ok(())
    }

    /// Starts it.
    pub(crate) fn start(&self, place: &Place) -> anyhow::Result<Waypost> {
        let options = Options { kept: self.kept.clone(), ..options(place) };
        // Before its processes, so that they are stopped before it has to be gone.
        let mut group = Group::new("waypost");
        let pipeline = Pipeline::start(&self.binary, &options);
        group.adopt("supervisor", pipeline.supervisor().context("the supervisor is not there")?)?;
        for service in ["msa", "mta", "mda"] {
            let pid = pipeline.pid(service).ok_or_else(|| anyhow!("{service} is not there"))?;
            group.adopt(service, pid)?;
        }
        let doors = Doors {
            smtp: pipeline.address("mta", "smtp"),
            submissions: pipeline.address("msa", "submissions"),
            imap: pipeline.address("mda", "imap"),
            imaps: pipeline.address("mda", "imaps"),
            pop3: pipeline.address("mda", "pop3"),
            ca: pipeline.ca().into(),
        };
        Ok(Waypost { doors, pipeline, group })
    }
}

/// As everyone gets it, save what the comparison needs.
fn options(place: &Place) -> Options {
    let route =
        format!(r#"[{{ recipient_domain = ["relay.test"], to = "hosts", hosts = ["{}"] }}]"#, place.sink);
    let environment = [
        (AS_WAYPOST, "1".to_owned()),
        ("WAYPOST_MTA__ROUTE", route),
        ("WAYPOST_MTA__RECEIVING__RELAY_DOMAINS", r#"["relay.test"]"#.to_owned()),
        // Nor does Postfix ask the next hop.
        ("WAYPOST_MTA__RECEIVING__VERIFY__RECIPIENTS", "false".to_owned()),
        // A thousand sessions come from one address.
        ("WAYPOST_MSA__LIMITS__CONNECTIONS_PER_NETWORK", "0".to_owned()),
        ("WAYPOST_MDA__PLAINTEXT_AUTH", "loopback".to_owned()),
        // Dovecot's passwords are in clear: neither side hashes much.
        ("WAYPOST_MDA__PASSWORDS__MEMORY", "64KiB".to_owned()),
        ("WAYPOST_MDA__PASSWORDS__PASSES", "1".to_owned()),
        ("WAYPOST_MDA__PASSWORDS__SCRAM_ITERATIONS", "4096".to_owned()),
    ];
    Options {
        environment: environment.to_vec(),
        within: Some(place.dir.clone()),
        is_apart: true,
        ..Options::default()
    }
}

/// A running one.
pub(crate) struct Waypost {
    doors: Doors,
    // Stopped before its processes have to be gone.
    pipeline: Pipeline,
    group: Group,
}

impl System for Waypost {
    fn name(&self) -> &str {
        Kind::Waypost.name()
    }

    fn doors(&self) -> &Doors {
        &self.doors
    }

    fn group(&self) -> &Group {
        &self.group
    }

    fn delivered(&self) -> anyhow::Result<u64> {
        metric(&self.pipeline, "mda", r#"waypost_mda_deliveries_total{outcome="delivered"}"#)
            .context("the MDA does not tell what it has delivered")
    }

    fn stored(&self) -> anyhow::Result<u64> {
        let listed = self.pipeline.waypost_ok(&["account", "list", "--json"]);
        let accounts: Vec<Value> = serde_json::from_str(&listed).context("the list of accounts")?;
        Ok(accounts.iter().filter_map(|account| account["messages"].as_u64()).sum())
    }

    fn folder(&self) -> PathBuf {
        self.pipeline.data()
    }
}
