//! Parts of messages that are here already (RFC 4469 §3).

use bytes::Bytes;

use super::Arriving;
use crate::imap::content::Content;
use crate::imap::parse::{FetchItem, MessageUrl, message_url};
use crate::imap::session::fetch::{Value, load, section_value};
use crate::imap::session::{Failure, Outcome, Session};
use crate::store::{MailStore, MailboxName, Right, Row, StoreError};

impl<S: MailStore> Session<S> {
    /// Adds what a URL names to the message that is coming.
    pub(super) async fn take_url(&mut self, arriving: &mut Arriving, url: &[u8]) -> Result<(), Failure> {
        self.may_use("CATENATE")?;
        let parsed = message_url(url).ok_or_else(|| bad_url(url))?;
        let row = self.message_at(&parsed)?.ok_or_else(|| bad_url(url))?;
        let MessageUrl { section, partial, .. } = parsed;
        let item = FetchItem::Section { section: section.clone(), partial, peek: true };
        let outline = self.shared.store.outlines(vec![row.email]).await.pop().transpose();
        let loaded = match outline {
            Ok(outline) => load(&self.shared, &row, outline, None, &[item]).await,
            Err(error) => Err(error),
        };
        let content = match loaded {
            Err(StoreError::Expunged) => return Err(bad_url(url)),
            content => content?,
        };
        match section_value(&content, &section).await?.cut(partial) {
            Value::Nil => Err(bad_url(url)),
            Value::Made(octets) => self.take_octets(arriving, octets, false).await,
            Value::Range(range) => self.copy_octets(arriving, &content, range).await,
        }
    }

    async fn copy_octets(
        &self,
        arriving: &mut Arriving,
        content: &Content<S>,
        mut range: std::ops::Range<u64>,
    ) -> Result<(), Failure> {
        // An empty part is one, too.
        self.take_octets(arriving, Bytes::new(), false).await?;
        while !range.is_empty() {
            let piece = content.piece(range.clone()).await?;
            range.start += piece.len() as u64;
            self.take_octets(arriving, piece, false).await?;
        }
        Ok(())
    }

    /// None: there is no such message, or its mailbox is another than the client thinks.
    fn message_at(&self, url: &MessageUrl) -> Result<Option<Row>, Failure> {
        let (mailbox, uid_validity) = match &url.mailbox {
            None => match &self.selected {
                None => return Ok(None),
                // Rights may have been taken back since it was selected.
                Some(_) if !self.selected_rights()?.has(Right::Read) => return Ok(None),
                Some(selected) => (selected.view.mailbox, selected.view.index().status().uid_validity),
            },
            Some(name) => {
                let Ok(name) = MailboxName::parse(name) else { return Ok(None) };
                let Some(account) = self.account else { return Ok(None) };
                let Ok(mailbox) = self.existing(account, &name, Right::Read) else { return Ok(None) };
                (mailbox.id, mailbox.uid_validity)
            }
        };
        if url.uid_validity.is_some_and(|expected| expected != uid_validity) {
            return Ok(None);
        }
        Ok(self.shared.store.row(mailbox, url.uid)?)
    }
}

/// RFC 4469 §4.1: with the URL, of which what cannot stand in a response code is left out.
fn bad_url(url: &[u8]) -> Failure {
    let url: String =
        url.iter().map(|octet| char::from(*octet)).filter(|c| c.is_ascii_graphic() && *c != ']').collect();
    Failure::Refused(Outcome::no(format!("BADURL {url}"), "this part cannot be had"))
}
