//! One connection to the host.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{Fault, Host, How, Offers, Received, Script, Step};

/// How long a reply that drips takes from octet to octet.
const DRIP: Duration = Duration::from_millis(400);
/// How long a host that sips pauses.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Conversation {
    stream: BufReader<TcpStream>,
    /// Its place among the connections.
    number: usize,
    script: Script,
    host: Arc<Host>,
    transaction: Transaction,
    mails: usize,
    /// Messages that were answered.
    answered: usize,
}

#[derive(Default)]
struct Transaction {
    has_begun: bool,
    message: Received,
    recipients: usize,
    chunks: usize,
    /// A chunk was refused: there is no more to say until RSET (RFC 3030 §2).
    is_broken: bool,
}

/// What becomes of the conversation behind a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It goes on, with consent.
    Yes,
    /// It goes on, without.
    No,
    Over,
}

impl Conversation {
    pub(super) fn new(stream: TcpStream, number: usize, script: Script, host: Arc<Host>) -> Self {
        let stream = BufReader::new(stream);
        Self { stream, number, script, host, transaction: Transaction::default(), mails: 0, answered: 0 }
    }

    /// Until one side ends it.
    pub(super) async fn hold(mut self) -> io::Result<()> {
        if self.reply(Step::Greeting, "220 mx.test ESMTP").await? == Then::Over {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await? == 0
                || self.command(line.trim_end()).await? == Then::Over
            {
                return Ok(());
            }
        }
    }

    async fn command(&mut self, line: &str) -> io::Result<Then> {
        let path = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        match line.split([' ', ':']).next().unwrap_or_default().to_uppercase().as_str() {
            "EHLO" => self.step("EHLO", Step::Hello, &self.hello()).await,
            "HELO" => self.step("HELO", Step::Hello, "250 mx.test").await,
            "STARTTLS" => match self.step("STARTTLS", Step::StartTls, "220 go ahead").await? {
                // Only ever with a fault: this host knows no TLS.
                Then::Yes => self.reply(Step::Handshake, "").await,
                then => Ok(then),
            },
            "RSET" => {
                self.transaction = Transaction::default();
                self.note("RSET");
                self.say("250 2.0.0 ok").await
            }
            "MAIL" => self.mail(path()).await,
            "RCPT" if !self.transaction.has_begun => self.say("503 5.5.1 MAIL first").await,
            "RCPT" => self.rcpt(path()).await,
            "DATA" if self.transaction.message.to.is_empty() => {
                self.say("554 5.5.1 no valid recipients").await
            }
            "DATA" => self.data().await,
            "BDAT" => self.chunk(line).await,
            "QUIT" => {
                self.say("221 2.0.0 bye").await?;
                Ok(Then::Over)
            }
            _ => self.say("502 5.5.2 what").await,
        }
    }

    fn hello(&self) -> String {
        let tls = matches!(self.script.fault, Some(Fault { at: Step::StartTls | Step::Handshake, .. }));
        let extensions = match self.script.offers {
            Offers::Nothing => "250 8BITMIME",
            Offers::Pipelining => "250-PIPELINING\r\n250 8BITMIME",
            Offers::Chunking => "250-PIPELINING\r\n250-CHUNKING\r\n250 8BITMIME",
            Offers::Ascii => "250 PIPELINING",
        };
        let tls = if tls { "250-STARTTLS\r\n" } else { "" };
        format!("250-mx.test\r\n{tls}{extensions}")
    }

    async fn mail(&mut self, from: String) -> io::Result<Then> {
        self.mails += 1;
        if self.script.one_message && self.mails > 1 {
            self.say("421 4.3.2 one message a connection").await?;
            return Ok(Then::Over);
        }
        let then = self.step("MAIL", Step::Mail, "250 2.1.0 ok").await?;
        if then == Then::Yes {
            let message = Received { from, ..Received::default() };
            self.transaction = Transaction { has_begun: true, message, ..Transaction::default() };
        }
        Ok(then)
    }

    /// A recipient whose name is a code is refused with it.
    async fn rcpt(&mut self, to: String) -> io::Result<Then> {
        let name = to.split('@').next().unwrap_or_default();
        let reply = match name {
            "later" => "450 4.2.1 not now".to_owned(),
            name if name.starts_with("unknown") => "550 5.1.1 no such user".to_owned(),
            name if name.len() == 3 && name.parse::<u16>().is_ok() => format!("{name} as asked"),
            _ => "250 2.1.5 ok".to_owned(),
        };
        let step = Step::Rcpt(self.transaction.recipients);
        self.transaction.recipients += 1;
        let then = self.step("RCPT", step, &reply).await?;
        if then == Then::Yes {
            self.transaction.message.to.push(to);
        }
        Ok(then)
    }

