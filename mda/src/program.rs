//! The command line: `mda`, and the tools for a store that nobody has open (`mda check`, `mda rebuild`, …).

use std::{ffi::OsString, process::ExitCode};

use service::{
    cli::{self, AnyError, Context, Program},
    config::{LogConfig, RuntimeConfig},
    grpc::server,
    telemetry,
    tls::PublicIdentity,
};

use crate::{
    auth::{Authenticator, Tokens},
    config::Config,
    tools,
};

/// Runs the MDA with the process' command line.
pub fn main() -> ExitCode {
    main_from(std::env::args_os())
}

/// Runs the MDA with a command line, the program's name first.
pub fn main_from<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    if arguments.get(1).is_some_and(tools::is_tool) {
        return tools::main_from(&arguments);
    }
    cli::main_from::<Mda, _>(arguments)
}

struct Mda;

impl Program for Mda {
    const NAME: &'static str = "mda";
    const ABOUT: &'static str =
        "Waypost's mail delivery agent: keeps mail in mailboxes, serves IMAP and POP3";
    type Config = Config;

    fn check(config: &Config) -> Result<(), AnyError> {
        config.validate()?;
        Authenticator::check_costs(&config.passwords)?;
        let identity = |tls| PublicIdentity::with_clients(tls, config.client_ca());
        config.tls.as_ref().map(identity).transpose()?;
        config.oauth.as_ref().map(Tokens::new).transpose()?;
        server::identity(&config.grpc)?;
        Ok(())
    }

    fn log(config: &Config) -> &LogConfig {
        &config.log
    }

    fn runtime(config: &Config) -> &RuntimeConfig {
        &config.runtime
    }

    async fn run(config: Config, context: Context) -> Result<(), AnyError> {
        let service = crate::build(config, telemetry::registry(), &context.reload).await?;
        context.ready();
        service.run(context.shutdown).await?;
        Ok(())
    }
}
