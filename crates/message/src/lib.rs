//! What mail is made of, without I/O: addresses, header fields, MIME structure and delivery reports.
//!
//! Everything here works on bytes in memory or in chunks, never panics on what it is given, never recurses and has a
//! limit on whatever its input could make grow. It knows nothing of sockets, stores or services.

#![forbid(unsafe_code)]

pub mod address;
pub mod address_list;
pub mod charset;
pub mod collation;
pub mod completion;
pub mod conversion;
#[cfg(test)]
mod corpus;
pub mod date;
pub mod dsn;
pub mod envelope;
pub mod header;
pub mod id;
pub mod line_ends;
pub mod lines;
pub mod mime;
pub mod mutf7;
pub mod parameters;
pub mod preview;
pub mod received;
pub mod subject;
pub mod thread;
pub mod unitext;
pub mod urgency;
pub mod words;

pub use address::{Address, AddressError, Domain, LocalPart, ReversePath};
pub use id::{MessageId, MessageIdError};
