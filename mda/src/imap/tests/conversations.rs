//! What clients say and hear, over the real store.

mod authentication;
mod limits;
mod mailboxes;
mod messages;
mod news;
mod searching;

use std::time::Duration;

use super::client::{PASSWORD, Server, USER};
use crate::config::PlaintextAuth;
use crate::store::{MailStore as _, MailboxName, SpecialUse};

const MESSAGE: &str = "Date: Tue, 6 Feb 2024 10:00:00 +0000\r\nFrom: Bob <bob@example.test>\r\n\
    To: alice@example.test\r\nSubject: Hello\r\nMessage-ID: <1@example.test>\r\n\r\nHow are you?\r\n";
