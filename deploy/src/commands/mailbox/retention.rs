//! `waypost mailbox retention`.

use std::str::FromStr;

use proto::mda::SetRetentionRequest;
use service::config::HumanDuration;

use super::mailboxes;
use crate::console::Console;
use crate::failure::Failure;
use crate::pipeline::{self, Pipeline, status};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waypost mailbox retention alice@example.test Trash 30d
  waypost mailbox retention alice@example.test Trash forever
  waypost mailbox retention alice@example.test Trash default     what the mda's configuration says for its use

A message goes so long after it came into the mailbox, and can be brought back for a while (`waypost mailbox undelete`).")]
pub(super) struct Arguments {
    /// The account's address
    account: String,
    /// The mailbox's name, levels parted by `/`
    mailbox: String,
    /// How long messages stay: a time such as `30d`, `forever`, or `default`
    keep: Keep,
    #[command(flatten)]
    pipeline: pipeline::Arguments,
}

/// How long messages stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Default,
    Forever,
    For(HumanDuration),
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            "forever" => Ok(Self::Forever),
            text => match text.parse::<HumanDuration>() {
                Ok(keep) if keep.as_secs() > 0 => Ok(Self::For(keep)),
                Ok(_) => Err("that is no time: say `forever` or `default`".to_owned()),
                Err(error) => Err(error.to_string()),
            },
        }
    }
}

pub(super) async fn run(arguments: Arguments, console: Console) -> Result<(), Failure> {
    let pipeline = Pipeline::find(&arguments.pipeline)?;
    let Arguments { account, mailbox, keep, .. } = arguments;
    let what = format!("cannot say how long messages stay in {mailbox} of {account}");
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let keep = match keep {
        Keep::Default => None,
        Keep::Forever => seconds(0),
        Keep::For(keep) => seconds(i64::try_from(keep.as_secs()).unwrap_or(i64::MAX)),
    };
    let request = SetRetentionRequest { account, mailbox: mailbox.clone(), keep };
    mailboxes(&pipeline).await?.set_retention(request).await.map_err(|error| status(what, &error))?;
    console.note(format_args!("{mailbox} has a new retention"));
    Ok(())
}
