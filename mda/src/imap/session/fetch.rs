//! FETCH and UID FETCH (RFC 9051 §6.4.5).

mod item;

use std::ops::Range;
use std::sync::Arc;

use super::{Done, Failure, Outcome, Session};
use crate::imap::Shared;
use crate::imap::content::Content;
use crate::imap::parse::{FetchItem, MessageSet};
use crate::imap::wire::Ended;
use crate::outline::Outline;
use crate::store::{FlagChange, Flags, MailStore, MailboxId, Row, StoreError, SystemFlag, Uid, UidSet};

use item::Needs;
pub(super) use item::{Value, section_value};

/// Messages whose rows are read at once.
const ROWS: usize = 4_096;
/// Messages that are marked as seen at once, before they are sent.
const SEEN: usize = 64;
/// Messages whose outlines are read at once.
const OUTLINES: usize = 64;
/// Up to so many rows are read one by one, instead of all that lie between them.
const SINGLE: usize = 16;

/// What happened to the messages of one FETCH.
#[derive(Default)]
struct Tally {
    /// They were expunged by another session.
    gone: usize,
    /// The last failure to read one.
    failure: Option<StoreError>,
    /// A part in an encoding that nobody knows was to be decoded (RFC 9051 §7.1, UNKNOWN-CTE).
    unknown_encoding: bool,
}

impl<S: MailStore> Session<S> {
    pub(super) async fn fetch(&mut self, uid: bool, set: &MessageSet, mut items: Vec<FetchItem>) -> Done {
        let view = self.view()?;
        let (mailbox, read_only) = (view.mailbox, view.read_only);
        let uids = self.resolve(set, uid)?;
        if uid && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        let mark_seen = !read_only && items.iter().any(FetchItem::sets_seen);
        let uids: Vec<Uid> = uids.iter().collect();
        let mut tally = Tally::default();
        for batch in uids.chunks(if mark_seen { SEEN } else { ROWS }) {
            let mut rows = self.rows_of(mailbox, batch).await?;
            tally.gone += batch.len() - rows.len();
            let seen = if mark_seen { self.mark_seen(mailbox, &mut rows).await? } else { UidSet::default() };
            self.fetch_rows(&rows, &items, &seen, &mut tally).await?;
        }
        fetch_outcome(tally, uid)
    }

    /// The rows of these messages, without those that are gone.
    pub(super) async fn rows_of(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<Row>, Failure> {
        let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(Vec::new()) };
        if uids.len() <= SINGLE {
            let rows = uids.iter().map(|uid| self.shared.store.row(mailbox, *uid));
            return Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect());
        }
        let mut rows = self.shared.store.rows(mailbox, *first..=*last).await?.rows;
        rows.retain(|row| uids.binary_search(&row.uid).is_ok());
        Ok(rows)
    }

    /// Gives those that were not seen before.
    async fn mark_seen(&self, mailbox: MailboxId, rows: &mut [Row]) -> Result<UidSet, Failure> {
        let unseen = rows.iter().filter(|row| !row.flags.has(SystemFlag::Seen)).map(|row| row.uid);
        let unseen: UidSet = unseen.collect();
        if unseen.is_empty() {
            return Ok(unseen);
        }
        let change = FlagChange::Add(Flags::none().with(SystemFlag::Seen));
        let stored = self.shared.store.store_flags(mailbox, unseen.clone(), change, None).await?;
        for stored in stored.rows {
            if let Ok(index) = rows.binary_search_by_key(&stored.uid, |row| row.uid) {
                rows[index] = stored;
            }
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
        let needs = Needs::of(items);
        for rows in rows.chunks(OUTLINES) {
            let mut outlines = Vec::new();
            if needs.outline {
                outlines = self.shared.store.outlines(rows.iter().map(|row| row.email).collect()).await;
            }
            let mut outlines = outlines.into_iter();
            for row in rows {
                let outline = outlines.next().transpose();
                self.fetch_row(row, outline, items, seen.contains(row.uid), tally).await?;
            }
        }
        Ok(())
    }

    async fn fetch_row(
        &mut self,
        row: &Row,
        outline: Result<Option<Outline>, StoreError>,
        items: &[FetchItem],
        newly_seen: bool,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let Some(number) = self.view()?.number(row.uid) else { return Ok(()) };
        // All that may fail is done before the response begins.
        let loaded = match outline {
            Ok(outline) => load(&self.shared, row, outline, items).await,
            Err(error) => Err(error),
        };
        let content = match loaded {
            Ok(content) => content,
            Err(StoreError::Expunged) => {
                tally.gone += 1;
                return Ok(());
            }
            Err(error) => {
                tally.failure = Some(error);
                return Ok(());
            }
        };
        let tell_flags = newly_seen && !items.contains(&FetchItem::Flags);
        if newly_seen || items.contains(&FetchItem::Flags) {
            self.learn_flags(row.uid, &row.flags);
        }
        self.wire.responses.raw("* ").number(number).raw(" FETCH (");
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
        self.wire.responses.raw(")").crlf();
        Ok(self.wire.relieve().await?)
    }

    /// Sends a range of the message as the octets of a literal, which was announced: there is no way back.
    async fn send_octets(&mut self, content: &Content<S>, range: Range<u64>) -> Result<(), Failure> {
        let mut at = range.start;
        while at < range.end {
            let piece = content.piece(at..range.end).await.map_err(|error| broken_off(&error))?;
            at += piece.len() as u64;
            self.wire.responses.text_octets(&piece);
            self.wire.relieve().await?;
        }
        Ok(())
    }
}

/// Reads as much of a message as its items need.
pub(super) async fn load<S: MailStore>(
    shared: &Shared<S>,
    row: &Row,
    outline: Option<Outline>,
    items: &[FetchItem],
) -> Result<Content<S>, StoreError> {
    let needs = Needs::of(items);
    let look_into = Arc::clone(&shared.look_into);
    let mut content = Content::new(shared.store.clone(), look_into, row.email, row.size, outline);
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
fn broken_off(error: &StoreError) -> Failure {
    tracing::error!(%error, "a message cannot be read to its end");
    Failure::Ended(Ended::BrokenOff(error.to_string()))
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
