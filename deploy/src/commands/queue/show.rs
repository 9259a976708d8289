//! `waypost queue show`: one waiting message.

use std::io::{self, Write as _};

use jiff::Timestamp;
use message::MessageId;
use proto::mta::{GetRequest, ReadRequest};
use tonic::Status;

use super::listing::{self, Waiting};
use super::nodes::Choice;
use crate::console::Console;
use crate::failure::{Explain, Failure};
use crate::pipeline::status;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost queue show 0193f0a5-7c1e-7b1a-9c55-0d1f6a3b2c4d
  waypost queue show 0193f0a5-7c1e-7b1a-9c55-0d1f6a3b2c4d --raw > message.eml")]
pub(super) struct Arguments {
    /// The message's id
    id: MessageId,
    /// Write the message itself, all its octets, and nothing else
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// The envelope and recipients as JSON, for programs; moments are in UTC
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    choice: Choice,
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let nodes = arguments.choice.find(console)?;
    let id = arguments.id.to_string();
    let (_, (message, mut octets)) = nodes
        .find_message(&id, async |queue| {
            let message = queue.client.get(GetRequest { message_id: id.clone() }).await?.into_inner();
            let request = ReadRequest { message_id: id.clone(), header_only: !arguments.raw };
            let octets = queue.client.read(request).await?.into_inner();
            Ok(tonic::Response::new((message, octets)))
        })
        .await?;
    if arguments.json {
        console.print_json(&Waiting::from(message));
        return Ok(());
    }
    if !arguments.raw {
        console.print_table(&listing::table(&[Waiting::from(message)], Timestamp::now()));
        console.print("");
    }
    let read = |error: Status| status(format!("cannot read {id}"), &error);
    while let Some(piece) = octets.message().await.map_err(read)? {
        if arguments.raw {
            io::stdout().write_all(&piece.data).explain(|| "cannot write the message".to_owned())?;
        } else {
            let text = String::from_utf8_lossy(&piece.data).into_owned();
            text.lines().for_each(|line| console.print(crate::console::clean(line)));
        }
    }
    Ok(())
}
