//! FETCH and UID FETCH (RFC 9051 §6.4.5).

mod item;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::enable::Extension;
use super::{Done, Failure, NO_UIDS, Outcome, Selected, Session, bad};
use crate::ahead::Ahead;
use crate::imap::Shared;
use crate::imap::content::Content;
use crate::imap::parse::{FetchItem, FetchModifiers, MessageSet};
use crate::imap::view::{Update, View};
use crate::imap::wire::Ended;
use crate::outline::Outline;
use crate::store::{
    Entry, FlagChange, Flags, MailStore, ModSeq, Right, Row, StoreError, SystemFlag, Uid, UidSet,
};

use item::Needs;
pub(super) use item::{Value, section_value};

/// Messages that are marked as seen at once, before they are sent, and whose outlines are read at once.
const BATCH: usize = 64;

/// Messages whose outlines are read at once where nothing else is.
const OUTLINES: usize = 256;

/// Octets of messages that are read together, while those before them are sent.
const AT_ONCE: u64 = 256 * 1024;

/// What happened to the messages of one FETCH.
#[derive(Default)]
struct Tally {
    /// They were expunged by another session.
    gone: u64,
    /// The last failure to read one.
    failure: Option<StoreError>,
    /// A part in an encoding that nobody knows was to be decoded (RFC 9051 §7.1, UNKNOWN-CTE).
    unknown_encoding: bool,
}

impl<S: MailStore> Session<S> {
    pub(super) async fn fetch(
        &mut self,
        uid: bool,
        set: &MessageSet,
        mut items: Vec<FetchItem>,
        modifiers: FetchModifiers,
    ) -> Done {
        if modifiers.vanished && !self.enabled.has(Extension::QResync) {
            return Err(bad("enable QRESYNC first"));
        }
        if uid && !items.contains(&FetchItem::Uid) && !self.style().uid_only {
            items.insert(0, FetchItem::Uid);
        }
        if modifiers.changed_since.is_some() && !items.contains(&FetchItem::ModSeq) {
            items.push(FetchItem::ModSeq);
        }
        if items.contains(&FetchItem::ModSeq) {
            self.enable_modseqs();
        }
        let mut uids = self.resolve(set, uid)?;
        let tells_all_flags = items.contains(&FetchItem::Flags)
            && (items.contains(&FetchItem::ModSeq) || !self.style().modseq)
            && modifiers == FetchModifiers::default();
        self.catch_up(if tells_all_flags { &uids } else { NO_UIDS }).await?;
        if let Some(since) = modifiers.changed_since {
            uids = self.changed_since(uid, set, since, modifiers).await?;
        } else if let Some(partial) = modifiers.partial {
            uids = partial.of(&uids.iter().collect::<Vec<_>>()).iter().copied().collect();
        }
        let mut tally = Tally::default();
        if Needs::of(&items).nothing() {
            tally.gone = uids.len() - self.fetch_entries(&uids, &items).await?;
            return fetch_outcome(tally, uid);
        }
        let mark_seen = !self.view()?.read_only
            && items.iter().any(FetchItem::sets_seen)
            && self.selected_rights()?.has(Right::Seen);
        let uids: Vec<Uid> = uids.iter().collect();
        if items.iter().all(FetchItem::is_outlined) {
            self.fetch_outlined(&uids, &items, &mut tally).await?;
            return fetch_outcome(tally, uid);
        }
        for batch in uids.chunks(BATCH) {
            let seen = if mark_seen { self.mark_seen(batch).await? } else { UidSet::none() };
            let rows = self.rows_of(batch)?;
            tally.gone += (batch.len() - rows.len()) as u64;
            self.fetch_rows(&rows, &items, &seen, &mut tally).await?;
        }
        fetch_outcome(tally, uid)
    }

