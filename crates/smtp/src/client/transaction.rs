//! One message: MAIL, RCPT for each recipient, and the message by DATA or BDAT (RFC 5321 §3.3).

use std::collections::VecDeque;
use std::fmt::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};
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
    /// Commands that may wait for their replies at a time.
    ahead: usize,
    message: Message,
    /// Why the session ends with this transaction.
    failure: Option<Failure>,
    /// The server has answered the end of the message, and so ended the transaction too.
    ended: bool,
    /// There is no message: whether the recipients would be accepted is all that is asked.
    probe: bool,
    /// A chunk was refused: what the server makes of the transaction then is unknown (RFC 3030 §2).
    indeterminate: bool,
}

/// The reply to what is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
    Chunk,
    LastChunk,
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
            Self::LastChunk | Self::End => Stage::End,
        }
    }
}

/// How far the message has come.
#[derive(Debug)]
enum Message {
    /// DATA must be answered first.
    Data,
    /// It goes by BDAT: this one as soon as the commands have gone, another one when the recipients were answered.
    Bdat(Option<Bytes>),
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
        let chunking = (options.chunking || binary) && extensions.chunking;
        let mut transaction = Self {
            commands: VecDeque::with_capacity(envelope.recipients.len() + 3),
            expected: VecDeque::new(),
            outcomes: Vec::with_capacity(envelope.recipients.len()),
            accepted: 0,
            ahead: if extensions.pipelining { MAX_AHEAD } else { 1 },
            message: if chunking { Message::Bdat(None) } else { Message::Data },
            failure: None,
            ended: false,
            probe: false,
            indeterminate: false,
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

    /// Makes a transaction end behind the replies to RCPT: those are its outcomes.
    pub(super) fn into_probe(mut self) -> Self {
        self.probe = true;
        self.message = Message::Over;
        self.commands.retain(|(_, expected)| *expected != Expected::Data);
        self
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

    /// Takes the message in one piece; forgets it again if it does not go by BDAT.
    pub(super) fn hold(&mut self, whole: Bytes) {
        if let Message::Bdat(held) = &mut self.message {
            *held = Some(whole);
        }
    }

    /// Sends the commands whose time has come.
    pub(super) fn fill(&mut self, output: &mut BytesMut) {
        if matches!(self.message, Message::Vain) {
            self.message = Message::Sending(Framing::Data(Encoder::default()));
            self.finish(output);
        }
        while self.expected.len() < self.ahead {
            let Some((command, expected)) = self.commands.pop_front() else {
                return self.send_whole(output);
            };
            // Sent ahead of the replies to RCPT, DATA may be vain; behind them there is no need for that.
            if expected == Expected::Data && self.expected.is_empty() && self.accepted == 0 {
                self.skip_message();
                break;
            }
            output.extend_from_slice(command.as_bytes());
            self.expected.push_back(expected);
        }
    }

    /// Sends the message that is at hand behind the commands. If no recipient is accepted the server throws it away
    /// (RFC 3030 §2); it is not sent if that is known already.
    fn send_whole(&mut self, output: &mut BytesMut) {
        let Message::Bdat(Some(whole)) = &self.message else { return };
        let is_open = |expected: &Expected| matches!(expected, Expected::Rcpt(_));
        if self.accepted > 0 || self.expected.iter().any(is_open) {
            chunk(whole, true, output);
            self.message = Message::Over;
            self.expected.push_back(Expected::LastChunk);
        }
    }

    /// Whether the server is ready for more of the message.
    pub(super) fn wants_message(&self) -> bool {
        match self.message {
            Message::Sending(Framing::Data(_)) => true,
            Message::Sending(Framing::Bdat) => self.expected.len() < self.ahead,
            _ => false,
        }
    }

    pub(super) fn send(&mut self, content: &[u8], output: &mut BytesMut) {
        match &mut self.message {
            Message::Sending(Framing::Data(encoder)) => encoder.encode(content, output),
            Message::Sending(Framing::Bdat) if !content.is_empty() => {
                chunk(content, false, output);
                self.expected.push_back(Expected::Chunk);
            }
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, output: &mut BytesMut) {
        match std::mem::replace(&mut self.message, Message::Over) {
            Message::Sending(Framing::Data(encoder)) => {
                encoder.finish(output);
                self.expected.push_back(Expected::End);
            }
            Message::Sending(Framing::Bdat) => {
                chunk(&[], true, output);
                self.expected.push_back(Expected::LastChunk);
            }
            other => self.message = other,
        }
    }

    /// What is waited for.
    pub(super) fn stage(&self) -> Stage {
        match self.expected.front() {
            Some(expected) => expected.stage(),
            None if self.wants_message() => Stage::Body,
            None => Stage::Mail,
        }
    }

    /// `all_sent`: everything that was to be sent has left.
    pub(super) fn reply(&mut self, reply: Reply, all_sent: bool) {
        let Some(expected) = self.expected.pop_front() else {
            self.unsolicited(reply, all_sent);
            return;
        };
        let stage = expected.stage();
        if reply.code == 421 {
            return self.over(Failure::from_peer(stage, reply), all_sent);
        }
        match expected {
            Expected::Reset if reply.is_positive() => {}
            Expected::Reset => self.over(Failure::from_peer(stage, reply), all_sent),
            Expected::Mail => self.mail_reply(reply, all_sent),
            Expected::Rcpt(index) => self.rcpt_reply(index, reply, all_sent),
            Expected::Data if reply.is_intermediate() => self.begin_message(),
            Expected::Data | Expected::Chunk if is_refusal(&reply) => {
                self.indeterminate |= expected == Expected::Chunk;
                self.fail(&Failure::from_peer(stage, reply));
                self.skip_message();
            }
            Expected::Chunk if reply.is_positive() => {}
            // Consent to a message whose end has not left is consent to something else.
            Expected::LastChunk | Expected::End if reply.is_positive() && all_sent => self.delivered(&reply),
            Expected::LastChunk | Expected::End if is_refusal(&reply) => {
                self.ended = true;
                self.indeterminate |= expected == Expected::LastChunk;
                self.fail(&Failure::from_peer(stage, reply));
            }
            Expected::Data | Expected::Chunk | Expected::LastChunk | Expected::End => {
                self.over(Failure::local(stage, out_of_step(&reply)), all_sent);
            }
        }
        if let Message::Bdat(whole) = &self.message
            && self.expected.is_empty()
            && self.commands.is_empty()
        {
            match (self.accepted, whole) {
                (0, _) => self.message = Message::Over,
                (_, None) => self.message = Message::Sending(Framing::Bdat),
                // `fill` sends it.
                (_, Some(_)) => {}
            }
        }
    }

    /// In the middle of a message by DATA: nobody asked, but it tells what is coming. The message cannot be ended without
    /// being sent, so the session ends.
    fn unsolicited(&mut self, reply: Reply, all_sent: bool) {
        if !is_refusal(&reply) {
            return self.over(Failure::local(Stage::Body, out_of_step(&reply)), all_sent);
        }
        let failure = Failure::from_peer(Stage::Body, reply);
        // 421 is about the session, any other refusal about the message: what will never be taken is not tried again.
        if failure.reply.code != 421 {
            self.fail(&failure);
        }
        self.over(failure, all_sent);
    }

    fn mail_reply(&mut self, reply: Reply, all_sent: bool) {
        if reply.is_positive() {
            return;
        }
        if is_refusal(&reply) {
            self.fail(&Failure::from_peer(Stage::Mail, reply));
            self.skip_message();
        } else {
            self.over(Failure::local(Stage::Mail, out_of_step(&reply)), all_sent);
        }
    }

    fn rcpt_reply(&mut self, index: usize, reply: Reply, all_sent: bool) {
        // Whatever it says, if MAIL has failed then this is its consequence.
        let Some(outcome @ None) = self.outcomes.get_mut(index) else { return };
        if reply.is_positive() {
            self.accepted += 1;
            if self.probe {
                *outcome = Some(Outcome::Delivered(reply));
            }
        } else if is_refusal(&reply) {
            // RFC 5321 §4.5.3.1.10: some say 552 for too many recipients, and mean 452.
            let transient = reply.is_transient() || reply.code == 552;
            let failure = Failure::from_peer(Stage::Rcpt, reply);
            *outcome =
                Some(if transient { Outcome::Transient(failure) } else { Outcome::Permanent(failure) });
        } else {
            self.over(Failure::local(Stage::Rcpt, out_of_step(&reply)), all_sent);
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

    /// Session and transaction are over.
    ///
    /// Once the end of the message may have reached the server, so may the message have. A server that says it closes
    /// (421) in answer to a command before that does not go on to what was sent behind it.
    pub(super) fn over(&mut self, failure: Failure, all_sent: bool) {
        let awaits_end =
            self.expected.iter().any(|expected| matches!(expected, Expected::End | Expected::LastChunk));
        let reached = failure.stage == Stage::End || awaits_end && !failure.from_peer;
        let unknown = !self.ended && all_sent && reached;
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
            needs_reset: !self.ended || self.indeterminate,
        })
    }
}

/// Whether the server offers what the message needs. Nothing that a sender asked for is dropped in silence.
///
/// REQUIRETLS holds only under TLS: in clear, the offer is a mistake or a trap (RFC 8689 §2).
fn check(mail: &Mail, extensions: &Extensions, tls: bool) -> Result<(), Failure> {
    let binary = extensions.binary_mime && extensions.chunking;
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
    if let (Some(priority), true) = (mail.priority, extensions.mt_priority) {
        let _ = write!(command, " MT-PRIORITY={priority}");
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

/// Writes a chunk of the message (RFC 3030 §2).
fn chunk(content: &[u8], last: bool, output: &mut BytesMut) {
    let command = format!("BDAT {}{}\r\n", content.len(), if last { " LAST" } else { "" });
    output.reserve(command.len() + content.len());
    output.put_slice(command.as_bytes());
    output.put_slice(content);
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
