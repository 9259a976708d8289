//! `waypost up`: the whole pipeline on this machine.

mod report;
mod signals;
mod startup;
mod wishes;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use message::Domain;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::LocalSet;

use self::signals::Signals;
use self::wishes::{AccountFlag, Wishes};
use crate::console::Console;
use crate::failure::{Explain, Failure};
use crate::local::configs;
use crate::local::diary::Diary;
use crate::local::layout::Layout;
use crate::local::ports::{self, Role, Service};
use crate::local::ready::ReadyFile;
use crate::local::supervisor::{Ending, Notice, Process, Supervisor};
use crate::local::{certificates, logs};

pub(crate) const LONG_ABOUT: &str = "Run the whole pipeline on this machine: MSA, MTA and MDA as separate processes on loopback.

Makes what is missing under --dir (certificates, a configuration file for each service, accounts), starts the \
services, restarts one that dies, and stops all of them on Ctrl-C, letting each finish what it has. What is there \
already is used again: mail, accounts and certificates outlive a restart.";

const FILES: &str = "Files under --dir:
  ready.json      who serves where, once all services do
  accounts.txt    generated passwords
  tls/            ca.pem to trust; operator.pem and operator.key for gRPC tools
  config/, log/   a file for each service
  mda/, mta/ …    mail and queues

Examples:
  waypost up
  waypost up --domain example.org --account alice@example.org=secret
  waypost up --dir /tmp/second --port-offset 20000 --mta-nodes 2";

/// The services run this very program, also when the file it was started from has been replaced by a newer build.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = FILES)]
pub(crate) struct Arguments {
    /// Folder for everything: mail, queues, certificates, configurations, logs
    #[arg(long, value_name = "DIR", default_value = "waypost-data")]
    dir: PathBuf,
    /// Added to every default port (587, 465, 25, 143, 993, 110, 995, …)
    #[arg(long, value_name = "N", default_value_t = 10_000, allow_negative_numbers = true)]
    port_offset: u16,
    /// Domain whose mail is kept here (repeatable) [default: example.test]
    #[arg(long = "domain", value_name = "NAME")]
    domains: Vec<Domain>,
    /// Account to make unless it exists (repeatable) [default: alice@ and bob@ the first domain, with random passwords]
    #[arg(long = "account", value_name = "ADDRESS=PASSWORD")]
    accounts: Vec<AccountFlag>,
    /// MTA nodes to run; each one's ports are 100 above those of the one before
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(ports::MAX_MTA_NODES)))]
    mta_nodes: u16,
    /// DNS server to ask [default: the system's]
    #[arg(long, value_name = "ADDR:PORT")]
    resolver: Option<SocketAddr>,
    /// Port on which other domains' MTAs are dialled
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..))]
    remote_smtp_port: u16,
}

/// Runs the pipeline until it is told to stop.
pub(crate) fn run(arguments: &Arguments, console: Console) -> Result<(), Failure> {
    let services = ports::plan(arguments.port_offset, arguments.mta_nodes)?;
    let wishes = Wishes::new(&arguments.domains, &arguments.accounts)?;
    let (layout, _lock) = Layout::prepare(&arguments.dir)?;
    let ready = ReadyFile::begin(layout.ready(), &services)
        .explain(|| format!("cannot remove the old {}", layout.ready().display()))?;
    ports::check_free(&services)?;
    certificates::ensure(&layout, &wishes.domains, SystemTime::now())?;
    let outside = configs::Outside {
        domains: &wishes.domains,
        resolver: arguments.resolver,
        remote_smtp_port: arguments.remote_smtp_port,
    };
    configs::write(&layout, &services, &outside)?;
    let diary = Diary::open(&layout.supervisor_log(), console)
        .explain(|| format!("cannot write {}", layout.supervisor_log().display()))?;

    // One thread for all: the services die with the thread that started them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .explain(|| "cannot start the supervisor".to_owned())?;
    let pipeline = Pipeline { layout, services, wishes, diary, console };
    LocalSet::new().block_on(&runtime, pipeline.run(ready))
}

/// A pipeline whose files are all in place.
struct Pipeline {
    layout: Layout,
    services: Vec<Service>,
    wishes: Wishes,
    diary: Diary,
    console: Console,
}

