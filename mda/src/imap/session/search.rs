//! SEARCH and UID SEARCH (RFC 9051 §6.4.4).

mod several;
mod test;

use std::sync::Arc;

use bytes::Bytes;
use message::mime::Structure;

use super::context::{Context, Correlator, Results};
use super::progress::Progress;
use super::{Done, Failure, NO_UIDS, Outcome, Session};
use crate::fulltext::{Hits, MAX_LEARNED};
use crate::imap::content::Content;
use crate::imap::parse::{MessageSet, PartialRange, ReturnOptions, Search};
use crate::imap::response::{Condition, Responses, uid_set};
use crate::imap::view::View;
use crate::outline::Outline;
use crate::store::{AccountId, EmailId, Index, MailStore, ModSeq, Row, StoreError, Uid, UidSet};
use crate::text::DecodedText;

pub(super) use several::Asking;
use test::Candidate;
pub(super) use test::Test;

/// Messages whose outlines are read at once.
pub(super) const OUTLINES: usize = 256;
/// What may be asked of messages before others get their turn, by [`Test::weight`].
const AT_ONCE: usize = 64 * 1024;
/// Messages up to this size are read one behind the other; larger ones wait for memory.
const SMALL: u64 = 128 * 1024;

impl<S: MailStore> Session<S> {
    pub(super) async fn search(&mut self, tag: &str, uid: bool, search: Search) -> Done {
        let returns = search.returns;
        self.check_context_tag(tag, returns)?;
        let asks_modseq = search.key.asks_modseq();
        if asks_modseq {
            self.enable_modseqs();
        }
        self.catch_up(NO_UIDS).await?;
        self.tell_contexts().await?;
        let (refused, fetched) = (self.why_not_followed(&search), search.fetched.clone());
        let save = returns.is_some_and(|returns| returns.save);
        let (found, sought) = match self.find(tag, search).await {
            Ok(found) => found,
            Err(failure) => {
                if save {
                    self.save_failed(&failure);
                }
                return Err(failure);
            }
        };
        if save && let Some(selected) = &mut self.selected {
            selected.view.saved = saved(&found, returns.unwrap_or_default());
        }
        let modseq = if asks_modseq { self.highest_modseq_told(&found, returns) } else { None };
        let results = returns.filter(|returns| returns.update).map(|_| Results::found(&found));
        let numbers = if uid { found } else { self.numbers_of(&found)? };
        self.tell_found(tag, uid, &numbers, returns, modseq);
        if let Some(results) = results {
            let (correlator, sought) = (Correlator::of(tag), sought.to_be_followed());
            let share = self.shared.contexts.share();
            self.follow_results(Context { correlator, uid, sought, results, fetched, share }, refused);
        }
        Ok(Outcome::ok("SEARCH completed"))
    }

    /// A search that fails leaves nothing in `$`; one that is wrong leaves it as it was (RFC 5182 §2.1).
    pub(super) fn save_failed(&mut self, failure: &Failure) {
        let is_wrong = matches!(failure, Failure::Refused(outcome) if outcome.condition == Condition::Bad);
        if !is_wrong {
            self.save_nothing();
        }
    }

    pub(super) fn save_nothing(&mut self) {
        if let Some(selected) = &mut self.selected {
            selected.view.saved = UidSet::default();
        }
    }

    /// The UIDs of all messages of the selected mailbox that match, ascending, and what was asked of them.
    pub(super) async fn find(
        &mut self,
        tag: &str,
        search: Search,
    ) -> Result<(Vec<Uid>, Arc<Sought>), Failure> {
        let owner = self.selected.as_ref().map_or(AccountId(0), |selected| selected.owner);
        let test = test_in(self.view()?, search)?;
        let hits = self.hits(owner, &test).await;
        let (index, sought) = (Arc::clone(self.view()?.index()), Arc::new(Sought::new(test, hits)));
        let mut progress = self.progress(tag, index.len().into());
        let mut read = Vec::new();
        let found = self.find_in(&index, &sought, progress.as_mut(), &mut read).await?;
        self.shared.options.full_text.read_in_vain(owner, read);
        Ok((found, sought))
    }

    /// None: the client knows nothing of it.
    pub(super) fn progress(&self, tag: &str, messages: u64) -> Option<Progress> {
        self.offers("INPROGRESS").then(|| Progress::begin(tag, messages))
    }

