//! One message: MAIL, RCPT for each recipient, and the message by DATA or BDAT (RFC 5321 §3.3).

use std::collections::VecDeque;
use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use message::{Address, ReversePath};

use super::{Failure, Options, Outcome, Stage};
use crate::data::Encoder;
use crate::extensions::Extensions;
use crate::parameters::{BodyType, DsnReturn, Mail, Rcpt};
use crate::reply::Reply;
use crate::xtext;

/// Commands that are sent ahead of their replies at most, so that both sides never wait for each other to read
/// (RFC 2920 §3.1).
const MAX_AHEAD: usize = 100;

/// A message's envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The sender, and what the message needs. `body` is [`BodyType::EightBitMime`] only if the message truly holds
    /// octets above 127, for a server without 8BITMIME then cannot have it.
    pub mail: Mail,
    /// The recipients.
    pub recipients: Vec<Rcpt>,
}

/// A transaction that is under way.
#[derive(Debug)]
pub(super) struct Transaction {
    /// Commands that have yet to be sent.
    commands: VecDeque<(String, Expected)>,
    /// What replies are to come, in their order.
    expected: VecDeque<Expected>,
    /// `None` for a recipient as long as the message may still reach it.
    outcomes: Vec<Option<Outcome>>,
    /// Recipients that the server has accepted.
    accepted: usize,
    message: Message,
    /// Why the session ends with this transaction.
    failure: Option<Failure>,
    /// The server has answered the end of the message, and so ended the transaction too.
    ended: bool,
}

/// The reply to what is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
    Chunk,
    End,
}

impl Expected {
    fn stage(self) -> Stage {
        match self {
            Self::Reset => Stage::Reset,
            Self::Mail => Stage::Mail,
            Self::Rcpt(_) => Stage::Rcpt,
            Self::Data => Stage::Data,
            Self::Chunk => Stage::Body,
            Self::End => Stage::End,
        }
    }
}

/// How far the message has come.
#[derive(Debug)]
enum Message {
    /// DATA must be answered first.
    Data,
    /// The recipients must be answered first, then it goes by BDAT.
    Bdat,
    Sending(Framing),
    /// DATA was sent ahead of the replies to RCPT, the server takes the message, but for nobody: an empty one it is.
    Vain,
    /// All of it is sent, or none of it will be.
    Over,
}

#[derive(Debug)]
enum Framing {
    Data(Encoder),
    Bdat,
}

/// What a transaction came to.
pub(super) struct End {
    pub(super) outcomes: Vec<Outcome>,
    /// Why the session is over too.
    pub(super) failure: Option<Failure>,
    pub(super) needs_reset: bool,
}

impl Transaction {
    pub(super) fn new(
        envelope: &Envelope,
        extensions: &Extensions,
        options: &Options,
        tls: bool,
        needs_reset: bool,
    ) -> Result<Self, Failure> {
        check(&envelope.mail, extensions, tls)?;
        let binary = envelope.mail.body == BodyType::BinaryMime;
        let chunking = (options.chunking || binary) && extensions.chunking && extensions.pipelining;
        let mut transaction = Self {
            commands: VecDeque::with_capacity(envelope.recipients.len() + 3),
            expected: VecDeque::new(),
            outcomes: Vec::with_capacity(envelope.recipients.len()),
            accepted: 0,
            message: if chunking { Message::Bdat } else { Message::Data },
            failure: None,
            ended: false,
        };
        if needs_reset {
            transaction.commands.push_back(("RSET\r\n".into(), Expected::Reset));
        }
        let mail = mail_command(envelope, extensions)?;
        transaction.commands.push_back((mail, Expected::Mail));
        transaction.add_recipients(&envelope.recipients, extensions);
        if !chunking {
            transaction.commands.push_back(("DATA\r\n".into(), Expected::Data));
        }
        Ok(transaction)
    }

