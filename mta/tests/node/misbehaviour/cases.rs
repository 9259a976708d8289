//! Cases of one fault each, all tried at one node, each with a host of its own.

use std::net::Ipv4Addr;

use proto::mta::{Event, EventKind};
use service::config::HumanDuration;

use super::super::exchange::{Exchange, Fault, How, Offers, Script, Step};
use super::super::names::Names;
use super::super::node::{Node, envelope};

pub const MESSAGE: &str = "From: alice@example.test\r\nMessage-ID: <1@example.test>\r\n\r\nbody\r\n";

pub const ALL: &[Offers] = &[Offers::Nothing, Offers::Pipelining, Offers::Chunking];
/// Where messages go by DATA.
pub const BY_DATA: &[Offers] = &[Offers::Nothing, Offers::Pipelining];
pub const CHUNKING: &[Offers] = &[Offers::Chunking];

/// The first connection to a host has the fault; the others have none.
pub struct Case {
    fault: Fault,
    offers: &'static [Offers],
    size: Size,
    /// What the first attempt comes to, or its beginning. If it is put off, the second one succeeds.
    told: String,
    detail: &'static str,
    /// [`Exchange::heard`] at the end.
    seen: Vec<String>,
}

#[derive(Clone, Copy)]
pub enum Size {
    Small,
    /// More than goes in one piece.
    Large,
    /// More than the kernel holds for a connection.
    Huge,
}

impl Case {
    pub fn new(at: Step, how: How) -> Self {
        let fault = Fault { at, how };
        let told = String::new();
        Self { fault, offers: ALL, size: Size::Small, told, detail: "", seen: Vec::new() }
    }

    pub fn offering(self, offers: &'static [Offers]) -> Self {
        Self { offers, ..self }
    }

    pub fn of(self, size: Size) -> Self {
        Self { size, ..self }
    }

    pub fn told(self, told: &str) -> Self {
        Self { told: told.into(), ..self }
    }

    pub fn with_detail(self, detail: &'static str) -> Self {
        Self { detail, ..self }
    }

    pub fn seen(self, seen: &[&str]) -> Self {
        Self { seen: seen.iter().map(|connection| (*connection).to_owned()).collect(), ..self }
    }
}

/// A case with what its host offers, and the host.
struct Trial<'a> {
    case: &'a Case,
    offers: Offers,
    exchange: Exchange,
    recipient: String,
    id: String,
}

/// Sends a message to each host, and sees that all is as the cases say.
pub async fn conclude(cases: Vec<Case>, change: impl FnOnce(&mut mta::Config)) {
    let mut names = Names::default();
    let mut port = 0;
    let mut trials = Vec::new();
    let each = cases.iter().flat_map(|case| case.offers.iter().map(move |&offers| (case, offers)));
    for ((case, offers), number) in each.zip(0..) {
        let host = Ipv4Addr::new(127, 0, 20 + number / 200, 1 + number % 200);
        let script = Script { misbehaves: 1, offers, fault: Some(case.fault), ..Script::default() };
        let exchange = Exchange::start(host, port, script).await;
        port = exchange.address.port();
        let domain = format!("case{number}.test");
        names = names.a(&domain, host);
        trials.push(Trial { case, offers, exchange, recipient: format!("bob@{domain}"), id: String::new() });
    }
    let node = Node::start_with(names, port, |config| {
        // Nothing is said to a host but for its message.
        config.outbound.sites.idle = HumanDuration::from_hours(1);
        change(config);
    })
    .await;
    for trial in &mut trials {
        let envelope = envelope(&[&trial.recipient]);
        node.enqueue(envelope.clone(), &trial.message()).await.unwrap();
        trial.id = envelope.message_id;
    }
    for trial in trials {
        trial.conclude(&node).await;
    }
    node.eventually(async || node.waiting().await == 0).await;
}

impl Trial<'_> {
    fn message(&self) -> String {
        let octets = match self.case.size {
            Size::Small => 0,
            Size::Large => 2 << 20,
            Size::Huge => 8 << 20,
        };
        let line = "All work and no play makes a message that is long enough for this.\r\n";
        MESSAGE.to_owned() + &line.repeat(octets / line.len())
    }

    async fn conclude(mut self, node: &Node) {
        node.eventually(async || node.get(&self.id).await.is_none()).await;
        let events = node.trace(&self.id).await;
        let what = format!("{:?}, {:?}: {:#?}", self.case.fault, self.offers, story(&events));
        let delivered = "delivered 250 2.0.0 taken";
        let expected = match self.case.told.split(' ').next() {
            Some("deferred") => vec!["attempt 1", &self.case.told, "attempt 2", delivered],
            _ => vec!["attempt 1", &self.case.told],
        };
        let story = story(&events);
        let is_so = story.len() == expected.len()
            && story.iter().zip(&expected).all(|(told, expected)| told.starts_with(expected));
        assert!(is_so, "{what}\nand not {expected:#?}");
        let last = events.iter().rev().find(|event| event.kind() == EventKind::Delivered);
        assert!(last.is_none_or(|event| event.detail.starts_with(self.case.detail)), "{what}: {last:?}");

        assert_eq!(self.exchange.heard(), self.case.seen, "{what}");
        let received = self.exchange.received_so_far();
        for message in &received {
            assert!(message.body == self.message(), "{what}: the message is another");
            assert_eq!(message.to, [self.recipient.as_str()], "{what}");
        }
        let complete = self.case.seen.iter().flat_map(|seen| seen.matches('.')).count();
        assert_eq!(received.len(), complete, "{what}");
    }
}

/// What events tell of attempts.
pub fn story(events: &[Event]) -> Vec<String> {
    let told = events.iter().filter_map(|event| {
        let what = match event.kind() {
            EventKind::Attempt => return Some(format!("attempt {}", event.attempt)),
            EventKind::Delivered => "delivered",
            EventKind::Deferred => "deferred",
            EventKind::Bounced => "bounced",
            EventKind::Expired => "expired",
            _ => return None,
        };
        let reply = event.reply.as_ref()?;
        let parts = [what, &reply.code.to_string(), &reply.enhanced, &reply.text];
        Some(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
    });
    told.collect()
}

/// `remote.test` with one host.
pub async fn one_host(last: u8, script: Script) -> (Exchange, Names) {
    let host = Ipv4Addr::new(127, 0, 19, last);
    let exchange = Exchange::start(host, 0, script).await;
    (exchange, Names::default().a("remote.test", host))
}
