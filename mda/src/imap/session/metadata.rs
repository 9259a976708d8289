//! GETMETADATA and SETMETADATA (RFC 5464), and LIST's METADATA (RFC 9590).

use bytes::Bytes;

use super::{Done, Failure, Outcome, Session};
use crate::imap::parse::{Depth, GetMetadata, SetMetadata};
use crate::store::{AccountId, Annotated, Annotation, MailStore, Mailbox, Right, Rights, StoreError};

/// Whoever sees the mailbox and has one of these reads its annotations (RFC 5464 §3.3).
const READING: [Right; 5] = [Right::Read, Right::Seen, Right::Write, Right::Insert, Right::Post];

/// What a mailbox is for (RFC 6154 §4).
const SPECIAL_USE: &str = "/private/specialuse";

impl<S: MailStore> Session<S> {
    pub(super) async fn get_metadata(&mut self, account: AccountId, asked: &GetMetadata) -> Done {
        let annotated = self.annotated(account, &asked.mailbox, &READING)?;
        let name = annotated.as_ref().map_or("", |mailbox| mailbox.name.as_str()).to_owned();
        let found = self.annotations(account, annotated.as_ref())?;
        let wanted = |annotation: &Annotation| {
            asked.entries.iter().any(|entry| is_within(&annotation.entry, entry, asked.depth))
        };
        let found: Vec<Annotation> = found.into_iter().filter(wanted).collect();
        // What was asked for by name and has no value is told, too: NIL (RFC 9590 §4).
        let mut missing: Vec<&String> = Vec::new();
        if asked.depth == Depth::Zero {
            missing.extend(&asked.entries);
            missing.retain(|entry| found.iter().all(|annotation| annotation.entry != **entry));
            missing.sort_unstable();
            missing.dedup();
        }
        let (found, too_long): (Vec<_>, Vec<_>) = found.into_iter().partition(|annotation| {
            asked
                .max_size
                .is_none_or(|size| annotation.value.as_ref().is_none_or(|value| value.len() <= size as usize))
        });
        if !(found.is_empty() && missing.is_empty()) {
            let values =
                found.iter().map(|annotation| (annotation.entry.as_str(), annotation.value.as_ref()));
            self.tell_values(&name, values.chain(missing.into_iter().map(|entry| (entry.as_str(), None))));
            self.wire.relieve().await?;
        }
        let longest =
            too_long.iter().filter_map(|annotation| annotation.value.as_ref()).map(Bytes::len).max();
        let outcome = Outcome::ok("GETMETADATA completed");
        Ok(match longest {
            Some(octets) => outcome.with_code(format!("METADATA LONGENTRIES {octets}")),
            None => outcome,
        })
    }

