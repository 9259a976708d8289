//! Mail going in: as another MTA sends it, or as a mail program submits it.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::try_join_all;

use super::message::Contents;
use super::wire::{Door, Wire};
use super::{Amount, Outcome, run};
use crate::system::{PASSWORD, account};

/// Connections that are opened at a time before a load begins: a server may hold only some that it has not taken yet.
const OPENED_AT_ONCE: usize = 50;

/// A load of mail, a recipient a message.
pub(crate) struct Plan {
    pub(crate) door: Door,
    /// Every session logs in and sends as one of so many accounts; 0 if none does.
    pub(crate) log_in_as: u32,
    pub(crate) to: To,
    /// Sessions at a time.
    pub(crate) sessions: usize,
    /// Messages that a connection carries. If it is more than one, the first connections are open before the load begins.
    pub(crate) per_connection: u64,
    /// Octets of a message.
    pub(crate) size: usize,
    pub(crate) amount: Amount,
    /// Messages a second; without, each session sends its next message at once.
    pub(crate) pace: Option<f64>,
}

/// Who gets the mail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    /// So many accounts from this one on, in turns.
    Accounts { first: u32, count: u32 },
    /// As many people elsewhere as there are messages.
    Elsewhere,
}

/// A load that can begin at once.
pub(crate) struct Ready<'a> {
    plan: &'a Plan,
    contents: Contents,
    sessions: Vec<Session>,
}

struct Session {
    /// Whom it logs in as.
    account: Option<String>,
    /// Its connection, with how many messages went over it.
    open: Option<(Client, u64)>,
}

impl Plan {
    /// Makes all that is needed for the load to begin.
    pub(crate) async fn prepare(&self) -> anyhow::Result<Ready<'_>> {
        let open = async |number: u32| {
            let mut session =
                Session { account: number.checked_rem(self.log_in_as).map(account), open: None };
            if self.per_connection > 1 {
                session.open(&self.door).await?;
            }
            anyhow::Ok(session)
        };
        let mut sessions = Vec::with_capacity(self.sessions);
        while sessions.len() < self.sessions {
            let first = sessions.len();
            let some = first..self.sessions.min(first + OPENED_AT_ONCE);
            sessions.extend(try_join_all(some.map(|number| open(number as u32))).await?);
        }
        Ok(Ready { plan: self, contents: Contents::new(self.size), sessions })
    }
}

impl Ready<'_> {
    /// Sends it all. What comes back is what was acknowledged: the load fails with the first message that is not.
    pub(crate) async fn run(mut self) -> anyhow::Result<Outcome> {
        let Plan { amount, pace, .. } = self.plan;
        let sent = run(&mut self.sessions, *amount, *pace, async |session, number| {
            let content = self.contents.of(number);
            session.send(self.plan, number, content).await?;
            Ok(content.len() as u64)
        });
        let sent = sent.await.context("while mail was sent")?;
        let open = self.sessions.into_iter().filter_map(|session| session.open);
        try_join_all(open.map(|(client, _)| client.quit())).await?;
        Ok(sent)
    }
}

impl Session {
    async fn send(&mut self, plan: &Plan, number: u64, content: &[u8]) -> anyhow::Result<()> {
        if self.open.is_none() {
            self.open(&plan.door).await?;
        }
        let sender = self.account.as_deref().unwrap_or("sender@elsewhere.test");
        let Some((client, carried)) = &mut self.open else { return Ok(()) };
        client.send(sender, plan.to, number, content).await?;
        *carried += 1;
        if *carried >= plan.per_connection
            && let Some((client, _)) = self.open.take()
        {
            client.quit().await?;
        }
        Ok(())
    }

    async fn open(&mut self, door: &Door) -> anyhow::Result<()> {
        self.open = Some((Client::open(door, self.account.as_deref()).await?, 0));
        Ok(())
    }
}

/// A session with a server.
struct Client {
    wire: Wire,
    /// Whether commands may go out together (RFC 2920).
    pipelining: bool,
    commands: Vec<u8>,
}

impl Client {
    /// Connects, and logs in if there is an account.
    async fn open(door: &Door, account: Option<&str>) -> anyhow::Result<Self> {
        let wire = door.connect().await.with_context(|| format!("cannot connect to {}", door.address))?;
        let mut client = Self { wire, pipelining: false, commands: Vec::new() };
        client.expect("connecting", 220).await?;
        client.wire.send(b"EHLO client.test\r\n").await?;
        client.pipelining = client.expect("EHLO", 250).await?;
        if let Some(account) = account {
            let credentials = BASE64_STANDARD.encode(format!("\0{account}\0{PASSWORD}"));
            client.wire.send(format!("AUTH PLAIN {credentials}\r\n").as_bytes()).await?;
            client.expect("AUTH", 235).await?;
        }
        Ok(client)
    }

    /// Sends a message, with the line that ends it in `content`.
    async fn send(&mut self, from: &str, to: To, number: u64, content: &[u8]) -> anyhow::Result<()> {
        self.commands.clear();
        write!(self.commands, "MAIL FROM:<{from}>\r\n")?;
        self.step("MAIL", 250).await?;
        match to {
            To::Accounts { first, count } => {
                let number = u64::from(first) + number % u64::from(count);
                write!(self.commands, "RCPT TO:<u{number:04}@example.test>\r\n")?;
            }
            To::Elsewhere => write!(self.commands, "RCPT TO:<u{number}@relay.test>\r\n")?,
        }
        self.step("RCPT", 250).await?;
        self.commands.extend(b"DATA\r\n");
        self.wire.send(&self.commands).await?;
        if self.pipelining {
            self.expect("MAIL", 250).await?;
            self.expect("RCPT", 250).await?;
        }
        self.expect("DATA", 354).await?;
        self.wire.send(content).await?;
        self.expect("the message", 250).await?;
        Ok(())
    }

    async fn quit(mut self) -> anyhow::Result<()> {
        self.wire.send(b"QUIT\r\n").await?;
        self.expect("QUIT", 221).await?;
        Ok(())
    }

    /// Sends a command and awaits its reply, unless it can go with the next one.
    async fn step(&mut self, what: &str, code: u16) -> anyhow::Result<()> {
        if !self.pipelining {
            self.wire.send(&self.commands).await?;
            self.commands.clear();
            self.expect(what, code).await?;
        }
        Ok(())
    }

    /// Awaits the reply with this code, and tells whether a line of it says PIPELINING.
    async fn expect(&mut self, what: &str, code: u16) -> anyhow::Result<bool> {
        let mut pipelining = false;
        loop {
            let line = self.wire.line().await.with_context(|| format!("no reply to {what}"))?;
            let said = line.get(..3).and_then(|said| std::str::from_utf8(said).ok()?.parse().ok());
            if said != Some(code) {
                bail!("the reply to {what} was {}", String::from_utf8_lossy(line));
            }
            pipelining |= line.get(4..) == Some(b"PIPELINING");
            if line.get(3) != Some(&b'-') {
                return Ok(pipelining);
            }
        }
    }
}
