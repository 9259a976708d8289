//! Messages that are asked by several searches at once: each is read once, whoever asks.

use std::sync::Arc;

use super::{AT_ONCE, Candidate, Content, OUTLINES, Sought, readable};
use crate::imap::session::{Failure, Session};
use crate::outline::Outline;
use crate::store::{Difference, Index, MailStore, Row, StoreError, Uid};
use crate::text::DecodedText;
use message::mime::Structure;

/// Messages that are read for all searches of one change.
const MESSAGES: usize = 1_000;
/// Octets of them; the message that goes beyond is the last.
const OCTETS: u64 = 16 << 20;

/// A search that asks of what changed in a mailbox.
pub(in crate::imap::session) struct Asking {
    sought: Arc<Sought>,
    /// Which of the messages match.
    pub(in crate::imap::session) matching: Vec<Uid>,
    /// More would have to be read than may be.
    pub(in crate::imap::session) is_given_up: bool,
}

/// A message, and which of those that ask must know more of it.
struct Open {
    row: Row,
    by: Vec<usize>,
}

/// What may be read yet.
struct Allowance {
    messages: usize,
    octets: u64,
}

impl Asking {
    pub(in crate::imap::session) fn new(sought: Arc<Sought>) -> Self {
        Self { sought, matching: Vec::new(), is_given_up: false }
    }

    /// True: more of the message must be known.
    fn ask(&mut self, uid: Uid, candidate: &Candidate<'_>) -> bool {
        let answer = self.sought.answer(candidate);
        self.take(uid, answer)
    }

    /// The same of an answer.
    fn take(&mut self, uid: Uid, answer: Option<bool>) -> bool {
        match answer {
            Some(true) => self.matching.push(uid),
            Some(false) => {}
            None => return true,
        }
        false
    }
}

impl Allowance {
    fn take(&mut self, messages: usize, octets: u64) -> bool {
        let is_left = self.messages >= messages && self.octets > 0;
        if is_left {
            self.messages -= messages;
            self.octets = self.octets.saturating_sub(octets);
        }
        is_left
    }
}

fn give_up(asking: &mut [Asking], by: &[usize]) {
    for at in by {
        asking[*at].is_given_up = true;
    }
}

impl<S: MailStore> Session<S> {
    /// Asks the messages that are new for all, and those that changed for those whose answer may change with them.
    pub(in crate::imap::session) async fn ask_for_all(
        &self,
        index: &Index,
        difference: &Difference,
        asking: &mut [Asking],
    ) -> Result<(), Failure> {
        let weight: usize = asking.iter().map(|asking| asking.sought.test.weight()).sum();
        let at_once = (AT_ONCE / weight.max(1)).clamp(1, OUTLINES);
        let mut allowance = Allowance { messages: MESSAGES, octets: OCTETS };
        for (uids, are_new) in [(&difference.new, true), (&difference.changed, false)] {
            for some in uids.chunks(at_once) {
                let asks = |asking: &Asking| !asking.is_given_up && (are_new || asking.sought.asks_flags());
                let by: Vec<usize> = (0..asking.len()).filter(|at| asks(&asking[*at])).collect();
                if by.is_empty() {
                    break;
                }
                self.wire.check_over()?;
                // There may be very many, in each of very many sessions.
                tokio::task::yield_now().await;
                let rows = some.iter().filter_map(|uid| index.get(*uid)).map(|entry| index.row(entry));
                let open = rows.map(|row| Open { row, by: by.clone() }).collect();
                self.ask_some(open, asking, &mut allowance).await?;
            }
        }
        Ok(())
    }

    async fn ask_some(
        &self,
        mut open: Vec<Open>,
        asking: &mut [Asking],
        allowance: &mut Allowance,
    ) -> Result<(), Failure> {
        open.retain_mut(|Open { row, by }| {
            let known = Candidate { row: &*row, hits: None, fields: None, header: None, text: None };
            by.retain(|at| asking[*at].ask(known.row.uid, &known));
            !by.is_empty()
        });
        if open.is_empty() {
            return Ok(());
        }
        let outlines = self.shared.store.outlines(open.iter().map(|open| open.row.email).collect()).await;
        for (Open { row, mut by }, outline) in open.into_iter().zip(outlines) {
            let Some(outline) = readable(outline)? else { continue };
            let fields = outline.fields().cloned();
            let known =
                Candidate { row: &row, hits: None, fields: fields.as_deref(), header: None, text: None };
            by.retain(|at| !asking[*at].is_given_up && asking[*at].ask(row.uid, &known));
            if !by.is_empty() {
                readable(self.read_for(Open { row, by }, outline, asking, allowance).await)?;
            }
        }
        Ok(())
    }

    /// Reads of a message the header, and the rest if that is not enough.
    async fn read_for(
        &self,
        Open { row, mut by }: Open,
        outline: Outline,
        asking: &mut [Asking],
        allowance: &mut Allowance,
    ) -> Result<(), StoreError> {
        let (store, look_into) = (self.shared.store.clone(), Arc::clone(&self.shared.look_into));
        let mut content = Content::new(store, look_into, row.email, row.size, Some(outline.clone()));
        if !allowance.take(1, content.header_length()) {
            give_up(asking, &by);
            return Ok(());
        }
        content.load_header().await?;
        let (header, uid) = (content.header(), row.uid);
        let soughts = soughts_of(asking, &by);
        let (row, header, answers) = aside(move || {
            let known = Candidate { row: &row, hits: None, fields: None, header: Some(&header), text: None };
            let answers: Vec<_> = soughts.iter().map(|sought| sought.answer(&known)).collect();
            (row, header, answers)
        })
        .await?;
        let mut answers = answers.into_iter();
        by.retain(|at| asking[*at].take(uid, answers.next().flatten()));
        if by.is_empty() {
            return Ok(());
        }
        if !allowance.take(0, row.size) {
            give_up(asking, &by);
            return Ok(());
        }
        let whole = content.whole().await?;
        let soughts = soughts_of(asking, &by);
        let answers = aside(move || {
            let structure = outline.structure().unwrap_or_else(|| Structure::parse(&whole.octets));
            let text = DecodedText::new(&whole.octets, &structure);
            let known =
                Candidate { row: &row, hits: None, fields: None, header: Some(&header), text: Some(&text) };
            soughts.iter().map(|sought| sought.answer(&known)).collect::<Vec<_>>()
        })
        .await?;
        for (at, answer) in by.into_iter().zip(answers) {
            asking[at].take(uid, answer);
        }
        Ok(())
    }
}

fn soughts_of(asking: &[Asking], by: &[usize]) -> Vec<Arc<Sought>> {
    by.iter().map(|at| Arc::clone(&asking[*at].sought)).collect()
}

/// Asks on a thread that may block: a header may be large, decoding takes long, and a thousand things may be asked of each.
async fn aside<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(ask).await.map_err(|error| StoreError::Io {
        what: "a message was not searched".into(),
        reason: error.to_string(),
    })
}
