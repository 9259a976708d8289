//! The MTA as a program: its command line, its configuration and its process.

use std::ffi::OsString;
use std::process::ExitCode;

use message::Domain;
use service::cli::{self, AnyError, Context, Program};
use service::config::{LogConfig, RuntimeConfig};
use service::dns::Dns;
use service::grpc::server;
use service::tls::PublicIdentity;

use crate::config::Config;
use crate::queue::TimeTable;
use crate::routing::Router;
use crate::server::{BuildError, build};
use crate::tls::TlsPolicies;

struct MtaProgram;

impl Program for MtaProgram {
    const NAME: &'static str = "mta";
    const ABOUT: &'static str =
        "The MTA: takes messages from MSAs and other MTAs, queues them and hands them on";
    type Config = Config;

    fn check(config: &Config) -> Result<(), AnyError> {
        config.validate()?;
        Domain::parse(&config.hostname).map_err(BuildError::Hostname)?;
        Router::new(&config.route)?;
        config.receiving.relayed()?;
        TimeTable::new(&config.retry)?;
        Dns::check(&config.dns)?;
        TlsPolicies::check(config)?;
        server::identity(&config.grpc)?;
        if let Some(tls) = &config.tls {
            PublicIdentity::load(tls)?;
        }
        Ok(())
    }

    fn log(config: &Config) -> &LogConfig {
        &config.log
    }

    fn runtime(config: &Config) -> &RuntimeConfig {
        &config.runtime
    }

    async fn run(config: Config, context: Context) -> Result<(), AnyError> {
        let mta = build(config, &context).await?;
        mta.run(&context).await
    }
}

/// Runs the MTA with the process' command line.
pub fn main() -> ExitCode {
    cli::main::<MtaProgram>()
}

/// Runs the MTA with a command line, the program's name first.
pub fn main_from<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> ExitCode {
    cli::main_from::<MtaProgram, A>(arguments)
}
