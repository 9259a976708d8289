//! From Waypost to another mail system in domains that say how it can be known: by DANE, with signed zones, or by
//! MTA-STS, with an HTTPS host.

use std::net::Ipv4Addr;

use pipeline_tests::mta::{Mta, PLAIN, Setup, WHOLE};
use pipeline_tests::{
    Authority, Certificate, Dns, Options, Pipeline, PolicyHost, Zone, eventually, free_port,
};
use serde_json::Value;

use super::Peer;
use super::interop::Section;
use super::letter::Arrived;
use crate::WAYPOST;

/// What a domain publishes, and what has to come of a message to it.
struct Domain {
    name: &'static str,
    /// In the words of the page.
    what: &'static str,
    /// Where its host, `mx.<name>`, takes mail.
    host: Ipv4Addr,
    publishes: Publishes,
    expected: Expected,
}

enum Publishes {
    /// A TLSA record in a signed zone.
    Tlsa(Key),
    /// One that was changed after it was signed.
    Forged,
    /// One in a zone without signatures.
    Unsigned,
    /// An MTA-STS policy, of this mode and for this host.
    Policy(&'static str, &'static str),
}

/// Whose key the TLSA record is of.
enum Key {
    Hosts,
    Anothers,
}

enum Expected {
    /// Delivered; what the trace has to say of TLS, and what it has to remark besides.
    Delivered(&'static str, &'static str),
    /// Kept for later; what the trace has to say.
    Deferred(&'static str),
}

use Expected::{Deferred, Delivered};
use Publishes::{Forged, Policy, Tlsa, Unsigned};

const DOMAINS: [Domain; 10] = [
    Domain {
        name: "dane.test",
        what: "DANE: the host's key",
        host: WHOLE,
        publishes: Tlsa(Key::Hosts),
        expected: Delivered("TLSA records of mx.dane.test", ""),
    },
    Domain {
        name: "dane-another.test",
        what: "DANE: another key",
        host: WHOLE,
        publishes: Tlsa(Key::Anothers),
        expected: Deferred("TLSA"),
    },
    Domain {
        name: "dane-forged.test",
        what: "DANE: a record whose signature is broken",
        host: WHOLE,
        publishes: Forged,
        expected: Deferred("the TLSA records of mx.dane-forged.test cannot be looked up"),
    },
    Domain {
        name: "dane-clear.test",
        what: "DANE, and no STARTTLS",
        host: PLAIN,
        publishes: Tlsa(Key::Hosts),
        expected: Deferred("STARTTLS"),
    },
    Domain {
        name: "dane-unsigned.test",
        what: "another key in a zone without signatures",
        host: WHOLE,
        publishes: Unsigned,
        expected: Delivered("not verified", ""),
    },
    Domain {
        name: "sts.test",
        what: "MTA-STS enforced: a good certificate",
        host: WHOLE,
        publishes: Policy("enforce", "mx.sts.test"),
        expected: Delivered("verified as mx.sts.test (MTA-STS policy of sts.test)", ""),
    },
    Domain {
        name: "sts-name.test",
        what: "MTA-STS enforced: a certificate for another name",
        host: WHOLE,
        publishes: Policy("enforce", "mx.sts-name.test"),
        expected: Deferred("certificate"),
    },
    Domain {
        name: "sts-host.test",
        what: "MTA-STS enforced: a host that it does not allow",
        host: WHOLE,
        publishes: Policy("enforce", "mx.sts.test"),
        expected: Deferred("the MTA-STS policy of sts-host.test does not allow the host mx.sts-host.test"),
    },
    Domain {
        name: "sts-clear.test",
        what: "MTA-STS enforced, and no STARTTLS",
        host: PLAIN,
        publishes: Policy("enforce", "mx.sts-clear.test"),
        expected: Deferred("STARTTLS"),
    },
    Domain {
        name: "sts-testing.test",
        what: "MTA-STS tested: a certificate for another name",
        host: WHOLE,
        publishes: Policy("testing", "mx.sts-testing.test"),
        expected: Delivered("not verified", "the MTA-STS policy of sts-testing.test is not met"),
    },
];

pub(super) fn run(peer: &Peer) {
    let Some(world) = World::start(peer) else { return };
    let mut found =
        Section::new(format!("From Waypost to {}, which has to prove who it is", world.peer.version()));
    let ids: Vec<String> = DOMAINS.iter().map(|domain| world.send(domain.name)).collect();
    for (domain, id) in DOMAINS.iter().zip(&ids) {
        found.found(domain.what, world.outcome(domain, id));
    }
    let delivered = DOMAINS.iter().filter(|domain| matches!(domain.expected, Delivered(..)));
    let mut subjects: Vec<&str> = delivered.map(|domain| domain.name).collect();
    let mut arrived: Vec<String> =
        world.peer.mailbox().into_iter().flat_map(|message| Arrived(message).fields("Subject")).collect();
    arrived.sort();
    subjects.sort_unstable();
    assert_eq!(arrived, subjects, "what is kept for later did not go");
    found.check();
}

struct World {
    pipeline: Pipeline,
    peer: Box<dyn Mta>,
    _dns: Dns,
    _policies: PolicyHost,
}

impl World {
    /// `None` if a program is missing here.
    fn start(peer: &Peer) -> Option<Self> {
        let port = free_port();
        let authority = Authority::new();
        // The names that it is good for; DANE asks for none.
        let certificate = authority.issue(&["mx.sts.test", "mx.sts-host.test", "mx.sts-clear.test"]);
        let dns = Dns::with_zones(&zones(port, &certificate))?;
        let policies = publish_policies(&authority);
        let roots = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(roots.path(), authority.pem()).expect("a file");
        let environment = vec![
            ("WAYPOST_MTA__DNS__DNSSEC", "true".to_owned()),
            ("WAYPOST_MTA__DNS__TRUST_ANCHORS", dns.trust_anchor().display().to_string()),
            ("WAYPOST_MTA__MTA_STS__PORT", policies.port().to_string()),
            ("WAYPOST_MTA__TLS_ROOTS", roots.path().display().to_string()),
        ];
        let arguments = ["--resolver", &dns.address().to_string(), "--remote-smtp-port", &port.to_string()];
        let arguments = arguments.map(str::to_owned).to_vec();
        let pipeline = Pipeline::start(WAYPOST, &Options { arguments, environment, ..Options::default() });
        let peer = (peer.start)(&Setup {
            domains: &DOMAINS.map(|domain| domain.name),
            port,
            example_test: pipeline.address("mta", "smtp"),
            size_limit: 1 << 20,
            certificate: &certificate,
        })?;
        Some(Self { pipeline, peer, _dns: dns, _policies: policies })
    }

