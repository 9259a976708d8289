//! Why there is no connection, or none any more.

use std::io;

use smtp::Reply;
use smtp::client::{Failure, Stage};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no TCP connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// The server refused the session, or does not offer what it needs.
    #[error(transparent)]
    Session(Failure),
}

impl ConnectError {
    /// The failure, as a report and a trace know it.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Connect(error) => {
                Failure::local(Stage::Connect, Reply::new(451, 4, 1, format!("Cannot connect: {error}")))
            }
            Self::Tls(error) => Failure::local(
                Stage::StartTls,
                Reply::new(451, 7, 5, format!("TLS handshake failed: {error}")),
            ),
            Self::Session(failure) => failure.clone(),
        }
    }
}

/// What stands in a report for a connection that ended.
pub(super) fn lost(stage: Stage, error: &io::Error) -> Reply {
    let text = match error.kind() {
        io::ErrorKind::TimedOut => format!("Timed out at {stage}"),
        io::ErrorKind::UnexpectedEof => format!("Connection closed by the server at {stage}"),
        _ => format!("Connection lost at {stage}: {error}"),
    };
    Reply::new(451, 4, 2, text)
}
