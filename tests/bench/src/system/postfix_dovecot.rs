//! Postfix, and Dovecot behind it: what most who run their own mail have today.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use super::certificate::Files;
use super::dovecot::{Dovecot, Store};
use super::postfix::Postfix;
use super::{Doors, Kind, Place, System, account, ensure_root};
use crate::cost::Group;

/// Both of them, running.
pub(crate) struct PostfixDovecot {
    kind: Kind,
    doors: Doors,
    // In the order in which they are stopped: who hands mail on before who gets it.
    postfix: Postfix,
    dovecot: Dovecot,
    group: Group,
    dir: TempDir,
}

impl PostfixDovecot {
    /// Starts them.
    pub(crate) fn start(kind: Kind, place: &Place) -> anyhow::Result<Self> {
        ensure_root()?;
        let store = Store {
            format: if kind == Kind::Maildir { "maildir" } else { "sdbox" },
            fsync: if kind == Kind::SdboxSynced { "always" } else { "optimized" },
        };
        let dir = TempDir::with_prefix_in("peers-", &place.dir)
            .with_context(|| format!("cannot make a folder in {}", place.dir.display()))?;
        // Their processes run as several users.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).context("cannot open the folder")?;
        let certificate = Files::make(dir.path())?;
        let accounts: Vec<String> = (0..place.accounts).map(account).collect();
        let mut group = Group::new(store.format);
        let dovecot =
            Dovecot::start(&dir.path().join("dovecot"), store, &certificate, &accounts, &mut group)?;
        let postfix = Postfix::start(
            &dir.path().join("postfix"),
            &dovecot,
            &certificate,
            &accounts,
            place.sink,
            &mut group,
        )?;
        let doors = Doors {
            smtp: postfix.smtp,
            submissions: postfix.submissions,
            imap: dovecot.imap,
            imaps: dovecot.imaps,
            pop3: dovecot.pop3,
            ca: certificate.ca,
        };
        Ok(Self { kind, doors, postfix, dovecot, group, dir })
    }
}

impl System for PostfixDovecot {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn doors(&self) -> &Doors {
        &self.doors
    }

    fn group(&self) -> &Group {
        &self.group
    }

    fn delivered(&self) -> anyhow::Result<u64> {
        self.postfix.delivered()
    }

    fn stored(&self) -> anyhow::Result<u64> {
        messages_below(&self.dovecot.mail(), self.kind)
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}

/// The files that are messages: `u.*` of sdbox, everything in `new` and `cur` of Maildir.
fn messages_below(folder: &Path, kind: Kind) -> anyhow::Result<u64> {
    let is_maildir = kind == Kind::Maildir;
    let holds_messages = !is_maildir || folder.ends_with("new") || folder.ends_with("cur");
    let mut count = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            count += messages_below(&entry.path(), kind)?;
        } else if holds_messages && (is_maildir || entry.file_name().as_encoded_bytes().starts_with(b"u.")) {
            count += 1;
        }
    }
    Ok(count)
}