    /// Alice sends; gives the message's id.
    fn send(&self, domain: &str) -> String {
        let to = format!("user@{domain}");
        self.pipeline.waypost_ok(&[
            "send",
            "--from",
            "alice@example.test",
            "--to",
            &to,
            "--subject",
            domain,
            "--body",
            "Hi",
        ])
    }

    /// What became of the message at the first attempt, in the words of the page.
    fn outcome(&self, domain: &Domain, id: &str) -> &'static str {
        let event = eventually(&format!("an attempt at {}", domain.name), || {
            let output = self.pipeline.waypost(&["trace", "--json", id]);
            let story: Value = serde_json::from_slice(&output.stdout).ok()?;
            let mut events = story["events"].as_array()?.iter();
            events.find(|event| event["kind"] == "delivered" || event["kind"] == "deferred").cloned()
        });
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match domain.expected {
            Delivered(tls, remark) => {
                assert_eq!(event["kind"], "delivered", "{event}");
                assert!(text(&event["tls"]).contains(tls), "{event}");
                assert!(text(&event["detail"]).contains(remark), "{event}");
                if tls == "not verified" { "delivered, not verified" } else { "delivered, verified" }
            }
            Deferred(why) => {
                assert_eq!(event["kind"], "deferred", "{event}");
                assert!(text(&event["reply"]["text"]).contains(why), "{event}");
                "kept for later"
            }
        }
    }
}

fn zones(port: u16, certificate: &Certificate) -> Vec<Zone> {
    let anothers = Certificate::self_signed(&["mx.test"]);
    let zone = |domain: &Domain| {
        let Domain { name, host, .. } = domain;
        let mut records = vec![format!("{name}. IN MX 10 mx.{name}."), format!("mx.{name}. IN A {host}")];
        let mut tlsa = |data: String| records.push(format!("_{port}._tcp.mx.{name}. IN TLSA {data}"));
        match &domain.publishes {
            Tlsa(Key::Hosts) => tlsa(certificate.tlsa()),
            Tlsa(Key::Anothers) | Forged | Unsigned => tlsa(anothers.tlsa()),
            Policy(..) => records.extend([
                format!("_mta-sts.{name}. IN TXT \"v=STSv1; id=1\""),
                format!("mta-sts.{name}. IN A 127.0.0.1"),
            ]),
        }
        match &domain.publishes {
            Tlsa(_) => Zone::signed(name, &records),
            Forged => Zone::signed(name, &records).forged("TLSA\t3 1 1", "TLSA\t3 1 2"),
            Unsigned | Policy(..) => Zone::unsigned(name, &records),
        }
    };
    DOMAINS.iter().map(zone).collect()
}

fn publish_policies(authority: &Authority) -> PolicyHost {
    let policies: Vec<(&str, String)> = DOMAINS
        .iter()
        .filter_map(|domain| match domain.publishes {
            Policy(mode, host) => {
                Some((domain.name, format!("version: STSv1\nmode: {mode}\nmx: {host}\nmax_age: 86400\n")))
            }
            _ => None,
        })
        .collect();
    let hosts: Vec<String> = policies.iter().map(|(domain, _)| format!("mta-sts.{domain}")).collect();
    let certificate = authority.issue(&hosts.iter().map(String::as_str).collect::<Vec<_>>());
    PolicyHost::start(
        &certificate,
        &policies.iter().map(|(domain, policy)| (*domain, policy.as_str())).collect::<Vec<_>>(),
    )
}
