//! SMTP without I/O: both sides of the protocol as state machines over bytes (RFC 5321 and its extensions).
//!
//! [`server::Session`] and [`client::Session`] take the bytes that arrived and say what happened and what to send; the
//! modules around them are the grammar they share. Nothing here knows a socket, a clock or a runtime, and no input can
//! make anything here panic or grow without a limit.

#![forbid(unsafe_code)]

pub mod auth;
pub mod bdat;
pub mod client;
pub mod command;
pub mod data;
pub mod extensions;
pub mod parameters;
pub mod reply;
pub mod server;
pub mod xclient;
pub mod xtext;

pub use auth::{Credentials, Mechanism, Mechanisms, Password, Said};
pub use command::{Command, CommandError};
pub use extensions::Extensions;
pub use parameters::{BodyType, DsnReturn, Mail, Notify, OriginalRecipient, Rcpt};
pub use reply::{EnhancedCode, Reply};
pub use xclient::XClient;
