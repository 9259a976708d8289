//! A whole pipeline, started as a user would: `waypost up`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::wire::{grpc, trust};
use crate::{Tls, eventually};

/// Ports that `up` uses for each service without an offset, in the order of their listeners.
const PORTS: [u16; 13] = [25, 110, 143, 465, 587, 993, 995, 7025, 7143, 7587, 8025, 8143, 8587];

/// What a pipeline is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Further arguments of `up`.
    pub arguments: Vec<String>,
    /// MTA nodes; 0 means one.
    pub mta_nodes: u16,
    /// Variables of all processes: they override the services' configuration.
    pub environment: Vec<(&'static str, String)>,
    /// Where the pipeline's own folder is made; without one, where temporary files are.
    pub within: Option<PathBuf>,
    /// What another pipeline has kept ([`Pipeline::data`]), to begin with a copy of.
    pub kept: Option<PathBuf>,
    /// Whether Ctrl-C at the terminal is not for the pipeline: who starts it stops it then.
    pub is_apart: bool,
}

/// A running pipeline with the accounts alice@ and bob@example.test, both with the password `secret`. Dropping it stops
/// it.
pub struct Pipeline {
    dir: TempDir,
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    is_apart: bool,
    supervisor: Option<Child>,
}

/// A process of the pipeline, by its name in `ready.json`: `msa`, `mta`, `mta1`, `mda`.
pub type Service = &'static str;

