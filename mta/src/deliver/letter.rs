//! A message from the spool, made fit for the host that gets it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use message::conversion::{self, ConversionError, Pieces, Plan, Target};
use message::{ReversePath, header};
use proto::mail::{Envelope, Reply};
use service::smtp::envelope;
use smtp::{BodyType, Extensions, Mail};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::session::{Content, Session};
use crate::reply::reply;
use crate::spool::{self, Message, Spool, SpoolError};
use crate::tls::{Wish, has_opted_out};

/// The largest message that is read at once and sent in one piece.
const SMALL: u64 = 256 << 10;
/// How much of a larger one is read for its header.
const HEADER: u64 = header::MAX_HEADER as u64;
/// The unit in which memory is counted.
const KIB: u64 = 1 << 10;

/// Memory for large messages that have to be converted.
#[derive(Clone)]
pub(crate) struct ConversionMemory {
    /// In KiB.
    total: u64,
    free: Arc<Semaphore>,
}

/// A message that is to be sent to one site.
pub(crate) struct Letter<'a> {
    spool: &'a Arc<dyn Spool>,
    message: &'a Arc<Message>,
    memory: &'a ConversionMemory,
    envelope: Arc<Envelope>,
    /// The places in the envelope of those to whom it goes.
    recipients: Vec<u32>,
    /// All of a small message, or the beginning of a large one; read once.
    start: OnceCell<Bytes>,
}

/// A message as one host gets it.
pub(super) struct Fitted {
    pub(super) envelope: smtp::client::Envelope,
    pub(super) content: Content,
}

/// All of a message, with the memory that it takes.
struct Held {
    octets: Bytes,
    /// `None`: it is small.
    memory: Option<OwnedSemaphorePermit>,
}

impl ConversionMemory {
    /// So many octets.
    pub(crate) fn new(octets: u64) -> Self {
        let total = (octets / KIB).min(u64::from(u32::MAX));
        Self {
            total,
            free: Arc::new(Semaphore::new(usize::try_from(total).unwrap_or(Semaphore::MAX_PERMITS))),
        }
    }

    /// Takes some, if there is some. An error is what the sender is told.
    fn take(&self, octets: u64) -> Result<OwnedSemaphorePermit, Reply> {
        let wanted = octets.div_ceil(KIB);
        if wanted > self.total {
            return Err(reply(554, "5.6.3", "the message is too large to be converted for the next server"));
        }
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let full = |_| reply(452, "4.3.1", "there is no memory to convert the message now");
        Arc::clone(&self.free).try_acquire_many_owned(wanted).map_err(full)
    }
}

impl<'a> Letter<'a> {
    /// Reads the envelope. An error is what is said of all recipients.
    pub(super) async fn open(
        spool: &'a Arc<dyn Spool>,
        message: &'a Arc<Message>,
        memory: &'a ConversionMemory,
        recipients: Vec<u32>,
    ) -> Result<Self, Reply> {
        let envelope = spool.envelope(message).await.map_err(|error| unreadable(&error))?;
        Ok(Self { spool, message, memory, envelope, recipients, start: OnceCell::new() })
    }

    /// What the sender asks of TLS, but for what stands in the header.
    pub(super) fn wish(&self) -> Wish {
        Wish::of(&self.envelope)
    }

    /// Whether `TLS-Required: No` stands in the header. If that cannot be read, nobody has opted out.
    pub(super) async fn has_opted_out(&self) -> bool {
        self.start().await.is_ok_and(|start| has_opted_out(start))
    }

    /// The message as the host of a session gets it. What that one does not offer is done without where the RFCs allow
    /// it; the rest is left for the session to refuse.
    pub(super) async fn fit(&self, session: &Session) -> Result<Fitted, Reply> {
        let mut envelope = self.envelope()?;
        let (mail, offers) = (&mut envelope.mail, session.offers());
        if mail.reverse_path == ReversePath::Null {
            // RFC 8689 §5: a report does not get lost for it.
            mail.require_tls &= session.takes_requiretls();
        }
        let mut held = None;
        if mail.smtputf8 && !offers.smtputf8 {
            let whole = self.hold().await?;
            mail.smtputf8 = conversion::needs_smtputf8(&whole.octets);
            held = Some(whole);
        }
        let content = match target(mail, offers) {
            None => self.content().await?,
            Some(target) => {
                let whole = match held {
                    Some(whole) => whole,
                    None => self.hold().await?,
                };
                convert(whole, target, mail).await?
            }
        };
        Ok(Fitted { envelope, content })
    }

