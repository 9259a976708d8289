//! Searches whose results a client follows (CONTEXT, RFC 5267 §4.3): it is told which messages come to match, and which
//! do no more.
//!
//! A context keeps what it asks and what matched when the client was told last. When the client has heard what happened
//! in the mailbox, only the messages that came or changed are asked again, by all contexts at once. What is gone is told
//! before the EXPUNGE that ends its number, all else behind the EXISTS and FETCH that it comes from.

mod budget;
mod results;

use std::sync::Arc;

use super::search::{Asking, Sought};
use super::{Failure, Outcome, Selected, Session, bad};
use crate::imap::parse::{
    FetchItem, FetchModifiers, MessageSet, ReturnOptions, Search, SearchKey, SequenceSet, SetEnd,
};
use crate::imap::wire::Ended;
use crate::store::{Difference, Index, MailStore, MailboxName, Uid, UidSet};

pub(in crate::imap) use budget::Budget;
pub(super) use budget::Share;
use results::Places;
pub(super) use results::{Results, runs};

/// Contexts of one session; RFC 5267 §4.3.1 wants one at least.
const CONTEXTS: usize = 16;
/// Octets that the contexts of one session keep, in what they ask and in their results.
const OCTETS: usize = 8 << 20;
/// What a piece of memory takes beside its content, roughly.
pub(super) const ALLOCATION: usize = 16;

const TOO_MANY: &str = "there are too many results to keep them";
const NO_ROOM: &str = "the server follows too many results for its clients now";
const TOO_MUCH: &str = "too much would have to be read to tell what matches";

/// The contexts of a selected mailbox.
#[derive(Default)]
pub(super) struct Contexts {
    list: Vec<Context>,
    /// The mailbox as it was when they were told last; none while there is no context.
    told: Option<Arc<Index>>,
}

/// A search whose results the client follows.
pub(super) struct Context {
    pub(super) correlator: Correlator,
    /// Its results are UIDs.
    pub(super) uid: bool,
    pub(super) sought: Arc<Sought>,
    pub(super) results: Results,
    /// What is fetched of messages that come and match (RFC 5465 §7).
    pub(super) fetched: Vec<FetchItem>,
    /// What it takes of the memory for all contexts.
    pub(super) share: Share,
}

/// By what the client knows which search it is told of.
#[derive(Debug, Clone)]
pub(super) struct Correlator {
    pub(super) tag: String,
    /// Of a search of several mailboxes (RFC 7377 §2.1): the name and the UIDVALIDITY.
    pub(super) mailbox: Option<(MailboxName, u32)>,
}

impl Contexts {
    fn octets(&self) -> usize {
        self.list.iter().map(|context| context.share.octets()).sum()
    }

    /// Goes on to a later index; gives the one before if it is another.
    fn advance(&mut self, index: &Arc<Index>) -> Option<Arc<Index>> {
        let told = self.told.as_mut()?;
        (!Arc::ptr_eq(told, index)).then(|| std::mem::replace(told, Arc::clone(index)))
    }

    fn end(&mut self, tag: &str) {
        self.list.retain(|context| context.correlator.tag != tag);
        if self.list.is_empty() {
            *self = Self::default();
        }
    }
}

impl Context {
    /// Octets that it takes, roughly.
    fn octets(&self) -> usize {
        let fetched: usize = self.fetched.iter().map(FetchItem::octets).sum();
        size_of::<Self>() + self.correlator.tag.len() + self.sought.octets() + self.results.octets() + fetched
    }

    /// What it takes now is counted. False: there is no room for it.
    fn is_counted(&mut self) -> bool {
        let octets = self.octets();
        self.share.resize(octets)
    }
}

impl<S: MailStore> Session<S> {
    /// A tag whose search is followed still must not be used for another such (RFC 5267 §4.3).
    pub(super) fn check_context_tag(&self, tag: &str, returns: Option<ReturnOptions>) -> Result<(), Failure> {
        if !returns.is_some_and(|returns| returns.update) {
            return Ok(());
        }
        // It could not be told from the end of the code in NOUPDATE.
        if tag.contains(']') {
            return Err(bad("a search is not followed by a tag with ]: take another tag"));
        }
        let contexts = self.selected.as_ref().map_or(&[][..], |selected| &selected.contexts.list);
        if contexts.iter().any(|context| context.correlator.tag == tag) {
            return Err(bad("a search by this tag is followed: cancel it, or take another tag"));
        }
        Ok(())
    }