impl Pipeline {
    /// Starts one. `binary` is the command, such as `env!("CARGO_BIN_EXE_waypost-under-test")`.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(binary: &str, options: &Options) -> Self {
        let dir = match &options.within {
            Some(folder) => TempDir::with_prefix_in("waypost-", folder),
            None => tempfile::tempdir(),
        };
        let dir = dir.expect("a temporary folder");
        if let Some(kept) = &options.kept {
            let mut copy = Command::new("cp");
            copy.arg("-a").arg(kept).arg(dir.path().join("data")).process_group(0);
            let copied = copy.status();
            assert!(copied.is_ok_and(|status| status.success()), "{} is copied", kept.display());
        }
        let mut arguments =
            vec!["--port-offset".to_owned(), free_offset(options.mta_nodes.max(1)).to_string()];
        for account in ["alice@example.test=secret", "bob@example.test=secret"] {
            arguments.extend(["--account".to_owned(), account.to_owned()]);
        }
        if options.mta_nodes > 1 {
            arguments.extend(["--mta-nodes".to_owned(), options.mta_nodes.to_string()]);
        }
        arguments.extend(options.arguments.iter().cloned());
        let environment = options.environment.clone();
        let is_apart = options.is_apart;
        let mut pipeline =
            Self { dir, binary: binary.into(), arguments, environment, is_apart, supervisor: None };
        pipeline.up();
        pipeline
    }

    /// Starts it (again) and waits until it serves.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn up(&mut self) {
        let supervisor = self.command().spawn().expect("waypost starts");
        let supervisor = self.supervisor.insert(supervisor);
        let (data, printed) = (self.dir.path().join("data"), self.dir.path().join("up.log"));
        eventually("the pipeline to come up", || {
            let ended = supervisor.try_wait().expect("the supervisor's state");
            assert!(
                ended.is_none(),
                "waypost up ended: {}",
                fs::read_to_string(&printed).unwrap_or_default()
            );
            data.join("ready.json").exists().then_some(())
        });
    }

    /// Like [`Pipeline::up`], where it cannot come up. Returns what it printed.
    ///
    /// # Panics
    /// If it does.
    pub fn cannot_come_up(&mut self) -> String {
        let status = self.command().status().expect("waypost starts");
        assert!(!status.success(), "it came up, and ended well");
        fs::read_to_string(self.path("up.log")).unwrap_or_default()
    }

    /// Changes a variable, for the next time that it is started.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.into()));
    }

    /// `waypost up` with all that it is started with.
    fn command(&self) -> Command {
        let log = File::create(self.path("up.log")).expect("a log");
        let mut command = self.program();
        command.args(["up", "--dir"]).arg(self.data()).args(&self.arguments);
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        command
    }

    /// The command, with nothing to do yet.
    fn program(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        if self.is_apart {
            command.process_group(0);
        }
        command
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Panics
    /// If it does not end well.
    pub fn down(&mut self) {
        let Some(mut supervisor) = self.supervisor.take() else { return };
        signal(supervisor.id(), "TERM");
        let status = supervisor.wait().expect("the supervisor's end");
        assert!(status.success(), "waypost up ended with {status}: {}", self.printed());
    }

    /// Kills the supervisor, and all services with it.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn crash(&mut self) {
        let Some(mut supervisor) = self.supervisor.take() else { return };
        supervisor.kill().expect("the supervisor is killed");
        supervisor.wait().expect("the supervisor's end");
        // Nobody is left to take it away; it must not be mistaken for the next one's.
        let _ = fs::remove_file(self.data().join("ready.json"));
    }

    /// The folder of the pipeline.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A file beside the pipeline's folder, for the scenario's own use.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The authority that signed the servers' certificates.
    pub fn ca(&self) -> String {
        self.data().join("tls/ca.pem").display().to_string()
    }

    /// TLS as a mail program speaks it.
    pub fn tls(&self) -> Tls {
        trust(&self.data().join("tls/ca.pem"))
    }

    /// TLS as a role speaks it over gRPC, such as `operator`.
    pub fn tls_as(&self, role: &str) -> Tls {
        let file = |name: &str| self.data().join("tls").join(name);
        grpc(&file("ca.pem"), &file(&format!("{role}.pem")), &file(&format!("{role}.key")))
    }

    /// Where a service listens, such as `address("mta", "smtp")`.
    ///
    /// # Panics
    /// If `ready.json` does not say.
    pub fn address(&self, service: Service, listener: &str) -> SocketAddr {
        let ready = self.ready().expect("ready.json");
        let address = ready[service]["listeners"][listener].as_str();
        address
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("{service} {listener}: {ready}"))
    }

    /// The process that starts the services and looks after them; `None` while it is not there.
    pub fn supervisor(&self) -> Option<u32> {
        self.supervisor.as_ref().map(Child::id)
    }

    /// The process of a service; `None` while it is not there.
    pub fn pid(&self, service: Service) -> Option<u32> {
        u32::try_from(self.ready()?[service]["pid"].as_u64()?).ok()
    }

    /// Kills a service as a crash would.
    pub fn kill(&self, service: Service) {
        if let Some(pid) = self.pid(service) {
            signal(pid, "KILL");
        }
    }

    /// Halts a service: it keeps its connections and answers nobody, until [`Pipeline::resume`].
    ///
    /// # Panics
    /// If it does not stop.
    pub fn halt(&self, service: Service) {
        if let Some(pid) = self.pid(service) {
            signal(pid, "STOP");
            // The signal only asks for it: a thread that is at work may answer somebody before.
            eventually("all threads to be stopped", || is_stopped(pid).then_some(()));
        }
    }

    /// Lets a halted service go on.
    pub fn resume(&self, service: Service) {
        if let Some(pid) = self.pid(service) {
            signal(pid, "CONT");
        }
    }

    /// Runs the operator's command against this pipeline.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn waypost<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Output {
        let mut command = self.program();
        command.args(arguments).arg("--dir").arg(self.data());
        command.output().expect("waypost starts")
    }

    /// Like [`Pipeline::waypost`], for a command that has to succeed; gives what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn waypost_ok<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        let output = self.waypost(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}{err}");
        out.trim().to_owned()
    }

    /// Runs a service's own program for work on what it keeps, such as `tool("mda", &["check"])`, while it is down.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn tool(&self, service: Service, arguments: &[&str]) -> Output {
        let mut command = self.program();
        command.args(["service", service]).args(arguments).arg("--config");
        command.arg(self.data().join(format!("config/{service}.toml")));
        command.output().expect("waypost starts")
    }

    /// What `up` has printed, and the services' logs.
    pub fn printed(&self) -> String {
        let mut text = fs::read_to_string(self.path("up.log")).unwrap_or_default();
        for log in fs::read_dir(self.data().join("log")).into_iter().flatten().flatten() {
            text += &["\n== ", &log.path().display().to_string(), "\n", &tail(&log.path())].concat();
        }
        text
    }

    fn ready(&self) -> Option<Value> {
        serde_json::from_str(&fs::read_to_string(self.data().join("ready.json")).ok()?).ok()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.printed());
        }
        let Some(mut supervisor) = self.supervisor.take() else { return };
        signal(supervisor.id(), "TERM");
        // A scenario that ends early must not leave processes behind; how it ends has been asserted elsewhere.
        let _ = supervisor.wait();
    }
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut file) = File::open(path) {
        let _ = file.read_to_string(&mut text);
    }
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Whether no thread of a process runs.
fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.map(|thread| fs::read_to_string(thread.path().join("stat")).unwrap_or_default()).all(|stat| {
        // The state stands behind the name, which may hold anything.
        stat.rsplit_once(") ").is_some_and(|(_, behind)| behind.starts_with('T'))
    })
}

fn signal(pid: u32, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status();
    // The process may have ended by itself.
    let _ = sent;
}

/// An offset at which every port of a pipeline is free, below the range from which the kernel takes ports for outgoing
/// connections.
fn free_offset(mta_nodes: u16) -> u16 {
    eventually("free ports", || {
        let offset = fastrand::u16(2_000..23_000);
        let ports = PORTS.into_iter().flat_map(|port| (0..mta_nodes).map(move |node| port + 100 * node));
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port + offset)).is_ok();
        ports.into_iter().all(free).then_some(offset)
    })
}
