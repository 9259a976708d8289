//! Reading a mailbox over IMAP, and wearing one out.

use std::io;
use std::path::Path;

use crate::Pipeline;
use crate::wire::{Wire, trust};

/// A message in an inbox, or the part of it that was asked for.
#[derive(Debug)]
pub struct Stored {
    /// Its number, for ever.
    pub uid: u32,
    /// Its octets.
    pub octets: Vec<u8>,
}

/// Reads an account's inbox from the message `first` on, one message after the other, and gives the inbox's
/// UIDVALIDITY. `part` is what is fetched, such as `BODY.PEEK[]`. An inbox without such messages gives its last one,
/// as IMAP has it.
///
/// # Errors
/// If the MDA goes away, or refuses: a store that is being opened or closed does so for a moment.
///
/// # Panics
/// If what the MDA says cannot be understood.
pub fn read_inbox(
    pipeline: &Pipeline,
    account: &str,
    first: u32,
    part: &str,
    mut visit: impl FnMut(Stored),
) -> io::Result<u32> {
    let mut wire = log_in(pipeline, account)?;
    let mut uid_validity = None;
    command(&mut wire, "EXAMINE INBOX", |_, line| {
        if let Some(value) = number_behind(line, "UIDVALIDITY ") {
            uid_validity = Some(value);
        }
        Ok(())
    })?;
    command(&mut wire, &format!("UID FETCH {first}:* (UID {part})"), |wire, line| {
        let Some(uid) = number_behind(line, "UID ") else { return Ok(()) };
        let length = number_behind(line, "{").unwrap_or_else(|| panic!("no literal: {line}"));
        visit(Stored { uid, octets: wire.octets(length as usize)? });
        // What closes the response.
        wire.line().map(drop)
    })?;
    Ok(uid_validity.expect("UIDVALIDITY"))
}

/// Puts `messages` of `octets` each into a mailbox of their own and expunges them again, so that the store has dead space
/// to give back.
///
/// # Errors
/// If the MDA goes away, or refuses.
pub fn churn(pipeline: &Pipeline, account: &str, messages: usize, octets: usize) -> io::Result<()> {
    let mut wire = log_in(pipeline, account)?;
    let quiet = |_: &mut Wire, _: &str| Ok(());
    // It may be there from before.
    let _ = command(&mut wire, "CREATE Churn", quiet);
    let line = format!("{:.>78}\r\n", "");
    let message = format!("Subject: churn\r\n\r\n{}", line.repeat(octets / line.len()));
    for _ in 0..messages {
        command(&mut wire, &format!("APPEND Churn {{{}+}}\r\n{message}", message.len()), quiet)?;
    }
    command(&mut wire, "SELECT Churn", quiet)?;
    command(&mut wire, "STORE 1:* +FLAGS.SILENT (\\Deleted)", quiet)?;
    command(&mut wire, "EXPUNGE", quiet)
}

fn log_in(pipeline: &Pipeline, account: &str) -> io::Result<Wire> {
    let tls = trust(Path::new(&pipeline.ca()));
    let mut wire = Wire::connect(pipeline.address("mda", "imaps"), Some(&tls))?;
    wire.line()?;
    command(&mut wire, &format!("LOGIN {account} secret"), |_, _| Ok(()))?;
    Ok(wire)
}

/// Sends a command and shows every untagged response, until the command is done.
fn command(
    wire: &mut Wire,
    command: &str,
    mut untagged: impl FnMut(&mut Wire, &str) -> io::Result<()>,
) -> io::Result<()> {
    wire.send(format!("a {command}\r\n").as_bytes())?;
    loop {
        let line = wire.line()?;
        if let Some(result) = line.strip_prefix("a ") {
            return if result.starts_with("OK") { Ok(()) } else { Err(io::Error::other(line)) };
        }
        untagged(wire, &line)?;
    }
}

fn number_behind(line: &str, what: &str) -> Option<u32> {
    let (_, behind) = line.split_once(what)?;
    let end = behind.find(|char: char| !char.is_ascii_digit()).unwrap_or(behind.len());
    behind[..end].parse().ok()
}