    /// What the index of an account's messages says of the words that are sought.
    pub(super) async fn hits(&self, owner: AccountId, test: &Test) -> Arc<Hits> {
        let mut words = Vec::new();
        test.add_words(&mut words);
        Arc::new(self.shared.options.full_text.hits(owner, words).await)
    }

    /// Adds to `read` the messages that an index would have to know to spare the reading.
    pub(super) async fn find_in(
        &mut self,
        index: &Index,
        sought: &Sought,
        mut progress: Option<&mut Progress>,
        read: &mut Vec<EmailId>,
    ) -> Result<Vec<Uid>, Failure> {
        let mut found = Vec::new();
        let mut entries = index.iter().filter(|entry| sought.test.may_match(entry.uid()));
        loop {
            // A search may last for minutes, and longer than what let the client in.
            self.wire.check_over()?;
            let rows: Vec<Row> =
                entries.by_ref().take(sought.at_once()).map(|entry| index.row(entry)).collect();
            if rows.is_empty() {
                return Ok(found);
            }
            sought.let_others().await;
            found.extend(self.matching(sought, &rows, read).await?);
            if let Some(progress) = &mut progress
                && progress.add(rows.len() as u64, &mut self.wire.responses)
            {
                self.wire.flush_unless_over().await?;
            }
        }
    }

