//! `waypost send`: submits a message and prints its id.

mod by_grpc;
mod by_smtp;
mod compose;
mod source;

use std::net::SocketAddr;

use message::Address;

use self::source::Source;
use crate::console::Console;
use crate::failure::{Explain, Failure};
use crate::pipeline::{self, Pipeline};
use crate::secrets;

pub(crate) const LONG_ABOUT: &str = "Submit a message through the MSA and print its id.

With a password it goes as from any mail program: by SMTP over TLS, logged in as --user. Without one it goes by gRPC \
with the operator's certificate, which may send as any account. Only the id is written to standard output, once the \
message is on stable storage.";

const EXAMPLES: &str = "Examples:
  waypost send --from alice@example.test --to bob@example.test --subject Hello --body 'Hi Bob'
  waypost send --from alice@example.test --to bob@example.test --file message.eml
  WAYPOST_PASSWORD=… waypost send --from alice@example.test --to bob@example.test --file -
  waypost trace \"$(waypost send --from alice@example.test --to bob@example.test --body Hello)\"

A file is a whole message, header and body, with LF or CRLF line ends. What RFC 6409 lets the MSA add (Date, \
Message-ID) may be missing.";

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Sender: one of the account's addresses
    #[arg(long, value_name = "ADDRESS")]
    from: Address,
    /// Recipient (repeatable)
    #[arg(long, value_name = "ADDRESS", required = true)]
    to: Vec<Address>,
    /// The message, header and body; `-` is standard input. Without it, --subject and --body make one
    #[arg(long, value_name = "FILE", required_unless_present_any = ["subject", "body"])]
    file: Option<String>,
    /// Subject of a message made here
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    subject: Option<String>,
    /// Text of a message made here
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    body: Option<String>,
    /// Account to log in as, by SMTP [default: the sender]
    #[arg(long, value_name = "ADDRESS", requires = "password")]
    user: Option<String>,
    /// Its password, or `-` to be asked; others on this machine can see what stands on a command line
    #[arg(long, env = "WAYPOST_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// The MSA's listener for SMTP over TLS, with --ca, instead of --dir; only with a password
    #[arg(long, value_name = "HOST:PORT", requires = "ca", help_heading = "Which pipeline")]
    submissions: Option<String>,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// Who sends to whom.
#[derive(Debug)]
struct Envelope {
    from: Address,
    to: Vec<Address>,
}

/// Sends.
pub(crate) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let source = source(&arguments).await?;
    let user = arguments.user.unwrap_or_else(|| arguments.from.to_string());
    let envelope = Envelope { from: arguments.from, to: arguments.to };
    let Some(given) = arguments.password.as_deref() else {
        let pipeline = Pipeline::find(&arguments.pipeline)?;
        console.print(by_grpc::send(&pipeline, &envelope, source).await?);
        return Ok(());
    };
    let password = if given == "-" { secrets::ask_for(&user)? } else { given.to_owned() };
    let server = submissions(arguments.submissions, &arguments.pipeline)?;
    let sent = by_smtp::send(&server, by_smtp::Login { user, password }, &envelope, source).await?;
    console.print(&sent.id);
    match sent.refused.first() {
        None => Ok(()),
        Some((recipient, why)) => {
            let others = sent.refused.len() - 1;
            let others = if others == 0 { String::new() } else { format!(" and {others} more") };
            Err(Failure::new(format!("the message did not go to {recipient}{others}"), why))
        }
    }
}

async fn source(arguments: &Arguments) -> Result<Source, Failure> {
    match arguments.file.as_deref() {
        Some("-") => Source::stdin().explain(|| "cannot read standard input".to_owned()),
        Some(file) => Source::file(file).await.explain(|| format!("cannot read {file}")),
        None => {
            let subject = arguments.subject.as_deref().unwrap_or_default();
            let body = arguments.body.as_deref().unwrap_or_default();
            Ok(Source::bytes(compose::message(&arguments.from, &arguments.to, subject, body)))
        }
    }
}

/// Where SMTP goes, and whom to trust there.
fn submissions(address: Option<String>, arguments: &pipeline::Arguments) -> Result<by_smtp::Server, Failure> {
    if let (Some(address), Some(ca)) = (address, arguments.ca()) {
        return Ok(by_smtp::Server { address, ca: ca.to_owned() });
    }
    let pipeline = Pipeline::find(arguments)?;
    let address = pipeline.submissions.map(|address: SocketAddr| address.to_string()).ok_or_else(|| {
        Failure::new("cannot submit by SMTP", "the MSA's listener is not known")
            .advise("give --submissions HOST:PORT")
    })?;
    Ok(by_smtp::Server { address, ca: pipeline.credentials.ca })
}
