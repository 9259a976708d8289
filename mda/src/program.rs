//! The command line: `mda`, and `mda rebuild` for a store whose rows are damaged.

use std::{
    ffi::OsString,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use service::{
    cli::{self, AnyError, Context, Program},
    config::{self, LogConfig, RuntimeConfig},
    grpc::server,
    telemetry,
    tls::PublicIdentity,
};

use crate::{auth::Authenticator, config::Config, store::LocalStore};

/// Runs the MDA with the process' command line.
pub fn main() -> ExitCode {
    main_from(std::env::args_os())
}

/// Runs the MDA with a command line, the program's name first.
pub fn main_from<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    if arguments.get(1).is_some_and(|argument| argument == "rebuild") {
        return rebuild(&arguments);
    }
    cli::main_from::<Mda, _>(arguments)
}

/// Makes the rows of accounts, mailboxes and messages anew from the journal. Loses no message; takes time in proportion
/// to their number. The service must not run meanwhile.
#[derive(Debug, Parser)]
#[command(name = "mda rebuild", version)]
struct Rebuild {
    /// The configuration, in TOML
    #[arg(long, value_name = "FILE", default_value = "/etc/waypost/mda.toml")]
    config: PathBuf,
}

fn rebuild(arguments: &[OsString]) -> ExitCode {
    // `rebuild` itself stands where a program's name would.
    let Rebuild { config: path } = match Rebuild::try_parse_from(&arguments[1..]) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match rebuild_store(&path) {
        Ok(text) => {
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "mda rebuild: {error}");
            ExitCode::FAILURE
        }
    }
}

fn rebuild_store(path: &Path) -> Result<String, AnyError> {
    let config: Config = config::load(path, Mda::NAME)?;
    telemetry::init(&config.log)?;
    let opened = LocalStore::rebuild(config.store_config())?;
    let mut text = format!("rebuilt {} from {} journal records", config.data_dir.display(), opened.replayed);
    for damaged in opened.damaged {
        // Writing to a string cannot fail.
        let _ = write!(text, "\nlost: {damaged}");
    }
    Ok(text)
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
        config.tls.as_ref().map(PublicIdentity::load).transpose()?;
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