    /// The messages of a set that came or changed since, the work being in proportion to those. Those that vanished are
    /// told before.
    async fn changed_since(
        &mut self,
        uid: bool,
        set: &MessageSet,
        since: ModSeq,
        modifiers: FetchModifiers,
    ) -> Result<UidSet, Failure> {
        if modifiers.vanished {
            // All that the client knows of is told without EARLIER first.
            self.follow(true, NO_UIDS).await?;
            let named = match set {
                MessageSet::Numbers(set) => View::named_without_end(set),
                MessageSet::Saved => self.view()?.named(set),
            };
            self.tell_vanished_earlier(&named, since).await?;
        }
        let view = self.view()?;
        // RFC 9394 §3.4: the part first, of that what has changed.
        let named = match modifiers.partial {
            Some(partial) => {
                let uids: Vec<Uid> = self.resolve(set, uid)?.iter().collect();
                partial.of(&uids).iter().copied().collect()
            }
            None if uid => view.named(set),
            None => self.resolve(set, uid)?,
        };
        let changed = view.index().changed_since(since).map(Entry::uid);
        Ok(changed.filter(|uid| named.contains(*uid)).collect())
    }

    /// Items that need no more than the index; gives how many messages there are.
    async fn fetch_entries(&mut self, uids: &UidSet, items: &[FetchItem]) -> Result<u64, Failure> {
        let style = self.style();
        let Some(Selected { view, .. }) = &self.selected else { return Ok(0) };
        let mut found = 0;
        for (number, entry) in view.messages(uids) {
            found += 1;
            let row = view.index().row(entry);
            let responses = self.wire.responses.fetch_head(style, number, row.uid);
            for (place, item) in items.iter().enumerate() {
                responses.raw(if place > 0 { " " } else { "" }).row_item(&row, item);
            }
            responses.raw(")").crlf();
            self.wire.relieve().await?;
        }
        Ok(found)
    }

    /// Items that need no more than the index and outlines.
    async fn fetch_outlined(
        &mut self,
        uids: &[Uid],
        items: &[FetchItem],
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let style = self.style();
        for batch in uids.chunks(OUTLINES) {
            let view = self.view()?;
            let set = batch.iter().copied().collect();
            let rows: Vec<(u32, Row)> =
                view.messages(&set).map(|(number, entry)| (number, view.index().row(entry))).collect();
            tally.gone += (batch.len() - rows.len()) as u64;
            // Others get their turn in between.
            tokio::task::consume_budget().await;
            let outlines = self.shared.store.outlines(rows.iter().map(|(_, row)| row.email).collect()).await;
            for ((number, row), outline) in rows.iter().zip(outlines) {
                let told = outline
                    .as_ref()
                    .is_ok_and(|outline| self.wire.responses.outlined(style, *number, row, outline, items));
                if !told {
                    self.fetch_row(row, outline.map(Some), Ok(None), items, false, tally).await?;
                }
                self.wire.relieve().await?;
            }
        }
        Ok(())
    }

    /// These messages as they were told, without those that are gone.
    pub(super) fn rows_of(&self, uids: &[Uid]) -> Result<Vec<Row>, Failure> {
        let index = self.view()?.index();
        Ok(uids.iter().filter_map(|uid| index.get(*uid)).map(|entry| index.row(entry)).collect())
    }

    /// Gives those that were not seen before.
    async fn mark_seen(&mut self, uids: &[Uid]) -> Result<UidSet, Failure> {
        let view = self.view()?;
        let is_unseen = |uid: &Uid| view.index().get(*uid).is_some_and(|entry| !entry.has(SystemFlag::Seen));
        let unseen: UidSet = uids.iter().copied().filter(is_unseen).collect();
        if !unseen.is_empty() {
            let change = FlagChange::Add(Flags::none().with(SystemFlag::Seen));
            self.change_flags(unseen.clone(), change, None).await?;
            self.catch_up(&unseen).await?;
        }
        Ok(unseen)
    }

    async fn fetch_rows(
        &mut self,
        rows: &[Row],
        items: &[FetchItem],
        seen: &UidSet,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let mut outlines = Vec::new();
        if Needs::of(items).outline {
            outlines = self.shared.store.outlines(rows.iter().map(|row| row.email).collect()).await;
        }
        let mut outlines = outlines.into_iter();
        let store = self.shared.store.clone();
        let read = if Needs::of(items).octets { rows } else { &[] };
        let mut ahead = Ahead::of(read.iter().map(|row| (row.email, row.size)), AT_ONCE);
        for row in rows {
            let outline = outlines.next().transpose();
            let beginning = ahead.next(&store, row.email).await.transpose();
            let newly_seen = seen.contains(row.uid);
            self.fetch_row(row, outline, beginning, items, newly_seen, tally).await?;
        }
        Ok(())
    }