    pub(super) async fn set_metadata(&mut self, account: AccountId, change: SetMetadata) -> Done {
        let annotated = self.annotated(account, &change.mailbox, &[Right::Write])?;
        let is_others = annotated.as_ref().is_some_and(|mailbox| mailbox.account != account);
        if is_others && change.entries.iter().any(|(entry, _)| entry.starts_with("/private/")) {
            let text = "private entries can be set at your own mailboxes only";
            return Err(Failure::Refused(Outcome::no("METADATA NOPRIVATE", text)));
        }
        // A value from before it was shown here may be taken away.
        let is_left = annotated.as_ref().is_some_and(|mailbox| mailbox.special_use.is_none());
        let is_use =
            |(entry, value): &(String, Option<Bytes>)| entry == SPECIAL_USE && (value.is_some() || !is_left);
        if annotated.is_some() && change.entries.iter().any(is_use) {
            let text = "a special use is given when the mailbox is made";
            return Err(Failure::Refused(Outcome::no("CANNOT", text)));
        }
        // What all see of the server is its operator's.
        if annotated.is_none() && change.entries.iter().any(|(entry, _)| entry.starts_with("/shared/")) {
            return Err(Failure::Refused(Outcome::no(
                "NOPERM",
                "only your own entries of the server can be set",
            )));
        }
        let annotations =
            change.entries.into_iter().map(|(entry, value)| Annotation { entry, value }).collect();
        let place: Annotated = annotated.map(|mailbox| mailbox.id);
        match self.shared.store.annotate(account, place, annotations).await {
            Ok(()) => Ok(Outcome::ok("SETMETADATA completed")),
            Err(StoreError::OverLimit { what: "annotations", .. }) => {
                Ok(Outcome::no("METADATA TOOMANY", "there are too many annotations"))
            }
            Err(error @ StoreError::OverLimit { limit, .. }) => {
                Ok(Outcome::no(format!("METADATA MAXSIZE {limit}"), error.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// With what is not kept as an annotation and shown as one (RFC 6154 §4).
    fn annotations(
        &self,
        account: AccountId,
        mailbox: Option<&Mailbox>,
    ) -> Result<Vec<Annotation>, StoreError> {
        let mut found = self.shared.store.annotations(account, mailbox.map(|mailbox| mailbox.id))?;
        found.retain(|annotation| mailbox.is_none() || annotation.entry != SPECIAL_USE);
        let special_use = mailbox.filter(|mailbox| mailbox.account == account && self.offers("SPECIAL-USE"));
        found.extend(special_use.and_then(|mailbox| mailbox.special_use).map(|special_use| Annotation {
            entry: SPECIAL_USE.to_owned(),
            value: Some(Bytes::from_static(special_use.as_str().as_bytes())),
        }));
        Ok(found)
    }

    /// All entries that were asked for, NIL where there is none (RFC 9590 §3).
    pub(super) fn tell_metadata(&mut self, mailbox: &Mailbox, entries: &[String]) -> Result<(), Failure> {
        let Some(account) = self.account else { return Ok(()) };
        let found = self.annotations(account, Some(mailbox))?;
        let value = |entry: &str| found.iter().find(|annotation| annotation.entry == entry)?.value.as_ref();
        let values = entries.iter().map(|entry| (entry.as_str(), value(entry)));
        self.tell_values(mailbox.name.as_str(), values);
        Ok(())
    }

    /// `METADATA mailbox (entry value …)`
    fn tell_values<'a>(&mut self, name: &str, values: impl Iterator<Item = (&'a str, Option<&'a Bytes>)>) {
        let encoding = self.encoding();
        let responses = &mut self.wire.responses;
        responses.raw("* METADATA ").mailbox_text(name, encoding).raw(" (");
        for (index, (entry, value)) in values.enumerate() {
            responses.raw(if index > 0 { " " } else { "" }).astring(entry.as_bytes()).raw(" ");
            match value {
                Some(value) if value.contains(&0) => responses.raw("~").literal(value),
                value => responses.nstring(value.map(|value| &value[..])),
            };
        }
        responses.raw(")").crlf();
    }

    /// None is the server.
    fn annotated(
        &self,
        account: AccountId,
        name: &Bytes,
        needed: &[Right],
    ) -> Result<Option<Mailbox>, Failure> {
        if name.is_empty() {
            return Ok(None);
        }
        let name = self.mailbox_name(name)?;
        self.existing(account, &name, Right::Lookup)?;
        self.existing_with_any(account, &name, needed).map(Some)
    }
}

/// Of a mailbox that the user sees, with these rights to it.
pub(super) fn may_read_annotations(rights: Rights) -> bool {
    READING.into_iter().any(|right| rights.has(right))
}

/// An entry is `base`, or no further below it than is asked for (RFC 5464 §4.2.2).
fn is_within(entry: &str, base: &str, depth: Depth) -> bool {
    let Some(rest) = entry.strip_prefix(base) else { return false };
    match (rest.strip_prefix('/'), depth) {
        (None, _) => rest.is_empty(),
        (Some(_), Depth::Zero) => false,
        (Some(below), Depth::One) => !below.contains('/'),
        (Some(_), Depth::Infinity) => true,
    }
}
