//! The `main` that all services share.
//!
//! ```text
//! arguments → configuration → log, descriptors, runtime → the service → drain
//! ```

mod arguments;
mod signals;

use std::{
    ffi::OsString,
    fmt::{Display, Write as _},
    future::Future,
    io::Write as _,
    process::ExitCode,
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tracing::{info, warn};

use self::arguments::{Action, Arguments};
use crate::{
    config::{self, LogConfig, RuntimeConfig},
    drain::{Drained, Shutdown},
    listen::raise_descriptor_limit,
    telemetry, tls,
};

pub use signals::Reload;

#[cfg(test)]
mod tests;

/// The service failed while it ran.
const RUN_FAILED: u8 = 1;
/// The command line or the configuration is of no use.
const USAGE: u8 = 2;

/// What is left for work that cannot be cut off, such as a thread that blocks.
const CUT_OFF_GRACE: Duration = Duration::from_secs(1);

/// Any error, as one line.
pub type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A service, as the shared main sees it.
pub trait Program {
    /// The binary's name, such as `msa`: names the default configuration file and the environment variables.
    const NAME: &'static str;
    /// One line for `--help`.
    const ABOUT: &'static str;
    /// What is configured.
    type Config: Default + Serialize + DeserializeOwned + Send + 'static;

    /// Checks what the configuration's types cannot say; also reads the files it names. `--check` ends after it.
    fn check(config: &Self::Config) -> Result<(), AnyError>;

    /// The `[log]` section.
    fn log(config: &Self::Config) -> &LogConfig;

    /// The `[runtime]` section.
    fn runtime(config: &Self::Config) -> &RuntimeConfig;

    /// Builds the service, says [`Context::ready`], and runs until `context.shutdown` starts.
    fn run(
        config: Self::Config,
        context: Context,
    ) -> impl Future<Output = Result<(), AnyError>> + Send + 'static;
}

/// What the shared main gives to the service.
#[derive(Clone, Debug)]
pub struct Context {
    /// Starts at SIGTERM or SIGINT. What the service spawns with it is waited for.
    pub shutdown: Shutdown,
    /// Called at SIGHUP.
    pub reload: Reload,
}

impl Context {
    /// Every listener is bound and the service takes work: tells the service manager so.
    pub fn ready(&self) {
        notify(&sd_notify::NotifyState::Ready);
    }
}

/// Runs a service with the process' command line.
pub fn main<P: Program>() -> ExitCode {
    main_from::<P, _>(std::env::args_os())
}

/// Runs a service with a command line, the program's name first.
pub fn main_from<P: Program, A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> ExitCode {
    tls::install_provider();
    let arguments = match Arguments::parse(P::NAME, P::ABOUT, arguments) {
        Ok(arguments) => arguments,
        // clap prints help and version to standard output, mistakes to standard error.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match start::<P>(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, error }) => {
            complain(P::NAME, &one_line(&*error));
            ExitCode::from(code)
        }
    }
}

#[derive(Debug)]
struct Failure {
    code: u8,
    error: AnyError,
}

impl Failure {
    fn usage(error: impl Into<AnyError>) -> Self {
        Self { code: USAGE, error: error.into() }
    }

    fn run(error: impl Into<AnyError>) -> Self {
        Self { code: RUN_FAILED, error: error.into() }
    }
}

fn start<P: Program>(arguments: &Arguments) -> Result<(), Failure> {
    let config: P::Config = config::load(&arguments.config, P::NAME).map_err(Failure::usage)?;
    if arguments.action == Action::PrintConfig {
        let text = config::print(&config).map_err(Failure::usage)?;
        return say(&text).map_err(Failure::run);
    }
    P::check(&config).map_err(Failure::usage)?;
    if arguments.action == Action::Check {
        return say(&format!("{}: the configuration is good\n", arguments.config.display()))
            .map_err(Failure::run);
    }
    telemetry::init(P::log(&config)).map_err(Failure::usage)?;
    if let Err(error) = raise_descriptor_limit() {
        warn!(%error, "cannot raise the limit of open files");
    }
    run::<P>(config, Reload::of(&arguments.config))
}

fn run<P: Program>(config: P::Config, reload: Reload) -> Result<(), Failure> {
    let RuntimeConfig { worker_threads, drain_timeout } = P::runtime(&config).clone();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name(P::NAME);
    if worker_threads > 0 {
        builder.worker_threads(worker_threads);
    }
    let runtime = builder.build().map_err(Failure::run)?;
    let ended = runtime.block_on(async {
        let context = Context { shutdown: Shutdown::new(), reload };
        signals::listen(&context)?;
        info!(version = env!("CARGO_PKG_VERSION"), "{} starts", P::NAME);
        run_until_drained(P::run(config, context.clone()), &context.shutdown, *drain_timeout).await
    });
    // Blocking work that is stuck must not keep the process.
    runtime.shutdown_timeout(CUT_OFF_GRACE);
    info!("{} has ended", P::NAME);
    ended.map_err(Failure::run)
}

/// Runs the service until it ends or its shutdown starts; then everything has so long to end.
async fn run_until_drained<F>(service: F, shutdown: &Shutdown, timeout: Duration) -> Result<(), AnyError>
where
    F: Future<Output = Result<(), AnyError>> + Send + 'static,
{
    let stop = shutdown.token();
    let service = shutdown.spawn(async move {
        // The service's end, a panic's included, is the end of everything.
        let _stop = stop.drop_guard();
        service.await
    });
    shutdown.started().await;
    if let Drained::CutOff(tasks) = shutdown.graceful(timeout).await {
        warn!(tasks, "the drain's time is up: what still ran was cut off");
    }
    match tokio::time::timeout(CUT_OFF_GRACE, service).await {
        Ok(Ok(Some(ended))) => ended,
        Ok(Err(panic)) => Err(panic.into()),
        // Cut off, which is logged above.
        Ok(Ok(None)) | Err(_) => Ok(()),
    }
}

fn notify(state: &sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        warn!(%error, "cannot notify the service manager");
    }
}

/// An error and what it comes from, each once: many errors say their source themselves.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            let _ = write!(text, ": {cause}");
        }
        source = error.source();
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

fn say(text: &str) -> std::io::Result<()> {
    std::io::stdout().write_all(text.as_bytes())
}

/// For errors outside the log: before it starts, and at the end.
fn complain(name: &str, what: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "{name}: {what}");
}
