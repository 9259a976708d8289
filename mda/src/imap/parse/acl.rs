//! The commands of RFC 4314 §3.

use bytes::Bytes;

use super::cursor::{Cursor, Invalid};

/// A command about rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acl {
    /// RFC 4314 §3.1.
    Set {
        /// Of what.
        mailbox: Bytes,
        /// Whose.
        identifier: Bytes,
        /// Whether they replace the present ones.
        mode: RightsMode,
        /// Letters.
        rights: Bytes,
    },
    /// RFC 4314 §3.2.
    Delete {
        /// Of what.
        mailbox: Bytes,
        /// Whose.
        identifier: Bytes,
    },
    /// RFC 4314 §3.3.
    Get(Bytes),
    /// RFC 4314 §3.4.
    List {
        /// Of what.
        mailbox: Bytes,
        /// Whose.
        identifier: Bytes,
    },
    /// RFC 4314 §3.5.
    Mine(Bytes),
}

/// What SETACL does with the rights that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightsMode {
    /// `+`
    Add,
    /// `-`
    Remove,
    /// These and no others.
    Replace,
}

pub(super) fn command(verb: &[u8], cursor: &mut Cursor) -> Result<Acl, Invalid> {
    let mailbox = argument(cursor)?;
    Ok(match verb {
        b"SETACL" => {
            let identifier = argument(cursor)?;
            let rights = argument(cursor)?;
            let (mode, rights) = match rights.first() {
                Some(b'+') => (RightsMode::Add, rights.slice(1..)),
                Some(b'-') => (RightsMode::Remove, rights.slice(1..)),
                _ => (RightsMode::Replace, rights),
            };
            Acl::Set { mailbox, identifier, mode, rights }
        }
        b"DELETEACL" => Acl::Delete { mailbox, identifier: argument(cursor)? },
        b"LISTRIGHTS" => Acl::List { mailbox, identifier: argument(cursor)? },
        b"GETACL" => Acl::Get(mailbox),
        _ => Acl::Mine(mailbox),
    })
}

fn argument(cursor: &mut Cursor) -> Result<Bytes, Invalid> {
    cursor.space()?;
    cursor.astring()
}
