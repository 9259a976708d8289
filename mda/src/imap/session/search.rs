//! SEARCH and UID SEARCH (RFC 9051 §6.4.4).

mod test;
mod text;

use std::sync::Arc;

use bytes::Bytes;

use super::{Done, Failure, Outcome, Session, bad};
use crate::imap::content::Content;
use crate::imap::parse::{MessageSet, ReturnOptions, Search};
use crate::imap::response::uid_set;
use crate::outline::Outline;
use crate::store::{MailStore, Row, StoreError, Uid, UidSet};

use test::{Candidate, Test};
use text::DecodedText;

/// Messages whose rows are read at once.
const ROWS: usize = 4_096;
/// Messages whose outlines are read at once.
pub(super) const OUTLINES: usize = 256;

impl<S: MailStore> Session<S> {
    pub(super) async fn search(&mut self, tag: &str, uid: bool, search: Search) -> Done {
        let returns = search.returns;
        let save = returns.is_some_and(|returns| returns.save);
        let found = match self.find(search).await {
            Ok(found) => found,
            Err(failure) => {
                // RFC 9051 §6.4.4.1: a search that fails leaves nothing in `$`.
                if save && let Some(selected) = &mut self.selected {
                    selected.view.saved = UidSet::default();
                }
                return Err(failure);
            }
        };
        if save && let Some(selected) = &mut self.selected {
            selected.view.saved = saved(&found, returns.unwrap_or_default());
        }
        let numbers = if uid { found } else { self.numbers_of(&found)? };
        self.tell_found(tag, uid, &numbers, returns);
        Ok(Outcome::ok("SEARCH completed"))
    }

    /// The UIDs of all messages that match, ascending.
    pub(super) async fn find(&self, search: Search) -> Result<Vec<Uid>, Failure> {
        if let Some(charset) = &search.charset
            && !matches!(charset.as_str(), "US-ASCII" | "UTF-8")
        {
            let outcome = Outcome::no("BADCHARSET (US-ASCII UTF-8)", "the charset is not supported");
            return Err(Failure::Refused(outcome));
        }
        let resolve =
            |set: &MessageSet, uid| self.view()?.resolve(set, uid).map_err(|error| bad(error.to_string()));
        let test = Arc::new(Test::new(search.key, &resolve)?);
        let view = self.view()?;
        let known: Vec<Uid> = view.uids().filter(|uid| test.may_match(*uid)).collect();
        let mut found = Vec::new();
        for batch in known.chunks(ROWS) {
            let rows = self.rows_of(view.mailbox, batch).await?;
            for rows in rows.chunks(OUTLINES) {
                found.extend(self.matching(&test, rows).await?);
            }
        }
        Ok(found)
    }

