//! The mail systems that are measured: each started with everything that it keeps under one folder, as someone who knows
//! it would run it, and durable.

mod certificate;
mod daemon;
mod dovecot;
mod files;
mod place;
mod postfix;
mod postfix_dovecot;
mod waypost;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use pipeline_tests::{Program, program};

pub(crate) use self::place::{Place, checked};
pub(crate) use self::waypost::{AS_WAYPOST, Template};
use crate::cost::Group;

/// The password of every account.
pub(crate) const PASSWORD: &str = "secret";

/// Account number `number`: its address and its login name.
pub(crate) fn account(number: u32) -> String {
    format!("u{number:04}@example.test")
}

/// A running mail system. It keeps mail of the accounts, sends mail for relay.test to the sink, and trusts all of this
/// machine. Dropping it stops it.
pub(crate) trait System {
    /// As in tables.
    fn name(&self) -> &str;

    /// Where it serves.
    fn doors(&self) -> &Doors;

    /// Its processes.
    fn group(&self) -> &Group;

    /// Messages that it has put into mailboxes since it was started. Cheap, to be asked often.
    fn delivered(&self) -> anyhow::Result<u64>;

    /// Messages that lie in all mailboxes together, counted there: what [`System::delivered`] is held against at the end.
    fn stored(&self) -> anyhow::Result<u64>;

    /// The folders where it keeps its mail and its logs, for people who have to find out what went wrong.
    fn folder(&self) -> PathBuf;
}

/// Where a system serves, on loopback.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    /// SMTP from other systems, in clear.
    pub(crate) smtp: SocketAddr,
    /// Submission with TLS from the first octet; for who has logged in.
    pub(crate) submissions: SocketAddr,
    /// IMAP in clear.
    pub(crate) imap: SocketAddr,
    /// IMAP with TLS from the first octet.
    pub(crate) imaps: SocketAddr,
    /// POP3 in clear.
    pub(crate) pop3: SocketAddr,
    /// The authority (PEM) that signed the certificate for `localhost` that it shows.
    pub(crate) ca: PathBuf,
}

/// A program of Debian's packages.
fn required(name: &str) -> anyhow::Result<Program> {
    program(name).with_context(|| {
        format!(
            "{name} is not on this machine: install {PACKAGES} (tests/install-peers does), or measure Waypost alone \
             with --systems waypost"
        )
    })
}

/// Fails without the rights that Postfix and Dovecot begin with.
fn ensure_root() -> anyhow::Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "Postfix and Dovecot begin as root: run this as root, or Waypost alone with --systems waypost"
    );
    Ok(())
}

/// The packages that hold all such programs.
const PACKAGES: &str = "Debian's postfix, dovecot-core, dovecot-imapd, dovecot-pop3d and dovecot-lmtpd";

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// This project's.
    Waypost,
    /// Postfix, and Dovecot with sdbox mailboxes.
    Sdbox,
    /// Postfix, and Dovecot with Maildir mailboxes.
    Maildir,
    /// As sdbox, but Dovecot syncs all that it changes before it says so, flags too. By itself it syncs messages only.
    SdboxSynced,
}

impl Kind {
    /// As in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waypost => "Waypost",
            Self::Sdbox => "Postfix+Dovecot sdbox",
            Self::Maildir => "Postfix+Dovecot Maildir",
            Self::SdboxSynced => "Postfix+Dovecot sdbox, all synced",
        }
    }

    /// Starts it anew, without any mail.
    pub(crate) fn start(self, place: &Place, template: &Template) -> anyhow::Result<Box<dyn System>> {
        Ok(match self {
            Self::Waypost => Box::new(template.start(place)?),
            Self::Sdbox | Self::Maildir | Self::SdboxSynced => {
                Box::new(postfix_dovecot::PostfixDovecot::start(self, place)?)
            }
        })
    }
}
