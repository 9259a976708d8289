//! What is to be known of a message without reading it: its structure, the fields that mail programs list, its first
//! words.
//!
//! An outline is made once, when the message is stored, and kept beside it. Whatever is too large for it is left out:
//! then the message itself has to be read.

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use message::envelope::Envelope;
use message::header;
use message::mime::Structure;
use message::preview::preview;
use prost::Message as _;

/// The fields that mail programs ask for when they list messages; those of ENVELOPE are among them.
const FIELDS: [&str; 32] = [
    "Bcc",
    "Cc",
    "Content-Description",
    "Content-Language",
    "Content-Transfer-Encoding",
    "Content-Type",
    "Date",
    "Disposition-Notification-To",
    "From",
    "Importance",
    "In-Reply-To",
    "Lines",
    "List-Id",
    "List-Post",
    "List-Subscribe",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Mail-Followup-To",
    "Message-ID",
    "Newsgroups",
    "Priority",
    "References",
    "Reply-To",
    "Sender",
    "Subject",
    "To",
    "X-K9mail-Identity",
    "X-Label",
    "X-Mailer",
    "X-MSMail-Priority",
    "X-Priority",
    "X-Universally-Unique-Identifier",
];

/// Octets of fields that an outline has room for.
const MAX_FIELDS: usize = 32 * 1024;
/// Octets of a packed structure that an outline has room for.
const MAX_STRUCTURE: usize = 96 * 1024;

/// What is to be known of a message without reading it. Clones are one outline.
#[derive(Debug, Clone)]
pub struct Outline {
    kept: Arc<Kept>,
}

#[derive(Debug)]
struct Kept {
    form: Form,
    /// How clients are told of them, once it was made.
    envelope: OnceLock<Bytes>,
    structure: OnceLock<Bytes>,
}

/// Octets that an outline takes in memory beside those of its form.
const OVERHEAD: usize = 512;

impl PartialEq for Outline {
    fn eq(&self, other: &Self) -> bool {
        self.kept.form == other.kept.form
    }
}

/// The form that is stored. Fields may be added; a field's meaning never changes.
#[derive(Clone, PartialEq, prost::Message)]
struct Form {
    /// Octets of the header with its blank line.
    #[prost(uint64, tag = "1")]
    header_length: u64,
    /// [`Structure::pack`]; empty if it is too large.
    #[prost(bytes = "bytes", tag = "2")]
    structure: Bytes,
    /// Those of [`FIELDS`] that are there, as they are, in their order.
    #[prost(bytes = "bytes", tag = "3")]
    fields: Bytes,
    /// The fields are too large: there are none.
    #[prost(bool, tag = "4")]
    without_fields: bool,
    #[prost(string, tag = "5")]
    preview: String,
}

impl Outline {
    /// Reads a message.
    pub fn of(message: &[u8]) -> Self {
        let structure = Structure::parse(message);
        let packed = structure.pack();
        let chosen = fields(&message[structure.root().header.clone()]);
        Self::from(Form {
            header_length: structure.root().header.len() as u64,
            structure: if packed.len() > MAX_STRUCTURE { Bytes::new() } else { packed.into() },
            without_fields: chosen.is_none(),
            fields: chosen.unwrap_or_default(),
            preview: preview(message, &structure),
        })
    }

    /// The form that is stored.
    pub fn encode(&self) -> Bytes {
        self.kept.form.encode_to_vec().into()
    }

    /// Reads the stored form; `None` if it is damaged.
    pub fn decode(octets: Bytes) -> Option<Self> {
        Form::decode(octets).ok().map(Self::from)
    }

    /// Octets of the message's header, with its blank line.
    pub fn header_length(&self) -> u64 {
        self.kept.form.header_length
    }

    /// The structure; `None` if it has to be found in the message.
    pub fn structure(&self) -> Option<Structure> {
        Structure::unpack(&self.kept.form.structure)
    }

    /// A header block of the fields that are known of a message; `None` if they have to be read from it.
    pub fn fields(&self) -> Option<&Bytes> {
        (!self.kept.form.without_fields).then_some(&self.kept.form.fields)
    }

    /// What the message says about itself at the top; `None` if it has to be read.
    pub fn envelope(&self) -> Option<Envelope> {
        self.fields().map(|fields| Envelope::parse(fields))
    }

    /// The envelope as `write` tells it to clients: what it gives first is kept, if it is not out of proportion. `None`
    /// as for [`Outline::envelope`].
    pub fn envelope_as(&self, write: impl FnOnce(&Envelope) -> Bytes) -> Option<Bytes> {
        kept_as(&self.kept.envelope, self.envelope_room(), || {
            self.envelope().map(|envelope| write(&envelope))
        })
    }

    /// The same for the structure.
    pub fn structure_as(&self, write: impl FnOnce(&Structure) -> Bytes) -> Option<Bytes> {
        let made = || self.structure().map(|structure| write(&structure));
        kept_as(&self.kept.structure, self.structure_room(), made)
    }

    fn envelope_room(&self) -> usize {
        256 + self.kept.form.fields.len()
    }

    fn structure_room(&self) -> usize {
        256 + 4 * self.kept.form.structure.len()
    }

    /// Octets that it takes in memory at most, with all that is kept with it.
    pub(crate) fn weight(&self) -> usize {
        let form = &self.kept.form;
        let stored = form.fields.len() + form.structure.len() + form.preview.len();
        OVERHEAD + stored + self.envelope_room() + self.structure_room()
    }

    /// The first words (RFC 8970).
    pub fn preview(&self) -> &str {
        &self.kept.form.preview
    }

    /// A field of this name is among [`Outline::fields`] if the message has it.
    pub fn knows(name: &[u8]) -> bool {
        FIELDS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }
}

impl From<Form> for Outline {
    fn from(form: Form) -> Self {
        Self { kept: Arc::new(Kept { form, envelope: OnceLock::new(), structure: OnceLock::new() }) }
    }
}

/// What is kept, or is made now and kept if there is room.
fn kept_as(kept: &OnceLock<Bytes>, room: usize, make: impl FnOnce() -> Option<Bytes>) -> Option<Bytes> {
    if let Some(text) = kept.get() {
        return Some(text.clone());
    }
    let text = make()?;
    if text.len() <= room {
        // As long as it is, and not as what it was made in.
        let _ = kept.set(Bytes::copy_from_slice(&text));
    }
    Some(text)
}

/// The fields of a header that an outline keeps; `None` if they are too large.
fn fields(block: &[u8]) -> Option<Bytes> {
    let mut chosen = Vec::new();
    for field in header::fields(block).filter(|field| Outline::knows(field.name)) {
        if chosen.len() + field.raw.len() > MAX_FIELDS {
            return None;
        }
        chosen.extend_from_slice(field.raw);
    }
    Some(chosen.into())
}
