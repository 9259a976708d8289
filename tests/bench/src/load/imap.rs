//! An IMAP client that is as lean as can be: it finds where answers end, and shows whoever asks what it passes over.

use std::io::Write as _;

use anyhow::{Context as _, bail, ensure};
use memchr::memmem;

use super::wire::{Door, Wire};
use super::{message, written};
use crate::system::PASSWORD;

/// What it reads at a time: answers are large.
const READ: usize = 256 << 10;
/// Messages that are put into a mailbox at a time, when it is filled.
const FILLED_AT_A_TIME: u64 = 200;

/// A session, logged in.
pub(crate) struct Imap {
    wire: Wire,
    tag: u64,
    command: Vec<u8>,
}

/// What a command brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Untagged responses with what was looked for.
    pub(crate) found: u64,
    /// Of literals.
    pub(crate) octets: u64,
}

/// A message to be appended, with the command around it made beforehand.
pub(crate) struct Append(Vec<u8>);

impl Append {
    /// The mailbox is an atom.
    pub(crate) fn new(mailbox: &str, message: &[u8]) -> Self {
        let command = format!("APPEND {mailbox} {{{}+}}\r\n", message.len());
        Self([command.as_bytes(), message].concat())
    }
}

impl Imap {
    /// Connects and logs in.
    pub(crate) async fn log_in(door: &Door, account: &str) -> anyhow::Result<Self> {
        let wire = door.connect().await.with_context(|| format!("cannot connect to {}", door.address))?;
        let mut imap = Self { wire, tag: 0, command: Vec::new() };
        let greeting = imap.wire.line().await?;
        ensure!(greeting.starts_with(b"* OK"), "the greeting was {}", String::from_utf8_lossy(greeting));
        imap.run(&format!("LOGIN {account} {PASSWORD}")).await?;
        Ok(imap)
    }

    /// Gets ready for large answers.
    pub(crate) fn expect_much(&mut self) {
        self.wire.read_at_a_time(READ);
    }

    /// A command of which only matters that it succeeds.
    pub(crate) async fn run(&mut self, command: &str) -> anyhow::Result<()> {
        self.visit(command, |_| {}).await?;
        Ok(())
    }

    /// A command; `found` are the untagged responses that contain `word`.
    pub(crate) async fn count(&mut self, command: &str, word: &str) -> anyhow::Result<Answer> {
        let (word, mut found) = (memmem::Finder::new(word), 0);
        let octets = self.visit(command, |line| found += u64::from(word.find(line).is_some())).await?;
        Ok(Answer { found, octets })
    }

    /// How many messages a SEARCH finds.
    pub(crate) async fn search(&mut self, criteria: &str) -> anyhow::Result<u64> {
        let mut found = 0;
        let count = |line: &[u8]| {
            if let Some(numbers) = line.strip_prefix(b"* SEARCH ") {
                found +=
                    numbers.split(|&octet| octet == b' ').filter(|number| !number.is_empty()).count() as u64;
            }
        };
        self.visit(&format!("SEARCH {criteria}"), count).await?;
        Ok(found)
    }

    /// The numbers that stand behind each of some words in the untagged responses, such as `UIDNEXT`.
    pub(crate) async fn numbers<const N: usize>(
        &mut self,
        command: &str,
        words: [&str; N],
    ) -> anyhow::Result<[u64; N]> {
        let mut numbers = [None; N];
        let find = |line: &[u8]| {
            for (number, word) in numbers.iter_mut().zip(words) {
                *number = number.or_else(|| number_behind(line, word));
            }
        };
        self.visit(command, find).await?;
        let mut found = [0; N];
        for (index, number) in numbers.into_iter().enumerate() {
            found[index] = number.with_context(|| format!("{command} told no {}", words[index]))?;
        }
        Ok(found)
    }

    /// Opens a mailbox: how many messages it has.
    pub(crate) async fn select(&mut self, command: &str) -> anyhow::Result<u64> {
        let mut exists = None;
        let find = |line: &[u8]| {
            if let Some(number) = line.strip_prefix(b"* ").and_then(|line| line.strip_suffix(b" EXISTS")) {
                exists = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
            }
        };
        self.visit(command, find).await?;
        exists.with_context(|| format!("{command} told no number of messages"))
    }