    fn add_recipients(&mut self, recipients: &[Rcpt], extensions: &Extensions) {
        let limit = extensions.limits.rcpt.map_or(usize::MAX, |limit| limit as usize);
        let mut sent = 0;
        for (index, rcpt) in recipients.iter().enumerate() {
            let outcome = match rcpt_command(rcpt, extensions) {
                Err(reply) => Some(Outcome::Permanent(Failure::local(Stage::Rcpt, reply))),
                Ok(_) if sent == limit => Some(Outcome::Transient(Failure::local(Stage::Rcpt, OVER_LIMIT))),
                Ok(command) => {
                    self.commands.push_back((command, Expected::Rcpt(index)));
                    sent += 1;
                    None
                }
            };
            self.outcomes.push(outcome);
        }
        if sent == 0 {
            self.skip_message();
        }
    }

    /// Sends the commands whose time has come.
    pub(super) fn fill(&mut self, output: &mut BytesMut, pipelining: bool) {
        if matches!(self.message, Message::Vain) {
            self.message = Message::Sending(Framing::Data(Encoder::default()));
            self.finish(output);
        }
        let ahead = if pipelining { MAX_AHEAD } else { 1 };
        while self.expected.len() < ahead {
            let Some((command, expected)) = self.commands.pop_front() else { break };
            // Sent ahead of the replies to RCPT, DATA may be vain; behind them there is no need for that.
            if expected == Expected::Data && self.expected.is_empty() && self.accepted == 0 {
                self.skip_message();
                break;
            }
            output.extend_from_slice(command.as_bytes());
            self.expected.push_back(expected);
        }
    }

    /// Whether the server is ready for more of the message.
    pub(super) fn wants_message(&self) -> bool {
        match self.message {
            Message::Sending(Framing::Data(_)) => true,
            Message::Sending(Framing::Bdat) => self.expected.len() < MAX_AHEAD,
            _ => false,
        }
    }

    pub(super) fn send(&mut self, content: &[u8], output: &mut BytesMut) {
        match &mut self.message {
            Message::Sending(Framing::Data(encoder)) => encoder.encode(content, output),
            Message::Sending(Framing::Bdat) if !content.is_empty() => {
                output.extend_from_slice(format!("BDAT {}\r\n", content.len()).as_bytes());
                output.extend_from_slice(content);
                self.expected.push_back(Expected::Chunk);
            }
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, output: &mut BytesMut) {
        match std::mem::replace(&mut self.message, Message::Over) {
            Message::Sending(Framing::Data(encoder)) => encoder.finish(output),
            Message::Sending(Framing::Bdat) => output.put_slice(b"BDAT 0 LAST\r\n"),
            other => {
                self.message = other;
                return;
            }
        }
        self.expected.push_back(Expected::End);
    }

    /// What is waited for.
    pub(super) fn stage(&self) -> Stage {
        match self.expected.front() {
            Some(expected) => expected.stage(),
            None if self.wants_message() => Stage::Body,
            None => Stage::Mail,
        }
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        let Some(expected) = self.expected.pop_front() else {
            self.unsolicited(reply);
            return;
        };
        let stage = expected.stage();
        if reply.code == 421 {
            self.over(Failure::from_peer(stage, reply));
            return;
        }
        match expected {
            Expected::Reset if reply.is_positive() => {}
            Expected::Reset => self.over(Failure::from_peer(stage, reply)),
            Expected::Mail => self.mail_reply(reply),
            Expected::Rcpt(index) => self.rcpt_reply(index, reply),
            Expected::Data if reply.is_intermediate() => self.begin_message(),
            Expected::Data | Expected::Chunk if is_refusal(&reply) => {
                self.fail(&Failure::from_peer(stage, reply));
                self.skip_message();
            }
            Expected::Chunk if reply.is_positive() => {}
            Expected::End if reply.is_positive() => self.delivered(&reply),
            Expected::End if is_refusal(&reply) => {
                self.ended = true;
                self.fail(&Failure::from_peer(stage, reply));
            }
            Expected::Data | Expected::Chunk | Expected::End => {
                self.over(Failure::local(stage, out_of_step(&reply)));
            }
        }
        if matches!(self.message, Message::Bdat) && self.expected.is_empty() && self.commands.is_empty() {
            self.message = if self.accepted > 0 { Message::Sending(Framing::Bdat) } else { Message::Over };
        }
    }

    /// In the middle of a message by DATA: nobody asked, but it tells what is coming. The message cannot be ended without
    /// being sent, so the session ends.
    fn unsolicited(&mut self, reply: Reply) {
        if !is_refusal(&reply) {
            self.over(Failure::local(Stage::Body, out_of_step(&reply)));
            return;
        }
        let failure = Failure::from_peer(Stage::Body, reply);
        // 421 is about the session, any other refusal about the message: what will never be taken is not tried again.
        if failure.reply.code != 421 {
            self.fail(&failure);
        }
        self.over(failure);
    }

    fn mail_reply(&mut self, reply: Reply) {
        if reply.is_positive() {
            return;
        }
        if is_refusal(&reply) {
            self.fail(&Failure::from_peer(Stage::Mail, reply));
            self.skip_message();
        } else {
            self.over(Failure::local(Stage::Mail, out_of_step(&reply)));
        }
    }

    fn rcpt_reply(&mut self, index: usize, reply: Reply) {
        // Whatever it says, if MAIL has failed then this is its consequence.
        let Some(outcome @ None) = self.outcomes.get_mut(index) else { return };
        if reply.is_positive() {
            self.accepted += 1;
        } else if is_refusal(&reply) {
            // RFC 5321 §4.5.3.1.10: some say 552 for too many recipients, and mean 452.
            let transient = reply.is_transient() || reply.code == 552;
            let failure = Failure::from_peer(Stage::Rcpt, reply);
            *outcome =
                Some(if transient { Outcome::Transient(failure) } else { Outcome::Permanent(failure) });
        } else {
            self.over(Failure::local(Stage::Rcpt, out_of_step(&reply)));
        }
    }

    /// DATA was answered with leave to send.
    fn begin_message(&mut self) {
        let framing = Framing::Data(Encoder::default());
        self.message = if self.accepted > 0 { Message::Sending(framing) } else { Message::Vain };
    }

    fn delivered(&mut self, reply: &Reply) {
        self.ended = true;
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            *outcome = Some(Outcome::Delivered(reply.clone()));
        }
    }

