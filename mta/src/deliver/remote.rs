//! Another MTA: the hosts of a site, over SMTP.

use std::sync::Arc;

use proto::mail::Reply;
use scheduler::Feedback;
use smtp::client::Stage;

use super::connect::{Connected, Connector, Errand, Unreachable};
use super::letter::{ConversionMemory, Fitted, Letter};
use super::session::Session;
use crate::queue::{Outcome, Verdict};
use crate::reply;
use crate::site::{Site, Sites};
use crate::spool::{Message, Spool};
use crate::tls::Decision;

/// Other MTAs.
pub(crate) struct Remote {
    pub(crate) connector: Arc<Connector>,
    pub(crate) conversion: ConversionMemory,
}

/// What an attempt came to.
pub(crate) struct Attempt {
    /// For each recipient.
    pub(crate) outcomes: Vec<Outcome>,
    /// For the site.
    pub(crate) feedback: Feedback,
    /// The session that was given served.
    pub(crate) reused: bool,
}

/// A message that went over a session, or could not.
struct Transacted {
    session: Session,
    decision: Decision,
    results: Results,
    /// Hosts that were passed over, and why.
    passed: Vec<String>,
    reused: bool,
}

/// What became of a message for each recipient; an error is why this host cannot have it as it is.
type Results = Result<Vec<smtp::client::Outcome>, Reply>;

impl Remote {
    /// The sites that there are.
    pub(crate) fn sites(&self) -> &Sites {
        &self.connector.sites
    }

    /// Makes one attempt to send a message to recipients at a site of theirs, each an index with its number of attempts.
    /// `domain` is the one whose MX records led there, or the recipients' if none did. Uses `session` if it still serves
    /// and is good enough for this message, and leaves in it what serves for the next one.
    pub(crate) async fn send(
        &self,
        site: &Site,
        domain: &str,
        session: &mut Option<Session>,
        spool: &Arc<dyn Spool>,
        message: &Arc<Message>,
        recipients: &[(u32, u32)],
    ) -> Attempt {
        let indices = recipients.iter().map(|(index, _)| *index).collect();
        let sent = match Letter::open(spool, message, &self.conversion, indices).await {
            Ok(letter) => {
                let errand = Errand { site, domain, letter: Some(&letter) };
                self.transact(&errand, &letter, session.take()).await
            }
            Err(reply) => Err(Unreachable::local(reply)),
        };
        match sent {
            Ok(transacted) => {
                let attempt = transacted.attempt(recipients);
                *session = Some(transacted.session).filter(Session::is_ready);
                attempt
            }
            Err(unreachable) => unreachable.attempt(recipients),
        }
    }

    /// Sends a message over the session that there is, or over a new one: also when the server turns out to have ended
    /// the old one meanwhile, as it may at any time.
    async fn transact(
        &self,
        errand: &Errand<'_>,
        letter: &Letter<'_>,
        session: Option<Session>,
    ) -> Result<Transacted, Unreachable> {
        if let Some((mut session, decision)) = self.reusable(errand, session).await {
            let results = transfer(letter, &mut session).await;
            if !results.as_ref().is_ok_and(|results| results.iter().all(was_closed)) {
                return Ok(Transacted { session, decision, results, passed: Vec::new(), reused: true });
            }
        }
        let Connected { mut session, decision, passed } = Box::pin(self.connector.connect(errand)).await?;
        let results = transfer(letter, &mut session).await;
        Ok(Transacted { session, decision, results, passed, reused: false })
    }

    /// A session, if it is good enough for a message: it was made for another one, whose sender and whose recipients'
    /// domain may have asked for less, and whose route may have been another.
    async fn reusable(&self, errand: &Errand<'_>, session: Option<Session>) -> Option<(Session, Decision)> {
        let session = session?;
        if !session.is_made_by(&errand.site.settings) {
            session.quit().await;
            return None;
        }
        match self.connector.decide(errand, session.target()).await {
            Ok(decision) if session.lacks(&decision).is_none() => Some((session, decision)),
            _ => {
                session.quit().await;
                None
            }
        }
    }
}