    /// Those that match, ascending. Reads of the messages only what the question needs: nothing, their outlines, their
    /// headers, or all of them.
    async fn matching(&self, test: &Arc<Test>, rows: &[Row]) -> Result<Vec<Uid>, Failure> {
        let mut found = Vec::new();
        let mut open = Vec::new();
        for row in rows {
            match test.answer(&Candidate::of(row)) {
                Some(true) => found.push(row.uid),
                Some(false) => {}
                None => open.push(row),
            }
        }
        if open.is_empty() {
            return Ok(found);
        }
        let outlines = self.shared.store.outlines(open.iter().map(|row| row.email).collect()).await;
        for (row, outline) in open.into_iter().zip(outlines) {
            let looked = match outline {
                Ok(outline) => self.look_into(test, row, outline).await,
                Err(error) => Err(error),
            };
            match looked {
                Ok(true) => found.push(row.uid),
                Ok(false) | Err(StoreError::Expunged) => {}
                // One damaged message must not hide all others from every search.
                Err(error @ StoreError::CorruptBody { .. }) => {
                    tracing::error!(%error, "a message cannot be searched");
                }
                Err(error) => return Err(error.into()),
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    async fn look_into(&self, test: &Arc<Test>, row: &Row, outline: Outline) -> Result<bool, StoreError> {
        let fields = outline.fields().cloned();
        let known = Candidate { fields: fields.as_deref(), ..Candidate::of(row) };
        if let Some(answer) = test.answer(&known) {
            return Ok(answer);
        }
        let (store, look_into) = (self.shared.store.clone(), Arc::clone(&self.shared.look_into));
        let mut content = Content::new(store, look_into, row.email, row.size, Some(outline));
        content.load_header().await?;
        let header = content.header();
        if let Some(answer) = test.answer(&Candidate { header: Some(&header), ..Candidate::of(row) }) {
            return Ok(answer);
        }
        let whole = content.whole().await?;
        let (test, row) = (Arc::clone(test), row.clone());
        // Decoding may take long.
        let answer = tokio::task::spawn_blocking(move || {
            let text = DecodedText::new(&whole.octets);
            test.answer(&Candidate { header: Some(&header), text: Some(&text), ..Candidate::of(&row) })
        });
        let answer = answer.await.map_err(|error| StoreError::Io {
            what: "a message was not searched".into(),
            reason: error.to_string(),
        })?;
        Ok(answer.unwrap_or(false))
    }

    /// The fields that outlines have, of each of these messages that is still there.
    pub(super) async fn fields_of(&self, rows: &[Row]) -> Result<Vec<Option<Bytes>>, Failure> {
        let outlines = self.shared.store.outlines(rows.iter().map(|row| row.email).collect()).await;
        let mut fields = Vec::with_capacity(rows.len());
        for (row, outline) in rows.iter().zip(outlines) {
            let (store, look_into) = (self.shared.store.clone(), Arc::clone(&self.shared.look_into));
            let content =
                outline.map(|outline| Content::new(store, look_into, row.email, row.size, Some(outline)));
            let loaded = match content {
                Ok(mut content) => content.load_fields().await.map(|()| content.fields()),
                Err(error) => Err(error),
            };
            fields.push(match loaded {
                Ok(fields) => Some(fields),
                Err(StoreError::Expunged) => None,
                // One damaged message must not hide all others.
                Err(error @ StoreError::CorruptBody { .. }) => {
                    tracing::error!(%error, "the header of a message cannot be read");
                    Some(Bytes::new())
                }
                Err(error) => return Err(error.into()),
            });
        }
        Ok(fields)
    }

    fn numbers_of(&self, uids: &[Uid]) -> Result<Vec<u32>, Failure> {
        let view = self.view()?;
        Ok(uids.iter().filter_map(|uid| view.number(*uid)).collect())
    }

    fn tell_found(&mut self, tag: &str, uid: bool, numbers: &[u32], returns: Option<ReturnOptions>) {
        let all = ReturnOptions { all: true, ..ReturnOptions::default() };
        let returns = match returns {
            Some(returns) => returns,
            None if self.rev2() => all,
            None => return self.tell_found_rev1(numbers),
        };
        if !(returns.min || returns.max || returns.all || returns.count) {
            // SAVE alone: the client wants nothing told (RFC 9051 §6.4.4.1).
            return;
        }
        let responses = &mut self.wire.responses;
        responses.raw("* ESEARCH (TAG ").string(tag.as_bytes()).raw(if uid { ") UID" } else { ")" });
        if let (true, Some(min)) = (returns.min, numbers.first()) {
            responses.raw(" MIN ").number(*min);
        }
        if let (true, Some(max)) = (returns.max, numbers.last()) {
            responses.raw(" MAX ").number(*max);
        }
        if returns.all && !numbers.is_empty() {
            responses.raw(" ALL ").raw(&uid_set(&numbers.iter().copied().collect()));
        }
        if returns.count {
            responses.raw(" COUNT ").number(numbers.len() as u64);
        }
        responses.crlf();
    }

    fn tell_found_rev1(&mut self, numbers: &[u32]) {
        let responses = &mut self.wire.responses;
        responses.raw("* SEARCH");
        for number in numbers {
            responses.raw(" ").number(*number);
        }
        responses.crlf();
    }
}

/// RFC 9051 §6.4.4.4: with MIN or MAX alone only these are kept.
fn saved(found: &[Uid], returns: ReturnOptions) -> UidSet {
    if returns.all || returns.count || !(returns.min || returns.max) {
        return found.iter().copied().collect();
    }
    let min = found.first().filter(|_| returns.min);
    let max = found.last().filter(|_| returns.max);
    min.into_iter().chain(max).copied().collect()
}