    /// The message reaches nobody any more. What was accepted, was so in vain.
    fn fail(&mut self, failure: &Failure) {
        self.accepted = 0;
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            *outcome = Some(Outcome::from(failure.clone()));
        }
    }

    /// The message will not be sent. What was sent ahead is still answered.
    fn skip_message(&mut self) {
        self.message = Message::Over;
        self.commands.clear();
    }

    /// The connection is lost.
    pub(super) fn lost(&mut self, failure: Failure) {
        self.over(failure);
    }

    /// Session and transaction are over.
    fn over(&mut self, failure: Failure) {
        // Once the end of the message may have reached the server, so may the message have.
        let unknown = !self.ended && (failure.stage == Stage::End || self.expected.contains(&Expected::End));
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            let failure = failure.clone();
            *outcome = Some(if unknown { Outcome::Unknown(failure) } else { Outcome::Transient(failure) });
        }
        self.expected.clear();
        self.skip_message();
        self.failure = Some(failure);
    }

    /// What the transaction came to, once it has.
    pub(super) fn end(&mut self) -> Option<End> {
        let over =
            matches!(self.message, Message::Over) && self.expected.is_empty() && self.commands.is_empty();
        over.then(|| End {
            // None is left open at the end.
            outcomes: std::mem::take(&mut self.outcomes).into_iter().flatten().collect(),
            failure: self.failure.take(),
            needs_reset: !self.ended,
        })
    }
}