async fn transfer(letter: &Letter<'_>, session: &mut Session) -> Results {
    let Fitted { envelope, content } = letter.fit(session).await?;
    Ok(session.send(&envelope, content).await)
}

impl Transacted {
    fn attempt(&self, recipients: &[(u32, u32)]) -> Attempt {
        let Self { session, decision, results, passed, reused } = self;
        let (peer, tls) = (session.peer(), session.tls(decision));
        let told: Vec<String> = passed.iter().cloned().chain(session.notes(decision)).collect();
        let detail = reply::detail(&told);
        let reports = session.offers().dsn;
        let outcome = |(place, &(index, attempts)): (usize, &(u32, u32))| {
            let (verdict, said_by_peer) = match results {
                Ok(results) => (verdict(&results[place], reports), said_by_peer(&results[place])),
                Err(reply) => (failed(reply), false),
            };
            let (peer, tls, detail) = (peer.clone(), tls.clone(), detail.clone());
            Outcome { index, attempts, verdict, peer, said_by_peer, tls, detail }
        };
        let outcomes = recipients.iter().enumerate().map(outcome).collect();
        let feedback = results.as_ref().map_or(Feedback::Nothing, |results| feedback(results));
        Attempt { outcomes, feedback, reused: *reused }
    }
}

impl Unreachable {
    fn attempt(&self, recipients: &[(u32, u32)]) -> Attempt {
        let outcome = |&(index, attempts): &(u32, u32)| Outcome {
            peer: self.peer.clone(),
            said_by_peer: self.said_by_peer,
            detail: self.detail.clone(),
            ..Outcome::local(index, attempts, failed(&self.reply))
        };
        let outcomes = recipients.iter().map(outcome).collect();
        Attempt { outcomes, feedback: self.feedback, reused: false }
    }
}

/// Whether the server was gone before it had the first command of the transaction: nothing can have come of it.
fn was_closed(result: &smtp::client::Outcome) -> bool {
    let smtp::client::Outcome::Transient(failure) = result else { return false };
    matches!(failure.stage, Stage::Reset | Stage::Mail) && (!failure.from_peer || failure.reply.code == 421)
}

/// What the results of a transaction say about the site: pushback is what it said to the session and not to a recipient,
/// or that it fell silent or broke off.
fn feedback(results: &[smtp::client::Outcome]) -> Feedback {
    use smtp::client::Outcome as Result;
    let is_about_the_session = |result: &Result| match result {
        Result::Delivered(_) | Result::Permanent(_) => false,
        Result::Unknown(_) => true,
        Result::Transient(failure) => {
            !failure.from_peer || failure.reply.code == 421 || failure.stage == Stage::Mail
        }
    };
    if results.iter().any(|result| matches!(result, Result::Delivered(_))) {
        Feedback::Taken
    } else if results.iter().any(is_about_the_session) {
        Feedback::Pushback
    } else {
        Feedback::Refused
    }
}

fn verdict(result: &smtp::client::Outcome, reports: bool) -> Verdict {
    use smtp::client::Outcome as Result;
    let reply = reply::heard(result.reply());
    match result {
        Result::Delivered(_) => Verdict::Relayed { reply, reports },
        Result::Permanent(_) => Verdict::Failed(reply),
        // The server may have the message. Sending it again may give two; not sending it may lose it.
        Result::Transient(_) | Result::Unknown(_) => Verdict::Deferred(reply),
    }
}

fn said_by_peer(result: &smtp::client::Outcome) -> bool {
    use smtp::client::Outcome as Result;
    match result {
        Result::Delivered(_) => true,
        Result::Permanent(failure) | Result::Transient(failure) | Result::Unknown(failure) => {
            failure.from_peer
        }
    }
}

fn failed(reply: &Reply) -> Verdict {
    if reply.code >= 500 { Verdict::Failed(reply.clone()) } else { Verdict::Deferred(reply.clone()) }
}