    async fn fetch_row(
        &mut self,
        row: &Row,
        outline: Result<Option<Outline>, StoreError>,
        beginning: Result<Option<Bytes>, StoreError>,
        items: &[FetchItem],
        newly_seen: bool,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let Some(number) = self.view()?.number(row.uid) else { return Ok(()) };
        // All that may fail is done before the response begins.
        let loaded = match (outline, beginning) {
            (Ok(outline), Ok(beginning)) => load(&self.shared, row, outline, beginning, items).await,
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        let content = match loaded {
            Ok(content) => content,
            Err(StoreError::Expunged) => {
                tally.gone += 1;
                return Ok(());
            }
            Err(error) => {
                tally.failure = Some(error);
                if newly_seen || items.contains(&FetchItem::Flags) {
                    // They were not told in any other way, as they would be here.
                    self.tell(&Update::Message { number, uid: row.uid });
                }
                return Ok(());
            }
        };
        let tell_flags = newly_seen && !items.contains(&FetchItem::Flags);
        let style = self.style();
        self.wire.responses.fetch_head(style, number, row.uid);
        let mut first = true;
        for item in items {
            if !std::mem::take(&mut first) {
                self.wire.responses.raw(" ");
            }
            tally.unknown_encoding |= !self.fetch_item(row, &content, item).await?;
            // An item may be as large as a header: many must not gather in memory.
            self.wire.relieve().await?;
        }
        if tell_flags {
            self.wire.responses.raw(" FLAGS ").flags(&row.flags);
        }
        if newly_seen && style.modseq {
            // RFC 7162 §3.2.4.
            for item in [FetchItem::Uid, FetchItem::ModSeq] {
                let is_needless = style.uid_only && item == FetchItem::Uid;
                if !(is_needless || items.contains(&item)) {
                    self.wire.responses.raw(" ").row_item(row, &item);
                }
            }
        }
        self.wire.responses.raw(")").crlf();
        Ok(self.wire.relieve().await?)
    }

    /// Sends a range of the message as the octets of a literal, which was announced: there is no way back.
    async fn send_octets(&mut self, content: &Content<S>, range: Range<u64>) -> Result<(), Failure> {
        let mut at = range.start;
        while at < range.end {
            let piece = content.piece(at..range.end).await.map_err(broken_off)?;
            at += piece.len() as u64;
            self.wire.responses.text_piece(piece);
            self.wire.relieve().await?;
        }
        Ok(())
    }
}

/// Reads as much of a message as its items need, beyond what was read of it.
pub(super) async fn load<S: MailStore>(
    shared: &Shared<S>,
    row: &Row,
    outline: Option<Outline>,
    beginning: Option<Bytes>,
    items: &[FetchItem],
) -> Result<Content<S>, StoreError> {
    let needs = Needs::of(items);
    let look_into = Arc::clone(&shared.look_into);
    let mut content = Content::new(shared.store.clone(), look_into, row.email, row.size, outline);
    if let Some(beginning) = beginning {
        content = content.beginning_with(beginning);
    }
    if needs.octets {
        content.begin().await?;
    }
    if needs.header {
        content.load_header().await?;
    }
    if needs.fields {
        content.load_fields().await?;
    }
    if needs.structure {
        content.load_structure().await?;
    }
    Ok(content)
}

/// The store failed when a part of the response was out.
fn broken_off(error: StoreError) -> Failure {
    Failure::Ended(Ended::Unread(error))
}

fn fetch_outcome(tally: Tally, uid: bool) -> Done {
    if let Some(error) = tally.failure {
        return Err(Failure::Store(error));
    }
    if tally.unknown_encoding {
        return Ok(Outcome::no("UNKNOWN-CTE", "a part has an encoding that nobody knows"));
    }
    if tally.gone > 0 && !uid {
        // RFC 2180 §4.1.2, RFC 5530: they are gone, and the client will hear of it when it may.
        return Ok(Outcome::no("EXPUNGEISSUED", "some of the messages are gone"));
    }
    Ok(Outcome::ok("FETCH completed"))
}
