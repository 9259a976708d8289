//! SORT and UID SORT (RFC 5256 §3), by names as they are shown (RFC 5957), with results as ESEARCH (RFC 5267 §3).

use std::cmp::Ordering;

use message::address_list::{Entry, Mailbox};
use message::collation::casemap;
use message::date::DateTime;
use message::envelope::Envelope;
use message::header;
use message::subject::BaseSubject;
use message::words;

use super::context::{ALLOCATION, Context, Correlator, Results, runs};
use super::search::OUTLINES;
use super::{Done, Failure, NO_UIDS, Outcome, Session, bad};
use crate::imap::parse::{ReturnOptions, Sort, SortCriterion, SortKey};
use crate::store::{MailStore, ModSeq, Row, Uid};

/// Octets of a text that messages are put in order by, at most.
const TEXT: usize = 1024;

/// What a message is put in order by, one value for each criterion.
pub(super) struct Sortable {
    uid: Uid,
    values: Vec<Value>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(String),
}

impl<S: MailStore> Session<S> {
    pub(super) async fn sort(&mut self, tag: &str, uid: bool, sort: Sort) -> Done {
        let returns = sort.search.returns;
        self.check_context_tag(tag, returns)?;
        if returns.is_some_and(|returns| returns.save) {
            return Err(bad("SORT cannot save its result"));
        }
        let asks_modseq = sort.search.key.asks_modseq();
        if asks_modseq {
            self.enable_modseqs();
        }
        self.catch_up(NO_UIDS).await?;
        self.tell_contexts().await?;
        let (refused, fetched) = (self.why_not_followed(&sort.search), sort.search.fetched.clone());
        let (found, sought) = self.find(tag, sort.search).await?;
        let sortable = self.sortable(&found, &sort.criteria).await?;
        let (in_order, criteria) = in_order(sortable, sort.criteria).await?;
        let sorted: Vec<Uid> = in_order.iter().map(Sortable::uid).collect();
        // RFC 7162 §3.1.9.
        let modseq = if asks_modseq { self.highest_modseq_told(&sorted, returns) } else { None };
        let view = self.view()?;
        let numbers: Vec<u32> =
            if uid { sorted } else { sorted.into_iter().filter_map(|uid| view.number(uid)).collect() };
        match returns {
            Some(returns) => self.tell_sorted(tag, uid, &numbers, returns, modseq),
            None => {
                self.wire.responses.raw("* SORT");
                for number in numbers {
                    self.wire.responses.raw(" ").number(number);
                }
                if let Some(modseq) = modseq {
                    self.wire.responses.raw(" (MODSEQ ").number(modseq).raw(")");
                }
                self.wire.responses.crlf();
            }
        }
        if returns.is_some_and(|returns| returns.update) {
            let (correlator, results) = (Correlator::of(tag), Results::sorted(in_order, criteria));
            let sought = sought.to_be_followed();
            let share = self.shared.contexts.share();
            self.follow_results(Context { correlator, uid, sought, results, fetched, share }, refused);
        }
        Ok(Outcome::ok("SORT completed"))
    }

    /// Reads what the criteria ask for, of each message that is still there.
    pub(super) async fn sortable(
        &self,
        uids: &[Uid],
        criteria: &[SortCriterion],
    ) -> Result<Vec<Sortable>, Failure> {
        let by_row = criteria.iter().all(|by| matches!(by.key, SortKey::Arrival | SortKey::Size));
        let mut sortable = Vec::with_capacity(uids.len());
        for batch in uids.chunks(OUTLINES) {
            let rows = self.rows_of(batch)?;
            if by_row {
                sortable.extend(rows.iter().map(|row| Sortable::new(row, b"", criteria)));
                tokio::task::consume_budget().await;
                continue;
            }
            let visit = |row: &Row, fields: &[u8]| sortable.push(Sortable::new(row, fields, criteria));
            self.visit_fields(&rows, visit).await?;
        }
        Ok(sortable)
    }

    /// RFC 5267 §3: the same results as those of SEARCH, in the order of the criteria.
    fn tell_sorted(
        &mut self,
        tag: &str,
        uid: bool,
        numbers: &[u32],
        returns: ReturnOptions,
        modseq: Option<ModSeq>,
    ) {
        self.esearch_head(&Correlator::of(tag), uid);
        let responses = &mut self.wire.responses;
        if let (true, Some(first)) = (returns.min, numbers.first()) {
            responses.raw(" MIN ").number(*first);
        }
        if let (true, Some(last)) = (returns.max, numbers.last()) {
            responses.raw(" MAX ").number(*last);
        }
        if returns.all && !numbers.is_empty() {
            responses.raw(" ALL ").raw(&runs(numbers));
        }
        if let Some(partial) = returns.partial {
            responses.partial(partial, &runs(partial.of(numbers)));
        }
        if returns.count {
            responses.raw(" COUNT ").number(numbers.len() as u64);
        }
        if let Some(modseq) = modseq {
            responses.raw(" MODSEQ ").number(modseq);
        }
        responses.crlf();
    }
}