/// Whether the server offers what the message needs. Nothing that a sender asked for is dropped in silence.
///
/// REQUIRETLS holds only under TLS: in clear, the offer is a mistake or a trap (RFC 8689 §2).
fn check(mail: &Mail, extensions: &Extensions, tls: bool) -> Result<(), Failure> {
    let binary = extensions.binary_mime && extensions.chunking && extensions.pipelining;
    let reply = if mail.smtputf8 && !extensions.smtputf8 {
        Reply::fixed(550, 6, 7, "The message needs SMTPUTF8, which the next server does not offer")
    } else if mail.require_tls && !(tls && extensions.require_tls) {
        Reply::fixed(
            550,
            7,
            30,
            "The message needs REQUIRETLS, which the next server does not offer under TLS",
        )
    } else if mail.body == BodyType::EightBitMime && !extensions.eight_bit_mime {
        Reply::fixed(554, 6, 3, "The message needs 8BITMIME, which the next server does not offer")
    } else if mail.body == BodyType::BinaryMime && !binary {
        Reply::fixed(554, 6, 3, "The message needs BINARYMIME, which the next server does not offer")
    } else if extensions.size.is_some_and(|limit| limit > 0 && mail.size.is_some_and(|size| size > limit)) {
        Reply::fixed(552, 3, 4, "The message is larger than the next server takes")
    } else {
        return Ok(());
    };
    Err(Failure::local(Stage::Mail, reply))
}

fn mail_command(envelope: &Envelope, extensions: &Extensions) -> Result<String, Failure> {
    let mail = &envelope.mail;
    let mut command = String::with_capacity(100);
    let path = match &mail.reverse_path {
        ReversePath::Null => String::new(),
        ReversePath::Address(address) => {
            written(address, extensions).map_err(|reply| Failure::local(Stage::Mail, reply))?
        }
    };
    // Writing to a `String` cannot fail.
    let _ = write!(command, "MAIL FROM:<{path}>");
    if let (Some(size), Some(_)) = (mail.size, extensions.size) {
        let _ = write!(command, " SIZE={size}");
    }
    match mail.body {
        BodyType::EightBitMime => command.push_str(" BODY=8BITMIME"),
        BodyType::BinaryMime => command.push_str(" BODY=BINARYMIME"),
        BodyType::SevenBit => {}
    }
    let addresses =
        mail.reverse_path.address().into_iter().chain(envelope.recipients.iter().map(|rcpt| &rcpt.address));
    if extensions.smtputf8 && (mail.smtputf8 || !addresses.into_iter().all(Address::is_ascii)) {
        command.push_str(" SMTPUTF8");
    }
    if mail.require_tls {
        command.push_str(" REQUIRETLS");
    }
    if extensions.dsn {
        match mail.dsn_return {
            Some(DsnReturn::Full) => command.push_str(" RET=FULL"),
            Some(DsnReturn::Headers) => command.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(id) = &mail.envelope_id {
            let _ = write!(command, " ENVID={}", xtext::encode(id.as_bytes()));
        }
    }
    command.push_str("\r\n");
    Ok(command)
}

fn rcpt_command(rcpt: &Rcpt, extensions: &Extensions) -> Result<String, Reply> {
    let mut command = format!("RCPT TO:<{}>", written(&rcpt.address, extensions)?);
    if extensions.dsn {
        // Writing to a `String` cannot fail.
        if let Some(notify) = rcpt.notify {
            let _ = write!(command, " NOTIFY={notify}");
        }
        if let Some(original) = &rcpt.original_recipient {
            let _ = write!(command, " ORCPT={}", original.encode());
        }
    }
    command.push_str("\r\n");
    Ok(command)
}

/// The address as this server can read it (RFC 6531 §3.3): without SMTPUTF8 there is a form for the domain only.
fn written(address: &Address, extensions: &Extensions) -> Result<String, Reply> {
    if extensions.smtputf8 {
        return Ok(address.to_string());
    }
    address.to_ascii().map(|ascii| ascii.to_string()).ok_or(NEEDS_SMTPUTF8)
}

/// A reply that says no, now or for ever.
fn is_refusal(reply: &Reply) -> bool {
    reply.is_transient() || reply.is_permanent()
}

/// For a reply that cannot be one to what was said: nobody knows what the server means.
fn out_of_step(reply: &Reply) -> Reply {
    Reply::new(451, 5, 0, format!("The server is out of step: {reply}"))
}

const NEEDS_SMTPUTF8: Reply =
    Reply::fixed(553, 6, 7, "The address needs SMTPUTF8, which the next server does not offer");
const OVER_LIMIT: Reply = Reply::fixed(452, 5, 3, "The next server takes fewer recipients at once");
