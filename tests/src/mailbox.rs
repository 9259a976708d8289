//! Reading a mailbox over IMAP, and wearing one out.

use std::io;

use crate::Pipeline;
use crate::wire::Wire;

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
    visit: impl FnMut(Stored),
) -> io::Result<u32> {
    read_some(pipeline, account, &format!("{first}:*"), part, visit)
}

/// Likewise of the messages with these UIDs, such as `7`.
pub(crate) fn read_some(
    pipeline: &Pipeline,
    account: &str,
    uids: &str,
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
    command(&mut wire, &format!("UID FETCH {uids} (UID {part})"), |wire, line| {
        if let Some(stored) = stored(wire, line)? {
            visit(stored);
        }
        Ok(())
    })?;
    Ok(uid_validity.expect("UIDVALIDITY"))
}

/// The UIDs of all messages in an account's inbox, also of those that cannot be read.
pub(crate) fn uids(pipeline: &Pipeline, account: &str) -> io::Result<Vec<u32>> {
    let mut wire = log_in(pipeline, account)?;
    let mut uids = Vec::new();
    command(&mut wire, "EXAMINE INBOX", |_, _| Ok(()))?;
    command(&mut wire, "UID SEARCH ALL", |_, line| {
        let numbers = line.strip_prefix("* SEARCH").unwrap_or_default();
        uids.extend(numbers.split(' ').filter_map(|number| number.parse::<u32>().ok()));
        Ok(())
    })?;
    Ok(uids)
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
    let mut wire = Wire::connect(pipeline.address("mda", "imaps"), Some(&pipeline.tls()))?;
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

/// Reads all that is in an account's inbox, and expunges it.
///
/// # Errors
/// If the MDA goes away, or refuses.
pub(crate) fn take_inbox(
    pipeline: &Pipeline,
    account: &str,
    mut visit: impl FnMut(Stored),
) -> io::Result<()> {
    let mut wire = log_in(pipeline, account)?;
    let quiet = |_: &mut Wire, _: &str| Ok(());
    let mut last = None;
    command(&mut wire, "SELECT INBOX", quiet)?;
    command(&mut wire, "UID FETCH 1:* (UID BODY.PEEK[])", |wire, line| {
        let Some(stored) = stored(wire, line)? else { return Ok(()) };
        last = last.max(Some(stored.uid));
        visit(stored);
        Ok(())
    })?;
    let Some(last) = last else { return Ok(()) };
    command(&mut wire, &format!("UID STORE 1:{last} +FLAGS.SILENT (\\Deleted)"), quiet)?;
    command(&mut wire, &format!("UID EXPUNGE 1:{last}"), quiet)
}

/// Reads all that is in an account's inbox over POP3.
///
/// # Errors
/// If the MDA goes away, or lets nobody log in.
pub fn read_by_pop3(pipeline: &Pipeline, account: &str) -> io::Result<()> {
    let mut wire = Wire::connect(pipeline.address("mda", "pop3s"), Some(&pipeline.tls()))?;
    wire.line()?;
    let mut ask = |command: &str| {
        wire.send(format!("{command}\r\n").as_bytes())?;
        let answer = wire.line()?;
        // A message that somebody else has expunged is refused, for example.
        let is_ok = answer.starts_with("+OK");
        if is_ok && command.starts_with("RETR") {
            while wire.line()? != "." {}
        }
        Ok::<_, io::Error>(is_ok.then_some(answer))
    };
    ask(&format!("USER {account}"))?;
    ask("PASS secret")?.ok_or_else(|| io::Error::other("nobody may log in"))?;
    let answer = ask("STAT")?.unwrap_or_default();
    let count: u32 = answer.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or(0);
    for number in 1..=count {
        ask(&format!("RETR {number}"))?;
    }
    ask("QUIT").map(drop)
}

/// The message of a response to FETCH, if it holds one.
fn stored(wire: &mut Wire, line: &str) -> io::Result<Option<Stored>> {
    let Some(uid) = number_behind(line, "UID ") else { return Ok(None) };
    let length = number_behind(line, "{").unwrap_or_else(|| panic!("no literal: {line}"));
    let octets = wire.octets(length as usize)?;
    // What closes the response.
    wire.line()?;
    Ok(Some(Stored { uid, octets }))
}

fn number_behind(line: &str, what: &str) -> Option<u32> {
    let (_, behind) = line.split_once(what)?;
    let end = behind.find(|char: char| !char.is_ascii_digit()).unwrap_or(behind.len());
    behind[..end].parse().ok()
}