    async fn data(&mut self) -> io::Result<Then> {
        match self.reply(Step::Data, "354 go on").await? {
            Then::Yes => {}
            then => return Ok(then),
        }
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await? == 0 {
                return Ok(Then::Over);
            }
            if line == ".\r\n" {
                return self.end().await;
            }
            self.transaction.message.body += &line;
            if self.is_faulty(Step::Body) {
                return self.reply(Step::Body, "").await;
            }
        }
    }

    async fn chunk(&mut self, line: &str) -> io::Result<Then> {
        let mut words = line.split(' ').skip(1);
        let mut chunk = vec![0; words.next().unwrap_or_default().parse().unwrap()];
        self.stream.read_exact(&mut chunk).await?;
        let transaction = &mut self.transaction;
        if transaction.message.to.is_empty() || transaction.is_broken {
            return self.say("503 5.5.1 no valid recipients, or the transaction is broken").await;
        }
        transaction.message.body += std::str::from_utf8(&chunk).unwrap();
        transaction.chunks += 1;
        let is_first = transaction.chunks == 1;
        let is_last = words.next() == Some("LAST");
        if is_first && self.is_faulty(Step::Chunk) {
            let then = self.reply(Step::Chunk, "250 2.0.0 a chunk").await?;
            self.transaction.is_broken = then == Then::No;
            return Ok(then);
        }
        if is_last { self.end().await } else { self.reply(Step::Chunk, "250 2.0.0 a chunk").await }
    }

    /// All of the message is here.
    async fn end(&mut self) -> io::Result<Then> {
        self.note(".");
        let Transaction { message, .. } = std::mem::take(&mut self.transaction);
        self.host.take(message, self.script.slow).await;
        let then = self.reply(Step::End, "250 2.0.0 taken").await?;
        self.answered += 1;
        Ok(then)
    }

    /// Replies to a command; notes it if that is consent.
    async fn step(&mut self, command: &'static str, at: Step, right: &str) -> io::Result<Then> {
        let then = self.reply(at, right).await?;
        if then == Then::Yes {
            self.note(command);
        }
        Ok(then)
    }

    fn note(&self, step: &'static str) {
        self.host.heard.lock()[self.number].push(step);
    }

    fn is_faulty(&self, at: Step) -> bool {
        self.script.fault.is_some_and(|fault| fault.at == at) && self.answered >= self.script.spares
    }

    /// The right reply, or what the script has in its place.
    async fn reply(&mut self, at: Step, right: &str) -> io::Result<Then> {
        let fault = if self.is_faulty(at) { self.script.fault.take() } else { None };
        let Some(Fault { how, .. }) = fault else {
            self.say(right).await?;
            return Ok(consent(at, right));
        };
        match how {
            How::Says(octets) => {
                self.stream.write_all(octets.as_bytes()).await?;
                return Ok(consent(at, octets));
            }
            How::Ends(octets) => {
                self.stream.write_all(octets.as_bytes()).await?;
                self.stream.shutdown().await?;
                self.wait_until_client_goes().await?;
            }
            How::Resets => self.stream.get_ref().set_zero_linger()?,
            How::Late => {
                self.wait_until_client_goes().await?;
                self.say(right).await?;
            }
            How::Drips => {
                for octet in format!("{right}\r\n").bytes() {
                    self.stream.write_all(&[octet]).await?;
                    tokio::time::sleep(DRIP).await;
                }
                return Ok(consent(at, right));
            }
            How::Endless => loop {
                self.stream.write_all(b"250-and so on\r\n").await?;
            },
            How::Sips(octets) => {
                let mut sip = vec![0; octets];
                while self.stream.get_mut().read(&mut sip).await? > 0 {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        Ok(Then::Over)
    }

    async fn say(&mut self, reply: &str) -> io::Result<Then> {
        self.stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        Ok(Then::No)
    }

    /// Whatever it still says is not heard: so that what was said to it before is not lost on the way.
    async fn wait_until_client_goes(&mut self) -> io::Result<()> {
        tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await?;
        Ok(())
    }
}

fn consent(at: Step, reply: &str) -> Then {
    let code = match at {
        Step::Greeting | Step::StartTls => "220",
        Step::Data => "354",
        _ => "250",
    };
    if reply.lines().all(|line| line.starts_with(code)) { Then::Yes } else { Then::No }
}
