//! Mailboxes over IMAP.

mod append;
mod idle;
mod login;
mod mailbox;
mod steps;
mod sync;

pub(crate) use self::append::Appending;
pub(crate) use self::idle::Idling;
pub(crate) use self::login::Login;
pub(crate) use self::mailbox::Mailbox;
pub(super) use self::steps::{Often, Steps, fetched};
pub(crate) use self::sync::Resynchronisation;
