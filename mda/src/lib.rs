//! The MDA: keeps mail in mailboxes and serves it by IMAP and POP3.
//!
//! Mail comes in by gRPC (`delivery`), is kept by the [`store`], and goes out by [`imap`] and `pop3`, to those whom
//! [`auth`] lets in. The other services learn from `directory` who exists; operators look in by `mailbox`.
//!
//! Protocol, policy and storage do not mix: the protocols see the store through [`store::MailStore`] only, and only the
//! store knows how it keeps what it keeps.

#![forbid(unsafe_code)]

mod ahead;
pub mod auth;
pub mod config;
mod delivery;
mod directory;
pub mod exchange;
mod fulltext;
#[doc(hidden)]
pub mod fuzzing;
mod grantees;
pub mod imap;
mod mailbox;
pub mod metrics;
mod operations;
pub mod outline;
mod pop3;
mod program;
mod recipients;
mod server;
mod status;
pub mod store;
mod strangers;
mod sweeper;
mod text;

#[cfg(test)]
mod testing;
mod tools;

pub use config::Config;
pub use program::{main, main_from};
pub use server::{Addresses, BuildError, RunError, Service, build};
