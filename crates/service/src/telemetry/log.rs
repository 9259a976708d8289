//! Log lines.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::config::{LogConfig, LogFormat};

/// Goes before the configured level.
const VARIABLE: &str = "WAYPOST_LOG";

/// Logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is none.
    #[error("cannot use log level `{directives}`: {error}")]
    Level {
        /// What was configured.
        directives: String,
        /// What is wrong with it.
        error: String,
    },
    /// The process logs already.
    #[error("logging is set up already")]
    Twice,
}

/// Starts logging to standard error for the whole process.
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    let directives = std::env::var(VARIABLE).unwrap_or_else(|_| config.level.clone());
    let colour =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = subscriber(&directives, config.format, colour, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)
}

/// The subscriber that writes lines of a format to a writer.
pub(super) fn subscriber<W>(
    directives: &str,
    format: LogFormat,
    colour: bool,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(directives)
        .map_err(|error| LogError::Level { directives: directives.to_owned(), error: error.to_string() })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colour);
    Ok(match format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).with_current_span(true).finish()),
    })
}
