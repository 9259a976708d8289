//! The MDA: keeps mail in mailboxes and serves it by IMAP and POP3.

#![forbid(unsafe_code)]

pub mod auth;
pub mod config;
mod delivery;
mod directory;
pub mod imap;
mod mailbox;
pub mod metrics;
mod pop3;
mod recipients;
mod status;
pub mod store;

pub use config::Config;
