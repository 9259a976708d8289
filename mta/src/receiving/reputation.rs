//! What DNS lists say of a client (RFC 5782).

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use futures_util::future::join_all;
use service::dns::Dns;
use service::listen::Network;
use tokio::time::timeout;

use super::config::{DnsList, ReputationConfig};

/// Asks the lists. The resolver remembers their answers for as long as they hold.
#[derive(Debug)]
pub(super) struct Reputation {
    config: ReputationConfig,
    dns: Dns,
}

/// What all lists together say of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Score {
    points: i32,
    /// The zone of the list that weighs most against the client, and what it says.
    reason: Option<(Arc<str>, String)>,
}

/// What becomes of a client with a score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Greylist,
    /// Refused for now, with this text.
    Defer(String),
    /// Refused for good, with this text.
    Refuse(String),
}

impl Reputation {
    pub(super) fn new(config: &ReputationConfig, dns: Dns) -> Self {
        Self { config: config.clone(), dns }
    }

    /// Asks all lists about a client at the same time. A list that does not answer counts nothing: mail does not depend
    /// on it.
    pub(super) async fn score(&self, client: IpAddr) -> Score {
        let asked = self.config.lists.iter().map(|list| async move {
            let answered = timeout(*self.config.timeout, self.ask(list, client)).await;
            answered.unwrap_or_else(|_| {
                tracing::debug!(zone = list.zone, "a list did not answer in time");
                None
            })
        });
        let answers = join_all(asked).await;
        let mut score = Score::default();
        let mut heaviest = 0;
        for (list, said) in self.config.lists.iter().zip(answers) {
            let Some(said) = said else { continue };
            score.points = score.points.saturating_add(list.weight);
            if list.weight > heaviest {
                heaviest = list.weight;
                score.reason = Some((list.zone.as_str().into(), said));
            }
        }
        score
    }

    /// What the list says about the client, if it is on it.
    async fn ask(&self, list: &DnsList, client: IpAddr) -> Option<String> {
        let name = query(client, &list.zone);
        let answer = self.dns.a(&name).await.ok()?;
        if !answer.records.iter().any(|record| counts(list, *record)) {
            return None;
        }
        if !list.text.is_empty() {
            return Some(list.text.clone());
        }
        // Only for who will be refused, and the list itself says why.
        let text = if list.weight > 0 { self.dns.txt(&name).await.ok() } else { None };
        let text = text.and_then(|answer| answer.records.into_iter().next());
        Some(text.map(|text| printable(&text)).unwrap_or_default())
    }

    /// What becomes of a client; `early_talker` if it spoke before it was greeted.
    pub(super) fn judge(&self, client: IpAddr, score: &Score, early_talker: bool) -> Verdict {
        let early = if early_talker { self.config.early_talker_score } else { 0 };
        let points = score.points.saturating_add(early);
        let text = || match &score.reason {
            Some((zone, said)) if said.is_empty() => format!("{client} is listed by {zone}"),
            Some((zone, said)) => format!("{client} is listed by {zone}: {said}"),
            None => "you spoke before you were greeted".to_owned(),
        };
        if points >= self.config.refuse_score {
            Verdict::Refuse(text())
        } else if points >= self.config.defer_score {
            Verdict::Defer(text())
        } else if points >= self.config.greylist_score {
            Verdict::Greylist
        } else {
            Verdict::Accept
        }
    }
}

/// The name under which a list knows an address: octets or, of IPv6, nibbles in reverse order (RFC 5782 §2.1, §2.4).
fn query(client: IpAddr, zone: &str) -> String {
    let mut name = String::new();
    // Writing to a `String` cannot fail.
    match client.to_canonical() {
        IpAddr::V4(v4) => {
            for octet in v4.octets().into_iter().rev() {
                let _ = write!(name, "{octet}.");
            }
        }
        IpAddr::V6(v6) => {
            for octet in v6.octets().into_iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
        }
    }
    name + zone
}

/// Whether an answer means that the client is listed.
fn counts(list: &DnsList, record: Ipv4Addr) -> bool {
    if list.answers.is_empty() {
        return record.is_loopback() && record.octets()[..3] != [127, 255, 255];
    }
    list.answers.iter().any(|answer: &Network| answer.contains(record.into()))
}

/// What may stand in a reply, and no more than fits on its line.
fn printable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~')).take(200).collect()
}

#[cfg(test)]
mod tests {
    use service::config::DnsConfig;

    use super::*;

    fn reputation() -> Reputation {
        Reputation::new(&ReputationConfig::default(), Dns::new(&DnsConfig::default()).unwrap())
    }

    #[test]
    fn an_address_is_looked_up_backwards() {
        let name = |address: &str| query(address.parse().unwrap(), "list.test");
        assert_eq!(name("192.0.2.99"), "99.2.0.192.list.test");
        assert_eq!(name("::ffff:192.0.2.99"), "99.2.0.192.list.test");
        // The example of RFC 5782 §2.4.
        assert_eq!(
            name("2001:db8:1:2:3:4:567:89ab"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.list.test"
        );
    }

    #[test]
    fn only_answers_of_a_list_count() {
        let list = DnsList::default();
        for (answer, expected) in [("127.0.0.2", true), ("127.255.255.254", false), ("192.0.2.1", false)] {
            assert_eq!(counts(&list, answer.parse().unwrap()), expected, "{answer}");
        }
        let list = DnsList { answers: vec!["127.0.0.4/30".parse().unwrap()], ..list };
        assert!(counts(&list, "127.0.0.7".parse().unwrap()));
        assert!(!counts(&list, "127.0.0.2".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_score_decides_what_becomes_of_a_client() {
        let reputation = reputation();
        let client = "192.0.2.99".parse().unwrap();
        let judge = |points, early| {
            let reason = Some(("list.test".into(), "sends spam".to_owned()));
            reputation.judge(client, &Score { points, reason }, early)
        };
        assert_eq!(judge(4, false), Verdict::Accept);
        assert_eq!(judge(5, false), Verdict::Greylist);
        assert_eq!(judge(4, true), Verdict::Defer("192.0.2.99 is listed by list.test: sends spam".into()));
        assert_eq!(judge(10, false), Verdict::Refuse("192.0.2.99 is listed by list.test: sends spam".into()));
        assert_eq!(judge(-20, true), Verdict::Accept);
    }
}
