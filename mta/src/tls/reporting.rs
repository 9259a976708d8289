//! Reports to domains about the TLS of sessions with their hosts (RFC 8460): counted here, sent by [`Reporting::round`].

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jiff::Timestamp;
use message::{Address, MessageId};
use proto::mail::{Envelope, Origin, Recipient};
use service::dns::Dns;
use tls_policy::tls_rpt::{Day, Destination, MEDIA_TYPE, Report, ReportMail, Reporter, record_name, select};

use super::TlsPolicies;
use super::decision::{Decision, Ended, Ends, Refusal, Watched};
use super::https::{Https, Query};
use super::results::Results;
use super::wish::ORIGIN;
use crate::intake::Intake;

/// Days that are over whose reports are still tried to send.
const DAYS_KEPT: u32 = 2;
/// How long the delivery of one report over HTTPS may take.
const POST_WITHIN: Duration = Duration::from_mins(1);
/// Octets that are read of the answer to a report.
const MOST_ANSWER: usize = 16 << 10;

/// Counts, and reports.
pub(super) struct Reporting {
    pub(super) results: Results,
    pub(super) dns: Dns,
    pub(super) https: Https,
    pub(super) reporter: Reporter,
    /// Whom reports come from, in ASCII.
    pub(super) from: Address,
    /// How long after midnight UTC this node's reports go.
    pub(super) delay: Duration,
}

/// A report about one domain on one day.
struct Due<'a> {
    day: Day,
    domain: &'a str,
    report: Report,
}

impl TlsPolicies {
    /// Counts a connection, for the report to the recipient's domain. To be called once for each connection that came to
    /// speak of TLS or could have: also if its handshake failed and another one, in clear, takes its place; not for
    /// that other one.
    pub(crate) fn record(&self, decision: &Decision, ends: Ends, ended: &Ended<'_>) {
        let (Some(reporting), Some(domain)) = (&self.reporting, &decision.reported_to) else { return };
        for watched in &decision.watched {
            let result = watched.result(ended);
            let result = result.map_err(|failure| Watched::as_failure(&decision.host, ends, failure));
            reporting.results.record(domain, &watched.policy, result);
        }
    }

    /// Counts a host that was refused before it was connected to.
    pub(crate) fn record_refusal(&self, refusal: &Refusal, ends: Ends) {
        let (Some(reporting), Some(domain)) = (&self.reporting, &refusal.reported_to) else { return };
        for watched in &refusal.watched {
            if let Some(unmet) = watched.unmet.clone() {
                let failure = Watched::as_failure(&refusal.host, ends, unmet);
                reporting.results.record(domain, &watched.policy, Err(failure));
            }
        }
    }
}

impl Reporting {
    /// Sends what is due to those who want it, one after the other, and forgets it. What could not be sent stays for the
    /// next round.
    pub(super) async fn round(&self, intake: &Intake, now: SystemTime) {
        let today = Day::of(now);
        let forgotten = self.results.change(|ledger| ledger.forget_before(today.before(DAYS_KEPT)));
        if forgotten > 0 {
            tracing::warn!(domains = forgotten, "TLS results were not reported in time and are dropped");
        }
        let is_time = |day: Day| now >= day.end() + self.delay;
        for (day, domain) in self.results.read(|ledger| ledger.due(today)) {
            if is_time(day) && self.report(intake, day, &domain).await {
                self.results.change(|ledger| ledger.settle(day, &domain));
            }
        }
    }

    /// Reports on one domain. `false`: it has to be tried again.
    async fn report(&self, intake: &Intake, day: Day, domain: &str) -> bool {
        let texts = match self.dns.txt(&record_name(domain)).await {
            Ok(answer) => answer.records,
            Err(error) if error.is_temporary() => return false,
            Err(_) => return true,
        };
        let record = match select(texts.iter().map(String::as_str)) {
            Ok(record) => record,
            Err(reason) => {
                tracing::debug!(domain, %reason, "a domain gets no TLS report");
                return true;
            }
        };
        let report =
            self.results.read(|ledger| Report::new(&self.reporter, day, domain, ledger.tallies(day, domain)));
        let due = Due { day, domain, report };
        let mut has_left = false;
        for destination in &record.destinations {
            let sent = match destination {
                Destination::Mail(to) => self.mail(intake, &due, to).await,
                Destination::Https(uri) => self.post(&due, uri).await,
            };
            match sent {
                Ok(()) => {
                    tracing::info!(domain, ?destination, "a TLS report was sent");
                    has_left = true;
                }
                Err(reason) => tracing::warn!(domain, ?destination, reason, "a TLS report could not be sent"),
            }
        }
        has_left
    }

    /// Queues a report as mail. The reverse-path is a real one, so that a domain that refuses reports is heard
    /// (RFC 8460 §5.3).
    async fn mail(&self, intake: &Intake, due: &Due<'_>, to: &Address) -> Result<(), String> {
        let (id, now) = (MessageId::new(), Timestamp::now());
        let mail = ReportMail {
            id,
            at: now,
            from: &self.from,
            to,
            reporter: &self.reporter,
            domain: due.domain,
            day: due.day,
            report: &due.report,
        };
        let body = mail.build().map_err(|error| error.to_string())?;
        let envelope = Envelope {
            message_id: id.to_string(),
            reverse_path: self.from.to_string(),
            recipients: vec![Recipient { address: to.to_string(), ..Recipient::default() }],
            origin: Some(Origin { protocol: ORIGIN.into(), ..Origin::default() }),
            ..Envelope::default()
        };
        let refused = |reply| crate::reply::line(&reply);
        let mut incoming = Intake::begin("");
        intake.write(&mut incoming, Bytes::from(body)).await.map_err(refused)?;
        intake.accept(envelope, incoming).await.map_err(refused)
    }

    /// Delivers a report over HTTPS (RFC 8460 §5.4).
    async fn post(&self, due: &Due<'_>, uri: &str) -> Result<(), String> {
        let uri: http::Uri = uri.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
        let host = uri.host().ok_or("the URI names no host")?;
        let body = due.report.packed().map_err(|error| error.to_string())?;
        let query = Query {
            host,
            port: uri.port_u16().unwrap_or(443),
            path: uri.path_and_query().map_or("/", |path| path.as_str()),
            post: Some((body.into(), MEDIA_TYPE)),
            limit: MOST_ANSWER,
            within: POST_WITHIN,
        };
        let answer = self.https.ask(query).await.map_err(|error| error.to_string())?;
        if answer.status.is_success() { Ok(()) } else { Err(format!("{host} answers {}", answer.status)) }
    }
}
