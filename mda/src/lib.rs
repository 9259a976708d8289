//! The MDA: keeps mail in mailboxes and serves it by IMAP and POP3.

#![forbid(unsafe_code)]

pub mod store;