    /// Appends a message.
    pub(crate) async fn append(&mut self, append: &Append) -> anyhow::Result<()> {
        self.begin();
        self.command.extend(&append.0);
        self.end().await?;
        self.answer(|_| {}).await?;
        Ok(())
    }

    /// Makes a mailbox with messages 0 to `messages`, as many in a command as can be (RFC 3502), of the size that is wanted
    /// or of usual ones.
    pub(crate) async fn fill(
        &mut self,
        mailbox: &str,
        messages: u64,
        size: Option<usize>,
    ) -> anyhow::Result<()> {
        if mailbox != "INBOX" {
            self.run(&format!("CREATE {mailbox}")).await?;
        }
        let mut filled = 0;
        while filled < messages {
            self.begin();
            write!(self.command, "APPEND {mailbox}")?;
            for number in filled..messages.min(filled + FILLED_AT_A_TIME) {
                let (message, date) =
                    (message(number, size), written(number).strftime("%d-%b-%Y %H:%M:%S +0000"));
                write!(self.command, " \"{date}\" {{{}+}}\r\n", message.len())?;
                self.command.extend(message);
            }
            self.end().await?;
            self.answer(|_| {}).await?;
            filled += FILLED_AT_A_TIME;
        }
        Ok(())
    }

    /// Begins to wait for news of the mailbox.
    pub(crate) async fn idle(&mut self) -> anyhow::Result<()> {
        self.begin();
        self.command.extend(b"IDLE");
        self.end().await?;
        while !self.wire.line().await?.starts_with(b"+") {}
        Ok(())
    }

    /// Waits until it is told of a message.
    pub(crate) async fn told(&mut self) -> anyhow::Result<()> {
        while !self.wire.line().await?.ends_with(b" EXISTS") {}
        Ok(())
    }

    /// Ends the session.
    pub(crate) async fn log_out(mut self) -> anyhow::Result<()> {
        self.run("LOGOUT").await
    }

    /// A command, and each untagged response up to its first literal. Gives the octets of all literals.
    async fn visit(&mut self, command: &str, untagged: impl FnMut(&[u8])) -> anyhow::Result<u64> {
        self.begin();
        self.command.extend(command.as_bytes());
        self.end().await?;
        self.answer(untagged).await.with_context(|| format!("{command} failed"))
    }

    fn begin(&mut self) {
        self.tag += 1;
        self.command.clear();
        self.command.extend(format!("T{} ", self.tag).as_bytes());
    }

    async fn end(&mut self) -> anyhow::Result<()> {
        self.command.extend(b"\r\n");
        Ok(self.wire.send(&self.command).await?)
    }

    async fn answer(&mut self, mut untagged: impl FnMut(&[u8])) -> anyhow::Result<u64> {
        let tag = format!("T{} ", self.tag).into_bytes();
        let mut octets = 0;
        loop {
            let line = self.wire.line().await?;
            if let Some(status) = line.strip_prefix(&tag[..]) {
                if !status.starts_with(b"OK") {
                    bail!("{}", String::from_utf8_lossy(status));
                }
                return Ok(octets);
            }
            untagged(line);
            let mut literal = literal(line);
            while let Some(length) = literal {
                octets += length;
                self.wire.skip(length).await?;
                literal = self::literal(self.wire.line().await?);
            }
        }
    }
}

/// The length of the literal that follows a line (RFC 9051 §4.3).
fn literal(line: &[u8]) -> Option<u64> {
    let inside = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inside)?;
    std::str::from_utf8(&inside[open + 1..]).ok()?.parse().ok()
}

/// The number behind a word and a space.
fn number_behind(line: &[u8], word: &str) -> Option<u64> {
    let behind = &line[memmem::find(line, word.as_bytes())? + word.len()..];
    let digits = behind.strip_prefix(b" ")?;
    let digits = &digits[..digits.iter().take_while(|octet| octet.is_ascii_digit()).count()];
    std::str::from_utf8(digits).ok()?.parse().ok()
}