impl Pipeline {
    async fn run(self, mut ready: ReadyFile) -> Result<(), Failure> {
        let signals = Signals::listen().explain(|| "cannot listen for signals".to_owned())?;
        let (told, mut notices) = unbounded_channel();
        let began: Vec<u64> =
            self.services.iter().map(|service| logs::length(&self.layout.log(service))).collect();
        let mut supervisor = Supervisor::start(self.processes(), signals.force.clone(), &told);
        let outcome = tokio::select! {
            biased;
            () = signals.stop.cancelled() => Ok(()),
            outcome = self.serve(&mut ready, &mut notices) => outcome,
        };
        if let Err(death) = &outcome {
            self.show_log(death.service.as_deref(), &began);
        }
        if let Err(error) = ready.withdraw() {
            self.diary.warn(format_args!("cannot remove {}: {error}", self.layout.ready().display()));
        }
        match outcome {
            Ok(()) => {
                self.diary.note("stopping; each service finishes what it has (Ctrl-C again to stop at once)");
                self.stop(&mut supervisor, |name, ending| self.diary.note(format_args!("{name} {ending}")))
                    .await;
                self.tell_late_deaths(&mut notices);
                Ok(())
            }
            Err(stopped) => {
                self.stop(&mut supervisor, |_, _| {}).await;
                Err(stopped.failure)
            }
        }
    }

    /// Starts up, tells the user, and watches from then on; ends only when the start fails.
    async fn serve(
        &self,
        ready: &mut ReadyFile,
        notices: &mut UnboundedReceiver<Notice>,
    ) -> Result<(), startup::Stopped> {
        let accounts = {
            let mut watch = std::pin::pin!(watch_start(ready, notices));
            tokio::select! {
                biased;
                stopped = &mut watch => return Err(stopped),
                accounts = startup::run(self) => accounts?,
            }
        };
        ready
            .publish()
            .explain(|| format!("cannot write {}", self.layout.ready().display()))
            .map_err(startup::Stopped::from)?;
        report::print(self, &accounts);
        self.watch(ready, notices).await;
        Ok(())
    }

    /// Keeps `ready.json` true and tells of every death.
    async fn watch(&self, ready: &mut ReadyFile, notices: &mut UnboundedReceiver<Notice>) {
        while let Some(notice) = notices.recv().await {
            match notice {
                Notice::Started { name, pid } => {
                    if let Err(error) = ready.started(&name, pid) {
                        self.diary
                            .warn(format_args!("cannot write {}: {error}", self.layout.ready().display()));
                    }
                    self.diary.note(format_args!("{name} is started again as process {pid}"));
                }
                Notice::Died { name, reason, restart_in } => {
                    let log = self.services.iter().find(|service| service.name == name);
                    let log = log.map_or_else(String::new, |service| {
                        format!(" (its log: {})", self.layout.log(service).display())
                    });
                    self.diary
                        .warn(format_args!("{name} {reason}; it is started again in {restart_in:?}{log}"));
                }
            }
        }
    }

    /// What died while the stop began was not told by anybody yet.
    fn tell_late_deaths(&self, notices: &mut UnboundedReceiver<Notice>) {
        while let Ok(notice) = notices.try_recv() {
            if let Notice::Died { name, reason, .. } = notice {
                self.diary.note(format_args!("{name} {reason} before it was told to stop"));
            }
        }
    }

    /// Each may still need the next one to finish what it has: the MSA an MTA, the MTA the MDA.
    async fn stop(&self, supervisor: &mut Supervisor, told: impl Fn(&str, Ending)) {
        for role in [Role::Msa, Role::Mta, Role::Mda] {
            supervisor.stop(role, &told).await;
        }
    }

    fn processes(&self) -> Vec<Process> {
        self.services
            .iter()
            .map(|service| Process {
                name: service.name.clone(),
                role: service.role,
                program: THIS_PROGRAM.into(),
                title: "waypost",
                arguments: self.arguments(service),
                log: self.layout.log(service),
            })
            .collect()
    }

    fn arguments(&self, service: &Service) -> Vec<OsString> {
        let supervisor = std::process::id().to_string();
        let mut arguments: Vec<OsString> =
            ["service", service.role.name(), "--supervisor", &supervisor, "--config"]
                .map(Into::into)
                .to_vec();
        arguments.push(self.layout.config(service).into());
        arguments
    }

    /// What a service that made the start fail wrote to its log.
    fn show_log(&self, name: Option<&str>, began: &[u64]) {
        let found = self.services.iter().zip(began).find(|(service, _)| Some(service.name.as_str()) == name);
        let Some((service, &began)) = found else { return };
        let path = self.layout.log(service);
        if let Ok(tail) = logs::tail(&path, began)
            && !tail.is_empty()
        {
            self.console.note(format_args!("the end of {}:", path.display()));
            self.console.excerpt(&tail);
        }
    }
}

/// Until all services serve, the death of one ends the start: what is wrong now is wrong after a restart too.
async fn watch_start(ready: &mut ReadyFile, notices: &mut UnboundedReceiver<Notice>) -> startup::Stopped {
    loop {
        match notices.recv().await {
            Some(Notice::Started { name, pid }) => {
                // The file is not there yet, so nothing is written that could fail.
                let _ = ready.started(&name, pid);
            }
            Some(Notice::Died { name, reason, .. }) => return startup::Stopped::by_death(name, &reason),
            None => std::future::pending().await,
        }
    }
}
