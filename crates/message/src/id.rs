//! The identity of a message within the pipeline.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// The id that a message gets at the edge which first accepts it: a UUIDv7 (RFC 9562 §5.7), so that ids sort by time.
///
/// Not the `Message-ID` field, which belongs to the sender. With a recipient it is the idempotency key of every hop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Uuid);

impl MessageId {
    /// A new id, never seen before, later in order than all that this process made.
    #[allow(clippy::new_without_default, reason = "two defaults would not be equal")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of a message that is made from this one, always the same for the same `purpose`: so that making it again
    /// makes nothing new. Its time is that of this one.
    pub fn derived(&self, purpose: &[u8]) -> Self {
        // FNV-1a, which is the same in every release; nobody gains by a collision with a message of their own.
        let fold = |hash: u128, byte: &u8| {
            (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        };
        let basis = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        let hash = self.as_bytes().iter().chain(purpose).fold(basis, fold).to_be_bytes();
        let mut bytes = *self.as_bytes();
        bytes[6..].copy_from_slice(&hash[6..]);
        let mut uuid = uuid::Builder::from_bytes(bytes);
        uuid.set_version(uuid::Version::SortRand).set_variant(uuid::Variant::RFC4122);
        Self(uuid.into_uuid())
    }

    /// Parses the 36 characters that [`fmt::Display`] prints; letters of either case.
    ///
    /// # Errors
    /// [`MessageIdError`] if it is no UUID of version 7 in this form.
    pub fn parse(text: &str) -> Result<Self, MessageIdError> {
        // `Uuid` would also take braces, a URN and no hyphens: forms that nothing of ours prints.
        if text.len() != 36 {
            return Err(MessageIdError);
        }
        Uuid::try_parse(text).map_err(|_| MessageIdError).and_then(Self::from_uuid)
    }

    /// Reads back [`MessageId::as_bytes`].
    ///
    /// # Errors
    /// [`MessageIdError`] if it is no UUID of version 7.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, MessageIdError> {
        Self::from_uuid(Uuid::from_bytes(bytes))
    }

    /// The id as 16 octets, whose order is the order of ids.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// When the id was made, to the millisecond.
    pub fn timestamp(&self) -> Timestamp {
        let bytes = self.0.as_bytes();
        let millis = bytes[..6].iter().fold(0_i64, |millis, byte| millis << 8 | i64::from(*byte));
        // Ids from afar may claim any of 2^48 milliseconds, some of them beyond the calendar.
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    fn from_uuid(uuid: Uuid) -> Result<Self, MessageIdError> {
        if uuid.get_version_num() == 7 && uuid.get_variant() == uuid::Variant::RFC4122 {
            Ok(Self(uuid))
        } else {
            Err(MessageIdError)
        }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        Self::parse(text)
    }
}

/// The text or the octets are no message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message id is a UUID of version 7, as 36 characters")]
pub struct MessageIdError;