    /// Why the results of a search cannot be followed, whatever they are, if they are to be.
    pub(super) fn why_not_followed(&self, search: &Search) -> Option<&'static str> {
        search.returns.filter(|returns| returns.update)?;
        let Selected { view, contexts, .. } = self.selected.as_ref()?;
        if contexts.list.len() >= CONTEXTS {
            return Some("too many searches are followed: cancel one");
        }
        if search.key.any(&|key| matches!(key, SearchKey::Older(_) | SearchKey::Younger(_))) {
            return Some("what matches by its age changes without a word");
        }
        let by_last =
            |key: &SearchKey| matches!(key, SearchKey::Uid(set) if view.named_to_come(set).is_none());
        search.key.any(&by_last).then_some("a UID that is the last, whichever it is, cannot be followed")
    }

    /// Tells what becomes of the results from now on, or why not (RFC 5267 §4.3.1). They are those of the mailbox as the
    /// client knows it.
    pub(super) fn follow_results(&mut self, mut context: Context, refused: Option<&'static str>) {
        let Some(Selected { contexts, view, .. }) = &mut self.selected else { return };
        context.fetched.iter_mut().for_each(FetchItem::detach);
        let refused = match refused {
            None if contexts.octets() + context.octets() > OCTETS => Some(TOO_MANY),
            None if !context.is_counted() => Some(NO_ROOM),
            refused => refused,
        };
        match refused {
            Some(why) => self.tell_no_update(&context.correlator.tag, why),
            None => {
                contexts.told = Some(Arc::clone(view.index()));
                contexts.list.push(context);
            }
        }
    }

    /// The tag is no more than atoms have, and needs no escapes.
    pub(super) fn tell_no_update(&mut self, tag: &str, why: &str) {
        self.wire.responses.untagged(&Outcome::no(format!("NOUPDATE \"{tag}\""), why));
    }

    /// CANCELUPDATE (RFC 5267 §4.3.5). What is followed no more, or never was, needs no end.
    pub(super) fn cancel_update(&mut self, tags: &[String]) -> Outcome {
        if let Some(Selected { contexts, .. }) = &mut self.selected {
            for tag in tags {
                contexts.end(tag);
            }
        }
        Outcome::ok("CANCELUPDATE completed")
    }

    /// To be called before the client is told that messages are gone which are not in an index any more: their numbers
    /// are good until then (RFC 5267 §4.3.4).
    pub(super) async fn tell_left(&mut self, index: &Index) -> Result<(), Ended> {
        // What a session that waits needs no room for.
        if self.has_contexts() { Box::pin(self.tell_gone_results(index)).await } else { Ok(()) }
    }

    async fn tell_gone_results(&mut self, index: &Index) -> Result<(), Ended> {
        let Some(Selected { contexts, .. }) = &mut self.selected else { return Ok(()) };
        let Some(told) = &contexts.told else { return Ok(()) };
        let gone: UidSet = index.since(told).gone.into_iter().collect();
        if gone.is_empty() {
            return Ok(());
        }
        let mut list = std::mem::take(&mut contexts.list);
        for context in &mut list {
            let left = context.results.remove(&gone);
            self.tell_update(context, &left, &Places::new());
            self.wire.relieve().await?;
        }
        self.put_back(list);
        Ok(())
    }

    /// Tells what became of the results by all that the client has heard of the mailbox.
    pub(super) async fn tell_contexts(&mut self) -> Result<(), Ended> {
        if self.has_contexts() { Box::pin(self.bring_all_up_to_date()).await } else { Ok(()) }
    }

    fn has_contexts(&self) -> bool {
        self.selected.as_ref().is_some_and(|selected| selected.contexts.told.is_some())
    }

    async fn bring_all_up_to_date(&mut self) -> Result<(), Ended> {
        // What is fetched of new messages may show more of the mailbox.
        loop {
            let Some(Selected { contexts, view, .. }) = &mut self.selected else { return Ok(()) };
            let index = Arc::clone(view.index());
            let Some(told) = contexts.advance(&index) else { return Ok(()) };
            let difference = index.since(&told);
            let before = std::mem::take(&mut contexts.list);
            let mut asking: Vec<Asking> =
                before.iter().map(|context| Asking::new(Arc::clone(&context.sought))).collect();
            let asked = self.ask_for_all(&index, &difference, &mut asking).await;
            let mut list = Vec::new();
            for (mut context, asking) in before.into_iter().zip(asking) {
                let updated = match &asked {
                    Ok(()) => self.bring_up_to_date(&mut context, asking, &difference).await,
                    Err(Failure::Ended(_)) => break,
                    Err(failure) => {
                        self.give_up(&context, failure);
                        continue;
                    }
                };
                match updated {
                    Ok(()) => list.push(context),
                    Err(Failure::Ended(ended)) => return Err(ended),
                    Err(failure) => self.give_up(&context, &failure),
                }
                self.wire.relieve().await?;
            }
            if let Err(Failure::Ended(ended)) = asked {
                return Err(ended);
            }
            self.put_back(list);
            self.shed();
        }
    }

    fn put_back(&mut self, list: Vec<Context>) {
        if let Some(Selected { contexts, .. }) = &mut self.selected {
            contexts.list = list;
            if contexts.list.is_empty() {
                contexts.told = None;
            }
        }
    }

    /// Where results have become too many, the search with the most is followed no more.
    fn shed(&mut self) {
        while let Some(Selected { contexts, .. }) = &mut self.selected
            && contexts.octets() > OCTETS
            && let Some(largest) = contexts.list.iter().max_by_key(|context| context.share.octets())
        {
            let tag = largest.correlator.tag.clone();
            contexts.end(&tag);
            self.tell_no_update(&tag, TOO_MANY);
        }
    }

    fn give_up(&mut self, context: &Context, failure: &Failure) {
        let why = match failure {
            Failure::Refused(outcome) => outcome.text.clone(),
            Failure::Store(error) => self.store_refused(error).text,
            Failure::Answered | Failure::Ended(_) => String::new(),
        };
        self.tell_no_update(&context.correlator.tag, &why);
    }

    async fn bring_up_to_date(
        &mut self,
        context: &mut Context,
        asking: Asking,
        difference: &Difference,
    ) -> Result<(), Failure> {
        if asking.is_given_up {
            return Err(Failure::Refused(Outcome::no("LIMIT", TOO_MUCH)));
        }
        let changed = if context.sought.asks_flags() { &difference.changed[..] } else { &[] };
        let matching: UidSet = asking.matching.into_iter().collect();
        let members = context.results.members();
        let unmatched = changed.iter().filter(|uid| !matching.contains(**uid));
        let left = difference.gone.iter().chain(unmatched).copied().filter(|uid| members.contains(*uid));
        let left: UidSet = left.collect();
        let came: Vec<Uid> = matching.iter().filter(|uid| !members.contains(*uid)).collect();
        let left = context.results.remove(&left);
        let new = came.iter().copied().filter(|uid| difference.new.binary_search(uid).is_ok());
        let new: Vec<Uid> = if context.fetched.is_empty() { Vec::new() } else { new.collect() };
        let came = match context.results.criteria() {
            None => context.results.add(came),
            Some(criteria) => {
                let sortable = self.sortable(&came, criteria).await?;
                context.results.add_sorted(sortable)
            }
        };
        if !new.is_empty() {
            let new = MessageSet::Numbers(SequenceSet(
                new.into_iter().map(|uid| (SetEnd::Number(uid), SetEnd::Number(uid))).collect(),
            ));
            let fetched = self.fetch(true, &new, context.fetched.clone(), FetchModifiers::default());
            if let Err(Failure::Ended(ended)) = Box::pin(fetched).await {
                return Err(Failure::Ended(ended));
            }
        }
        self.tell_update(context, &left, &came);
        if context.is_counted() { Ok(()) } else { Err(Failure::Refused(Outcome::no("LIMIT", NO_ROOM))) }
    }

    /// ADDTO and REMOVEFROM, the latter first: so places are those of what is left (RFC 5267 §4.3.2).
    fn tell_update(&mut self, context: &Context, left: &Places, came: &Places) {
        if left.is_empty() && came.is_empty() {
            return;
        }
        // Who speaks of no numbers hears of none.
        let by_uid = context.uid || self.style().uid_only;
        let Some(Selected { view, .. }) = &self.selected else { return };
        let text = |places: &Places| {
            let numbered = places.iter().map(|(place, uids)| {
                let number = |uid: &Uid| if by_uid { Some(*uid) } else { view.number(*uid) };
                (*place, uids.iter().filter_map(number).collect::<Vec<u32>>())
            });
            let there = numbered.filter(|(_, numbers)| !numbers.is_empty());
            let texts = there.map(|(place, numbers)| format!("{place} {}", runs(&numbers)));
            texts.collect::<Vec<_>>().join(" ")
        };
        let (left, came) = (text(left), text(came));
        self.esearch_head(&context.correlator, by_uid);
        let responses = &mut self.wire.responses;
        for (item, text) in [(" REMOVEFROM (", left), (" ADDTO (", came)] {
            if !text.is_empty() {
                responses.raw(item).raw(&text).raw(")");
            }
        }
        responses.crlf();
    }

    /// `"ESEARCH" [search-correlator] [SP "UID"]`
    pub(super) fn esearch_head(&mut self, correlator: &Correlator, by_uid: bool) {
        let encoding = self.encoding();
        let responses = &mut self.wire.responses;
        responses.raw("* ESEARCH (TAG ").string(correlator.tag.as_bytes());
        if let Some((name, uid_validity)) = &correlator.mailbox {
            responses.raw(" MAILBOX ").mailbox(name, encoding);
            responses.raw(" UIDVALIDITY ").number(*uid_validity);
        }
        responses.raw(if by_uid { ") UID" } else { ")" });
    }
}

impl Correlator {
    /// Of a search of the selected mailbox.
    pub(super) fn of(tag: &str) -> Self {
        Self { tag: tag.to_owned(), mailbox: None }
    }
}