/// Sorts on a thread that may block: there may be very many.
async fn in_order(
    mut sortable: Vec<Sortable>,
    criteria: Vec<SortCriterion>,
) -> Result<(Vec<Sortable>, Vec<SortCriterion>), Failure> {
    let sorted = tokio::task::spawn_blocking(move || {
        sortable.sort_by(|one, other| one.compare(other, &criteria));
        (sortable, criteria)
    });
    sorted.await.map_err(|error| {
        tracing::error!(%error, "a result was not sorted");
        Failure::Refused(Outcome::no("UNAVAILABLE", "the result cannot be sorted now"))
    })
}

impl Sortable {
    pub(super) fn uid(&self) -> Uid {
        self.uid
    }

    /// Octets that it takes, roughly.
    pub(super) fn octets(&self) -> usize {
        let texts = self.values.iter().map(|value| match value {
            Value::Number(_) => 0,
            Value::Text(text) => text.capacity() + ALLOCATION,
        });
        size_of::<Self>() + self.values.capacity() * size_of::<Value>() + ALLOCATION + texts.sum::<usize>()
    }

    fn new(row: &Row, fields: &[u8], criteria: &[SortCriterion]) -> Self {
        let envelope = Envelope::parse(fields);
        let values = criteria.iter().map(|by| value(by.key, row, fields, &envelope)).collect();
        Self { uid: row.uid, values }
    }

    /// Where nothing else tells them apart, the order of the mailbox does (RFC 5256 §3).
    pub(super) fn compare(&self, other: &Self, criteria: &[SortCriterion]) -> Ordering {
        let mut orders = self.values.iter().zip(&other.values).zip(criteria).map(|((one, other), by)| {
            let order = one.cmp(other);
            if by.reverse { order.reverse() } else { order }
        });
        orders.find(|order| order.is_ne()).unwrap_or_else(|| self.uid.cmp(&other.uid))
    }

    #[cfg(test)]
    pub(super) fn by_number(uid: Uid, number: i64) -> Self {
        Self { uid, values: vec![Value::Number(number)] }
    }
}

fn value(key: SortKey, row: &Row, fields: &[u8], envelope: &Envelope) -> Value {
    match key {
        SortKey::Arrival => Value::Number(row.internal_date.as_second()),
        SortKey::Size => Value::Number(row.size.cast_signed()),
        SortKey::Date => Value::Number(sent(fields, row)),
        SortKey::Subject => {
            let subject = header::first(fields, "Subject").unwrap_or_default();
            text(&casemap(&BaseSubject::of(subject).text))
        }
        SortKey::Cc => text(&local_part(&envelope.cc)),
        SortKey::From => text(&local_part(&envelope.from)),
        SortKey::To => text(&local_part(&envelope.to)),
        SortKey::DisplayFrom => text(&display(&envelope.from)),
        SortKey::DisplayTo => text(&display(&envelope.to)),
    }
}

/// No more than the beginning: there may be very many.
fn text(text: &str) -> Value {
    Value::Text(text[..text.floor_char_boundary(TEXT)].to_owned())
}

/// The date sent (RFC 5256 §2.2), in seconds since 1970.
pub(super) fn sent(fields: &[u8], row: &Row) -> i64 {
    let date = header::first(fields, "Date").and_then(DateTime::parse);
    date.map_or(row.internal_date, |date| date.timestamp()).as_second()
}

/// `addr-mailbox` of the first address; of a group its name (RFC 9051 §7.5.2).
fn local_part(list: &[Entry]) -> String {
    casemap(match list.first() {
        Some(Entry::Mailbox(mailbox)) => &mailbox.local_part,
        Some(Entry::GroupStart(name)) => name,
        Some(Entry::GroupEnd) | None => "",
    })
}

/// RFC 5957 §3.
fn display(list: &[Entry]) -> String {
    match list.first() {
        Some(Entry::Mailbox(Mailbox { name, local_part, domain, .. })) => {
            let name = name.as_deref().map(|name| words::decode(name.as_bytes())).unwrap_or_default();
            if name.is_empty() { casemap(&format!("{local_part}@{domain}")) } else { casemap(&name) }
        }
        Some(Entry::GroupStart(name)) => casemap(name),
        Some(Entry::GroupEnd) | None => String::new(),
    }
}