    /// Those that match, ascending. Reads of the messages only what the question needs: nothing, their outlines, their
    /// headers, or all of them. Adds to `read` those that an index would have to know to spare the reading.
    async fn matching(
        &self,
        sought: &Sought,
        rows: &[Row],
        read: &mut Vec<EmailId>,
    ) -> Result<Vec<Uid>, Failure> {
        let mut found = Vec::new();
        let mut open = Vec::new();
        for row in rows {
            match sought.answer(&sought.candidate(row)) {
                Some(true) => found.push(row.uid),
                Some(false) => {}
                None => open.push(row),
            }
        }
        if open.is_empty() {
            return Ok(found);
        }
        let outlines = self.shared.store.outlines(open.iter().map(|row| row.email).collect()).await;
        let mut unread = Vec::new();
        for (row, outline) in open.into_iter().zip(outlines) {
            let Some(outline) = readable(outline)? else { continue };
            let fields = outline.fields().cloned();
            match sought.answer(&Candidate { fields: fields.as_deref(), ..sought.candidate(row) }) {
                Some(true) => found.push(row.uid),
                Some(false) => {}
                None => unread.push((row.clone(), outline)),
            }
        }
        let is_new = |row: &Row| sought.learns && row.size <= MAX_LEARNED && !sought.hits.knows(row.email);
        read.extend(unread.iter().map(|(row, _)| row).filter(|row| is_new(row)).map(|row| row.email));
        let (small, large) = unread.into_iter().partition(|(row, _)| row.size <= SMALL);
        found.extend(self.read_small(sought, small).await?);
        for (row, outline) in large {
            if readable(self.read_large(sought, &row, outline).await)? == Some(true) {
                found.push(row.uid);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Reads small messages one after the other.
    async fn read_small(&self, sought: &Sought, messages: Vec<(Row, Outline)>) -> Result<Vec<Uid>, Failure> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let emails = messages.iter().map(|(row, _)| row.email).collect();
        let (answers, mut answered) = tokio::sync::mpsc::unbounded_channel();
        let sought = sought.clone();
        let visit = move |place: usize, octets: Result<Bytes, StoreError>| {
            let Some((row, outline)) = messages.get(place) else { return };
            let answer = octets.map(|octets| sought.matches(row, outline, &octets));
            // Nobody listens if the client is gone.
            let _ = answers.send((row.uid, answer));
        };
        self.shared.store.read_each(emails, visit).await?;
        let mut found = Vec::new();
        while let Some((uid, answer)) = answered.recv().await {
            if readable(answer)? == Some(true) {
                found.push(uid);
            }
        }
        Ok(found)
    }

    /// Reads of a large message only the header, if that answers the question.
    async fn read_large(&self, sought: &Sought, row: &Row, outline: Outline) -> Result<bool, StoreError> {
        let (store, look_into) = (self.shared.store.clone(), Arc::clone(&self.shared.look_into));
        let mut content = Content::new(store, look_into, row.email, row.size, Some(outline.clone()));
        content.load_header().await?;
        let header = content.header();
        if let Some(answer) = sought.answer(&Candidate { header: Some(&header), ..sought.candidate(row) }) {
            return Ok(answer);
        }
        let whole = content.whole().await?;
        let (sought, row) = (sought.clone(), row.clone());
        // Decoding may take long.
        let answer = tokio::task::spawn_blocking(move || sought.matches(&row, &outline, &whole.octets));
        answer.await.map_err(|error| StoreError::Io {
            what: "a message was not searched".into(),
            reason: error.to_string(),
        })
    }

    /// Visits each of these messages that is there and whole, with the fields that outlines have. One after the other:
    /// where an outline lacks them they may be large.
    pub(super) async fn visit_fields(
        &self,
        rows: &[Row],
        mut visit: impl FnMut(&Row, &[u8]),
    ) -> Result<(), Failure> {
        let outlines = self.shared.store.outlines(rows.iter().map(|row| row.email).collect()).await;
        for (row, outline) in rows.iter().zip(outlines) {
            let (store, look_into) = (self.shared.store.clone(), Arc::clone(&self.shared.look_into));
            let content =
                outline.map(|outline| Content::new(store, look_into, row.email, row.size, Some(outline)));
            let loaded = match content {
                Ok(mut content) => content.load_fields().await.map(|()| content.fields()),
                Err(error) => Err(error),
            };
            if let Some(fields) = readable(loaded)? {
                visit(row, &fields);
            }
        }
        Ok(())
    }

    fn numbers_of(&self, uids: &[Uid]) -> Result<Vec<u32>, Failure> {
        let view = self.view()?;
        Ok(uids.iter().filter_map(|uid| view.number(*uid)).collect())
    }

    /// RFC 4731 §3.2: the greatest of the messages that are told; of all if they are counted.
    pub(super) fn highest_modseq_told(
        &self,
        found: &[Uid],
        returns: Option<ReturnOptions>,
    ) -> Option<ModSeq> {
        self.highest_modseq_of(saved(found, returns.unwrap_or_default()).iter())
    }

    fn tell_found(
        &mut self,
        tag: &str,
        uid: bool,
        numbers: &[u32],
        returns: Option<ReturnOptions>,
        modseq: Option<ModSeq>,
    ) {
        let all = ReturnOptions { all: true, ..ReturnOptions::default() };
        let returns = match returns {
            Some(returns) => returns,
            None if self.rev2() => all,
            None => return self.tell_found_rev1(numbers, modseq),
        };
        let tells = returns.min || returns.max || returns.all || returns.count || returns.partial.is_some();
        if returns.save && !tells {
            // SAVE alone: the client wants nothing told (RFC 9051 §6.4.4.1).
            return;
        }
        self.esearch_head(&Correlator::of(tag), uid);
        self.tell_results(numbers, returns, modseq);
    }

    /// `*(SP search-return-data)` of ESEARCH.
    pub(super) fn tell_results(&mut self, numbers: &[u32], returns: ReturnOptions, modseq: Option<ModSeq>) {
        let responses = &mut self.wire.responses;
        if let (true, Some(min)) = (returns.min, numbers.first()) {
            responses.raw(" MIN ").number(*min);
        }
        if let (true, Some(max)) = (returns.max, numbers.last()) {
            responses.raw(" MAX ").number(*max);
        }
        if returns.all && !numbers.is_empty() {
            responses.raw(" ALL ").raw(&uid_set(&numbers.iter().copied().collect()));
        }
        if let Some(partial) = returns.partial {
            responses.partial(partial, &uid_set(&partial.of(numbers).iter().copied().collect()));
        }
        if returns.count {
            responses.raw(" COUNT ").number(numbers.len() as u64);
        }
        if let Some(modseq) = modseq {
            responses.raw(" MODSEQ ").number(modseq);
        }
        responses.crlf();
    }

    fn tell_found_rev1(&mut self, numbers: &[u32], modseq: Option<ModSeq>) {
        let responses = &mut self.wire.responses;
        responses.raw("* SEARCH");
        for number in numbers {
            responses.raw(" ").number(*number);
        }
        if let Some(modseq) = modseq {
            responses.raw(" (MODSEQ ").number(modseq).raw(")");
        }
        responses.crlf();
    }
}

/// RFC 9051 §6.4.4.4, RFC 9394 §3.2: without ALL and COUNT, only what is told is kept.
pub(super) fn saved(found: &[Uid], returns: ReturnOptions) -> UidSet {
    let some = returns.min || returns.max || returns.partial.is_some();
    if returns.all || returns.count || !some {
        return found.iter().copied().collect();
    }
    let min = found.first().filter(|_| returns.min);
    let max = found.last().filter(|_| returns.max);
    let partial = returns.partial.map(|partial| partial.of(found)).unwrap_or_default();
    partial.iter().chain(min).chain(max).copied().collect()
}

impl Responses {
    /// `PARTIAL (range results)` of ESEARCH (RFC 9394 §3.1).
    pub(super) fn partial(&mut self, partial: PartialRange, results: &str) {
        let sign = if partial.from_last { "-" } else { "" };
        self.raw(" PARTIAL (").raw(sign).number(partial.ends.0).raw(":").raw(sign).number(partial.ends.1);
        self.raw(" ").raw(if results.is_empty() { "NIL" } else { results }).raw(")");
    }
}

/// What is asked of the messages of a mailbox.
pub(super) fn test_in(view: &View, search: Search) -> Result<Test, Failure> {
    if let Some(charset) = &search.charset
        && !matches!(charset.as_str(), "US-ASCII" | "UTF-8")
    {
        let outcome = Outcome::no("BADCHARSET (US-ASCII UTF-8)", "the charset is not supported");
        return Err(Failure::Refused(outcome));
    }
    let follows = search.returns.is_some_and(|returns| returns.update);
    Test::new(search.key, &|set: &MessageSet, uid| {
        let to_come = if follows && uid { view.named_to_come(set) } else { None };
        Ok(to_come.unwrap_or_else(|| view.within(set, uid)))
    })
}

/// What a search is about.
#[derive(Clone)]
pub(super) struct Sought {
    test: Arc<Test>,
    /// Words are sought in the text of messages, and an index may learn it.
    learns: bool,
    /// What an index says of the words in it.
    hits: Arc<Hits>,
}

impl Sought {
    pub(super) fn new(test: Test, hits: Arc<Hits>) -> Self {
        let mut words = Vec::new();
        test.add_words(&mut words);
        Self { test: Arc::new(test), learns: !words.is_empty(), hits }
    }

    /// The same to be asked of other messages later: what an index says now is of no use then.
    pub(super) fn to_be_followed(&self) -> Arc<Self> {
        Arc::new(Self { test: Arc::clone(&self.test), learns: false, hits: Arc::default() })
    }

    /// Octets that it takes, roughly.
    pub(super) fn octets(&self) -> usize {
        self.test.octets()
    }

    /// What a message answers depends on what may change in it.
    pub(super) fn asks_flags(&self) -> bool {
        self.test.asks_flags()
    }

    /// Messages that are asked before others get their turn.
    fn at_once(&self) -> usize {
        (AT_ONCE / self.test.weight()).clamp(1, OUTLINES)
    }

    async fn let_others(&self) {
        if self.at_once() < OUTLINES {
            tokio::task::yield_now().await;
        } else {
            tokio::task::consume_budget().await;
        }
    }

    /// A message of which nothing but its row is known, and what an index knows.
    fn candidate<'a>(&'a self, row: &'a Row) -> Candidate<'a> {
        Candidate { row, hits: Some(&self.hits), fields: None, header: None, text: None }
    }

    fn answer(&self, candidate: &Candidate<'_>) -> Option<bool> {
        self.test.answer(candidate)
    }

    /// Asks a message that is in memory.
    fn matches(&self, row: &Row, outline: &Outline, message: &[u8]) -> bool {
        let length = usize::try_from(outline.header_length()).unwrap_or(usize::MAX);
        let header = &message[..length.min(message.len())];
        let known = Candidate { header: Some(header), ..self.candidate(row) };
        self.answer(&known).unwrap_or_else(|| {
            let structure = outline.structure().unwrap_or_else(|| Structure::parse(message));
            let text = DecodedText::new(message, &structure);
            self.answer(&Candidate { text: Some(&text), ..known }).unwrap_or(false)
        })
    }
}

/// What was read of a message; `None` if it is gone, or damaged: one such message must not hide all others from every
/// search.
fn readable<T>(read: Result<T, StoreError>) -> Result<Option<T>, Failure> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(StoreError::Expunged) => Ok(None),
        Err(error @ StoreError::CorruptBody { .. }) => {
            tracing::error!(%error, "a message cannot be searched");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
