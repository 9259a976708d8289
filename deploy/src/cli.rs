//! The command line: its commands, and its errors as one line each.

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::commands::{account, alias, domain, events, mailbox, queue, send, service, store, trace, up};

const LONG_ABOUT: &str = "Waypost: a mail pipeline of three services.

The MSA takes mail from people and programs, the MTA queues and routes it, the MDA keeps it in mailboxes and serves \
IMAP and POP3. This command runs all three on this machine (`waypost up`) and asks and steers running ones.";

const EXAMPLES: &str = "Examples:
  waypost up                                         run the pipeline on this machine
  waypost account add carol@example.test             make an account; its password is printed
  waypost alias add info@example.test alice@example.test
  waypost send --from alice@example.test --to bob@example.test --subject Hello --body 'Hi Bob'
  waypost trace 0193f0a5-…                           what happened to that message
  waypost events --new                               what happens, as it happens
  waypost queue list                                 what waits

The commands other than `up` find the pipeline by --dir, or by addresses and certificates given to them.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "waypost", version, about = "Runs and steers a mail pipeline", long_about = LONG_ABOUT)]
#[command(after_help = EXAMPLES, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What `waypost` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole pipeline on this machine
    #[command(long_about = up::LONG_ABOUT)]
    Up(up::Arguments),
    /// Make, list and remove accounts, and set their passwords
    Account(account::Arguments),
    /// Make, list and remove aliases, lists and catch-alls
    Alias(alias::Arguments),
    /// Make domains local, list them, and set the quotas of their accounts
    Domain(domain::Arguments),
    /// Submit a message and print its id
    #[command(long_about = send::LONG_ABOUT)]
    Send(send::Arguments),
    /// Tell what happened to a message
    #[command(long_about = trace::LONG_ABOUT)]
    Trace(trace::Arguments),
    /// Tell what happens at the MTA nodes
    #[command(long_about = events::LONG_ABOUT)]
    Events(events::Arguments),
    /// Look into the queues of the MTA nodes
    Queue(queue::Arguments),
    /// Look into mailboxes
    Mailbox(mailbox::Arguments),
    /// Verify the mail store, and take backups of it
    Store(store::Arguments),
    /// Run one service; `waypost up` starts its services so
    #[command(hide = true)]
    Service(service::Arguments),
}

/// What clap has to say instead of a parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unparsed {
    /// What the user asked for: help or the version.
    Answer(String),
    /// Help that nobody asked for: the command line ends too early.
    Lesson(String),
    /// One line: what is wrong and where to read on.
    Wrong(String),
}

/// Sorts out what clap says.
pub(crate) fn explain(error: &clap::Error, colour: bool) -> Unparsed {
    let rendered = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Unparsed::Answer(if colour { rendered.ansi().to_string() } else { rendered.to_string() })
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Unparsed::Lesson(rendered.to_string()),
        _ => Unparsed::Wrong(one_line(&rendered.to_string())),
    }
}

/// clap says first what is wrong, then perhaps a tip, then the usage and that there is help.
fn one_line(rendered: &str) -> String {
    let text = rendered.strip_prefix("error: ").unwrap_or(rendered);
    let wrong = text.split("\n\n").next().unwrap_or_default();
    let wrong: Vec<&str> = wrong.split_whitespace().collect();
    format!("{} (--help tells more)", wrong.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn wrong(arguments: &[&str]) -> String {
        let error = CommandLine::try_parse_from(arguments).unwrap_err();
        match explain(&error, false) {
            Unparsed::Wrong(line) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn wrong_arguments_are_told_in_one_line() {
        assert_eq!(
            wrong(&["waypost", "up", "--port-offset", "x"]),
            "invalid value 'x' for '--port-offset <N>': invalid digit found in string (--help tells more)"
        );
        assert_eq!(
            wrong(&["waypost", "up", "--nope"]),
            "unexpected argument '--nope' found (--help tells more)"
        );
        assert_eq!(
            wrong(&["waypost", "send", "--from", "a@example.test", "--body", "x"]),
            "the following required arguments were not provided: --to <ADDRESS> (--help tells more)"
        );
    }

    #[test]
    fn help_is_an_answer() {
        let error = CommandLine::try_parse_from(["waypost", "up", "--help"]).unwrap_err();
        match explain(&error, false) {
            Unparsed::Answer(text) => assert!(text.contains("--mta-nodes"), "{text}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_command_and_every_option_is_described() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path} {}", argument.get_id());
            }
            command.get_subcommands().for_each(|command| check(command, &path));
        }
        check(&CommandLine::command(), "");
    }
}