    fn envelope(&self) -> Result<smtp::client::Envelope, Reply> {
        let invalid = |error: message::AddressError| reply(553, "5.1.3", error.to_string());
        let recipients = self.recipients.iter();
        let recipients = recipients
            .filter_map(|&index| self.envelope.recipients.get(index as usize))
            .map(envelope::rcpt)
            .collect::<Result<_, _>>()
            .map_err(invalid)?;
        Ok(smtp::client::Envelope { mail: envelope::mail(&self.envelope).map_err(invalid)?, recipients })
    }

    async fn content(&self) -> Result<Content, Reply> {
        if self.is_small() {
            let whole = self.start().await.map_err(|error| unreadable(&error))?;
            return Ok(Content::Whole(whole.clone()));
        }
        let pieces = spool::pieces(Arc::clone(self.spool), Arc::clone(self.message));
        Ok(Content::Pieces(pieces.map_err(io::Error::other).boxed()))
    }

    /// All of the message.
    async fn hold(&self) -> Result<Held, Reply> {
        let (octets, memory) = if self.is_small() {
            (self.start().await.cloned(), None)
        } else {
            let memory = self.memory.take(self.message.size)?;
            (self.spool.read(self.message, 0..self.message.size).await, Some(memory))
        };
        Ok(Held { octets: octets.map_err(|error| unreadable(&error))?, memory })
    }

    fn is_small(&self) -> bool {
        self.message.size <= SMALL
    }

    async fn start(&self) -> Result<&Bytes, SpoolError> {
        let size = self.message.size;
        let wanted = if self.is_small() { size } else { size.min(HEADER) };
        self.start.get_or_try_init(|| self.spool.read(self.message, 0..wanted)).await
    }
}

/// What the message has to be made, for a host that does not take it as it is. An SMTPUTF8 message is not touched: its
/// header means what it says.
fn target(mail: &Mail, offers: &Extensions) -> Option<Target> {
    let takes_binary = offers.binary_mime && offers.chunking;
    let target = if offers.eight_bit_mime { Target::EightBit } else { Target::SevenBit };
    let is_unfit = match mail.body {
        BodyType::SevenBit => false,
        BodyType::EightBitMime => target == Target::SevenBit,
        BodyType::BinaryMime => !takes_binary,
    };
    (is_unfit && !mail.smtputf8).then_some(target)
}

/// Converts a message (RFC 6152 §3, RFC 3030 §3).
async fn convert(whole: Held, target: Target, mail: &mut Mail) -> Result<Content, Reply> {
    let Held { octets, memory } = whole;
    let planned = plan(octets, target, memory.is_some()).await?;
    let pieces = planned.map_err(|error| {
        let text = format!("the next server does not take the message as it is, and {error}");
        reply(554, "5.6.3", text)
    })?;
    mail.body = match target {
        Target::SevenBit => BodyType::SevenBit,
        Target::EightBit => BodyType::EightBitMime,
    };
    let Some(memory) = memory else {
        let whole: Vec<u8> = pieces.flatten().collect();
        mail.size = Some(whole.len() as u64);
        return Ok(Content::Whole(whole.into()));
    };
    mail.size = None;
    let pieces = pieces.map(move |piece| {
        // It is given back with the last piece.
        let _held = &memory;
        Ok(Bytes::from(piece))
    });
    Ok(Content::Pieces(stream::iter(pieces).boxed()))
}

async fn plan(
    octets: Bytes,
    target: Target,
    is_large: bool,
) -> Result<Result<Pieces<Bytes>, ConversionError>, Reply> {
    let plan = move || Plan::new(&octets, target).map(|plan| plan.pieces(octets));
    if !is_large {
        return Ok(plan());
    }
    let interrupted = |_| reply(451, "4.3.0", "the conversion of the message was interrupted");
    tokio::task::spawn_blocking(plan).await.map_err(interrupted)
}

/// Why a message cannot be read, as a reply. One that is damaged is not tried for ever; the sender gets to know.
fn unreadable(error: &SpoolError) -> Reply {
    match error {
        SpoolError::Damaged(_) => {
            reply(554, "5.3.0", "the message was damaged in storage and cannot be delivered")
        }
        error => reply(451, "4.3.0", error.to_string()),
    }
}
