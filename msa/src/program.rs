//! The MSA as a program: its command line, its configuration and its process.

use std::ffi::OsString;
use std::process::ExitCode;

use message::Domain;
use service::cli::{self, AnyError, Context, Program};
use service::config::{LogConfig, RuntimeConfig};
use service::grpc::server;
use service::tls::PublicIdentity;

use crate::config::Config;
use crate::server::{BuildError, build};

struct MsaProgram;

impl Program for MsaProgram {
    const NAME: &'static str = "msa";
    const ABOUT: &'static str = "The MSA: takes mail from people and programs and hands it to an MTA";
    type Config = Config;

    fn check(config: &Config) -> Result<(), AnyError> {
        Domain::parse(&config.hostname).map_err(BuildError::Hostname)?;
        server::identity(&config.grpc)?;
        match &config.tls {
            Some(tls) => drop(PublicIdentity::with_clients(tls, config.client_ca())?),
            None if config.submission.listen.is_empty() && config.submissions.listen.is_empty() => {}
            None => return Err(BuildError::NoCertificate.into()),
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
        let msa = build(config, &context).await?;
        msa.run(&context).await
    }
}

/// Runs the MSA with the process' command line.
#[must_use]
pub fn main() -> ExitCode {
    cli::main::<MsaProgram>()
}

/// Runs the MSA with a command line, the program's name first.
pub fn main_from<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> ExitCode {
    cli::main_from::<MsaProgram, A>(arguments)
}
