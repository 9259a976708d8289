//! Decisions on one host, by what its domain publishes, the route asks for and the sender wishes.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use service::dns::{Answer, DnsError, Tlsa};
use service::smtp::TlsFacts;
use service::tls::ChannelBindings;
use smtp::client::StartTls;
use tls_policy::mta_sts::{Cache, CacheLimits, FetchError, Source};
use tls_policy::verifier::Fault;

use super::super::dane::Lookup;
use super::*;
use crate::routing::{HopHost, NextHop, RouteSettings};
use crate::site::SiteName;

const DOMAIN: &str = "remote.test";
const HOST: &str = "mx.remote.test";

/// What is published: TLSA records by name, and MTA-STS policies by domain.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Published>>);

#[derive(Default)]
struct Published {
    tlsa: HashMap<String, Result<Answer<Tlsa>, DnsError>>,
    policies: HashMap<String, Result<String, FetchError>>,
}

impl World {
    fn tlsa(self, host: &str, records: Vec<Tlsa>, secure: bool) -> Self {
        let answer = Answer { records, ttl: Duration::ZERO, secure, canonical: host.into() };
        self.0.lock().tlsa.insert(format!("_25._tcp.{host}"), Ok(answer));
        self
    }

    fn bogus(self, host: &str) -> Self {
        self.0.lock().tlsa.insert(format!("_25._tcp.{host}"), Err(DnsError::Bogus(host.into())));
        self
    }

    fn policy(self, domain: &str, mode: &str, mx: &str) -> Self {
        let file = format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n");
        self.0.lock().policies.insert(domain.into(), Ok(file));
        self
    }

    fn broken_policy(self, domain: &str) -> Self {
        let error = FetchError::Unavailable("nobody is there".into());
        self.0.lock().policies.insert(domain.into(), Err(error));
        self
    }

    fn policies(&self) -> TlsPolicies {
        let roots = Arc::new(RootCertStore::empty());
        let folder = tempfile::tempdir().unwrap();
        let limits = CacheLimits { policies: 10 };
        let sts = Cache::open(folder.path().join("policies"), Arc::new(self.clone()), limits).unwrap();
        TlsPolicies {
            starttls: true,
            connectors: Connectors::new(roots, Arc::new(aws_lc_rs::default_provider())),
            dane: Some(Dane(Box::new(self.clone()))),
            sts: Some(sts),
            reporting: None,
        }
    }

    async fn decide(&self, site: &Site, wish: Wish) -> Result<Decision, Box<Refusal>> {
        self.policies().decide(DOMAIN, site, &target(true), wish).await
    }
}

impl Lookup for World {
    fn tlsa(&self, name: String) -> BoxFuture<'_, Result<Answer<Tlsa>, DnsError>> {
        let answer = self.0.lock().tlsa.get(&name).cloned();
        async { answer.unwrap_or(Err(DnsError::NoData(name))) }.boxed()
    }
}

impl Source for World {
    fn texts(&self, name: String) -> BoxFuture<'static, Result<Vec<String>, String>> {
        let domain = name.strip_prefix("_mta-sts.").unwrap();
        let has_policy = self.0.lock().policies.contains_key(domain);
        async move { Ok(has_policy.then(|| "v=STSv1; id=1".to_owned()).into_iter().collect()) }.boxed()
    }

    fn policy_file(&self, domain: String) -> BoxFuture<'static, Result<Vec<u8>, FetchError>> {
        let file = self.0.lock().policies[&domain].clone();
        async { file.map(String::into_bytes) }.boxed()
    }
}

fn target(secure: bool) -> Target {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 25));
    Target { host: HOST.into(), canonical: HOST.into(), address, secure }
}

fn site(tls: TlsMode, by_mx: bool, secure: bool) -> Site {
    let hop = NextHop { host: HopHost::Name(HOST.into()), port: None };
    let settings = RouteSettings { name: "partners".into(), tls, ..RouteSettings::default() };
    Site { name: SiteName::new(HOST), groups: vec![vec![hop]], settings: Arc::new(settings), secure, by_mx }
}

/// An MX host of a domain that DNSSEC covers, or does not.
fn exchanger(secure: bool) -> Site {
    site(TlsMode::Opportunistic, true, secure)
}

fn record(usage: u8) -> Tlsa {
    Tlsa { usage, selector: 1, matching: 1, data: vec![7; 32] }
}

fn refusal(decided: Result<Decision, Box<Refusal>>) -> (u32, String, String) {
    let reply = decided.err().unwrap().reply;
    (reply.code, reply.enhanced, reply.text)
}

fn trust(decision: &Decision) -> &Trust {
    decision.client.verifier.trust()
}

fn verified_as(name: &str) -> Trust {
    Trust::Pkix { names: vec![name.into()] }
}

#[tokio::test]
async fn a_domain_that_publishes_nothing_gets_what_its_host_offers() {
    for secure in [false, true] {
        let decision = World::default().decide(&exchanger(secure), Wish::Default).await.unwrap();
        assert_eq!((decision.start_tls(), trust(&decision)), (StartTls::Opportunistic, &Trust::Any));
        assert!(decision.may_be_clear() && !decision.is_imposed() && !decision.needs_requiretls());
        assert_eq!(decision.notes(None), "");
    }
}

#[tokio::test]
async fn tlsa_records_bind_where_dnssec_covers_all_of_the_way() {
    let world = World::default().tlsa(HOST, vec![record(3)], true);
    let decision = world.decide(&exchanger(true), Wish::Default).await.unwrap();
    let Trust::Dane { names, .. } = trust(&decision) else { panic!("not by DANE") };
    assert_eq!(*names, [HOST, DOMAIN]);
    assert_eq!(decision.start_tls(), StartTls::Required);
    assert!(!decision.may_be_clear() && decision.is_imposed());

    for (mx_secure, address_secure) in [(false, true), (true, false)] {
        let site = exchanger(mx_secure);
        let decided = world.policies().decide(DOMAIN, &site, &target(address_secure), Wish::Default).await;
        assert_eq!(trust(&decided.unwrap()), &Trust::Any);
    }
    let unsigned = World::default().tlsa(HOST, vec![record(3)], false);
    assert_eq!(trust(&unsigned.decide(&exchanger(true), Wish::Default).await.unwrap()), &Trust::Any);
}

#[tokio::test]
async fn tlsa_records_stand_under_the_canonical_name_or_else_under_the_hosts_own() {
    let aliased = Target { canonical: "real.remote.test".into(), ..target(true) };
    let at = async |name: &str| {
        let policies = World::default().tlsa(name, vec![record(2)], true).policies();
        let decision = policies.decide(DOMAIN, &exchanger(true), &aliased, Wish::Default).await.unwrap();
        let Trust::Dane { names, .. } = trust(&decision) else { panic!("not by DANE") };
        (names.clone(), decision.server_name.to_str().into_owned())
    };
    let canonical =
        (["real.remote.test", HOST, DOMAIN].map(str::to_owned).to_vec(), "real.remote.test".to_owned());
    assert_eq!(at("real.remote.test").await, canonical);
    assert_eq!(at(HOST).await, ([HOST, DOMAIN].map(str::to_owned).to_vec(), HOST.to_owned()));
}

#[tokio::test]
async fn tlsa_records_that_cannot_be_used_ask_for_encryption_all_the_same() {
    let world = World::default().tlsa(HOST, vec![record(0), record(1)], true);
    let decision = world.decide(&exchanger(true), Wish::Default).await.unwrap();
    assert_eq!((decision.start_tls(), trust(&decision)), (StartTls::Required, &Trust::Any));
    assert!(decision.notes(None).contains("none of the TLSA records of mx.remote.test can be used"));
}

#[tokio::test]
async fn a_host_whose_tlsa_records_cannot_be_looked_up_waits() {
    let world = World::default().bogus(HOST);
    let (code, status, text) = refusal(world.decide(&exchanger(true), Wish::Default).await);
    assert_eq!((code, status.as_str()), (451, "4.4.3"));
    assert!(text.contains("fails DNSSEC validation"), "{text}");
    let decision = world.decide(&exchanger(true), Wish::Optional).await.unwrap();
    assert_eq!(decision.start_tls(), StartTls::Opportunistic);
    assert!(decision.notes(None).contains("TLS-Required: No"), "{}", decision.notes(None));
}

#[tokio::test]
async fn an_enforced_policy_is_about_its_domain_and_nobody_elses() {
    let world = World::default().policy(DOMAIN, "enforce", "*.remote.test");
    let policies = world.policies();
    let site = exchanger(false);
    let decision = policies.decide(DOMAIN, &site, &target(false), Wish::Default).await.unwrap();
    assert_eq!((decision.start_tls(), trust(&decision)), (StartTls::Required, &verified_as(HOST)));
    assert!(decision.is_imposed());
    let sibling = policies.decide("sibling.test", &site, &target(false), Wish::Default).await.unwrap();
    assert_eq!((sibling.start_tls(), trust(&sibling)), (StartTls::Opportunistic, &Trust::Any));
}

#[tokio::test]
async fn a_host_that_an_enforced_policy_does_not_allow_gets_nothing() {
    let world = World::default().policy(DOMAIN, "enforce", "mx.elsewhere.test");
    let (code, status, text) = refusal(world.decide(&exchanger(false), Wish::Default).await);
    assert_eq!((code, status.as_str()), (451, "4.7.0"));
    assert_eq!(text, "the MTA-STS policy of remote.test does not allow the host mx.remote.test");
    assert!(world.decide(&exchanger(false), Wish::Optional).await.unwrap().may_be_clear());
}

#[tokio::test]
async fn a_policy_in_testing_changes_nothing_and_tells_what_it_would() {
    let world = World::default().policy(DOMAIN, "testing", "mx.elsewhere.test");
    let decision = world.decide(&exchanger(false), Wish::Default).await.unwrap();
    assert_eq!((decision.start_tls(), trust(&decision)), (StartTls::Opportunistic, &Trust::Any));
    assert!(!decision.is_imposed());
    let note = "the MTA-STS policy of remote.test is not met: it does not allow the host mx.remote.test";
    assert_eq!(decision.notes(Some(&facts(HOST))), note);

    let allowed = World::default().policy(DOMAIN, "testing", HOST);
    let decision = allowed.decide(&exchanger(false), Wish::Default).await.unwrap();
    let note = decision.notes(Some(&facts(HOST)));
    assert!(note.contains("not from an authority that is trusted here"), "{note}");
    assert!(decision.notes(None).contains("STARTTLS"), "{}", decision.notes(None));
    let gone = World::default().policy(DOMAIN, "none", HOST);
    assert_eq!(gone.decide(&exchanger(false), Wish::Default).await.unwrap().notes(None), "");
}

#[tokio::test]
async fn a_policy_that_cannot_be_fetched_is_told_of() {
    let world = World::default().broken_policy(DOMAIN);
    let decision = world.decide(&exchanger(false), Wish::Default).await.unwrap();
    assert!(decision.may_be_clear());
    assert!(decision.notes(None).contains("nobody is there"), "{}", decision.notes(None));
}

#[tokio::test]
async fn dane_goes_before_mta_sts() {
    let world =
        World::default().tlsa(HOST, vec![record(3)], true).policy(DOMAIN, "enforce", "mx.elsewhere.test");
    let decision = world.decide(&exchanger(true), Wish::Default).await.unwrap();
    assert!(matches!(trust(&decision), Trust::Dane { .. }));
    let kinds: Vec<PolicyKind> = decision.watched.iter().map(|watched| watched.policy.kind).collect();
    assert_eq!(kinds, [PolicyKind::Tlsa, PolicyKind::Sts]);
}

#[tokio::test]
async fn what_the_operator_says_of_a_route_goes_before_the_domains_policies() {
    let world =
        World::default().tlsa(HOST, vec![record(3)], true).policy(DOMAIN, "enforce", "mx.elsewhere.test");
    let decide = async |mode| world.decide(&site(mode, true, true), Wish::Default).await.unwrap();
    let clear = decide(TlsMode::None).await;
    assert!(clear.start_tls() == StartTls::Never && clear.tls(false).is_none());
    assert_eq!(clear.notes(None), "in clear: the rule partners turns TLS off");
    let named =
        decide(TlsMode::Verified { names: vec![message::Domain::parse("mail.other.test").unwrap()] }).await;
    assert_eq!(trust(&named), &verified_as("mail.other.test"));
    let known = decide(TlsMode::Fingerprint(vec![crate::routing::Fingerprint([7; 32])])).await;
    assert_eq!(trust(&known), &Trust::Fingerprint(vec![Fingerprint::new([7; 32])]));
    assert!(!known.may_be_clear());
}

#[tokio::test]
async fn a_host_that_has_to_be_verified_is_not_known_by_an_mx_record_that_could_be_forged() {
    let verified = |by_mx, secure| site(TlsMode::Verified { names: Vec::new() }, by_mx, secure);
    let nothing = World::default();
    for site in [verified(true, true), verified(false, true)] {
        let decision = nothing.decide(&site, Wish::Default).await.unwrap();
        assert_eq!((decision.start_tls(), trust(&decision)), (StartTls::Required, &verified_as(HOST)));
    }
    let unsigned = verified(true, false);
    let below = nothing.decide(&unsigned, Wish::Default).await.unwrap();
    let names = [HOST, DOMAIN].map(str::to_owned).to_vec();
    assert_eq!((below.start_tls(), trust(&below)), (StartTls::Required, &Trust::Pkix { names }));
    for host in ["mx.elsewhere.test", "mxremote.test"] {
        let elsewhere = Target { host: host.into(), canonical: host.into(), ..target(true) };
        let decided = nothing.policies().decide(DOMAIN, &unsigned, &elsewhere, Wish::Default).await;
        assert_eq!(trust(&decided.unwrap()), &verified_as(DOMAIN));
    }
    let listed = World::default().policy(DOMAIN, "testing", HOST);
    assert_eq!(trust(&listed.decide(&unsigned, Wish::Default).await.unwrap()), &verified_as(HOST));
}

#[tokio::test]
async fn a_host_that_has_to_be_verified_meets_its_domains_policies_too() {
    let world = World::default().policy(DOMAIN, "enforce", "mx.elsewhere.test");
    let verified = |secure| site(TlsMode::Verified { names: Vec::new() }, true, secure);
    for wish in [Wish::Default, Wish::Optional] {
        assert_eq!(refusal(world.decide(&verified(false), wish).await).0, 451);
        let dane = world.clone().tlsa(HOST, vec![record(3)], true);
        let dane = dane.decide(&verified(true), wish).await.unwrap();
        assert!(matches!(trust(&dane), Trust::Dane { .. }) && !dane.may_be_clear());
    }
}

#[tokio::test]
async fn a_route_may_ask_for_more_than_the_domain_does() {
    let site = site(TlsMode::Required, true, false);
    for wish in [Wish::Default, Wish::Optional] {
        let decision = World::default().decide(&site, wish).await.unwrap();
        assert_eq!((decision.start_tls(), trust(&decision)), (StartTls::Required, &Trust::Any));
    }
    let world = World::default().policy(DOMAIN, "enforce", HOST);
    assert_eq!(trust(&world.decide(&site, Wish::Default).await.unwrap()), &verified_as(HOST));
}

#[tokio::test]
async fn requiretls_needs_a_host_that_nobody_could_have_forged() {
    let nothing = World::default();
    let (code, status, _) = refusal(nothing.decide(&exchanger(false), Wish::Required).await);
    assert_eq!((code, status.as_str()), (550, "5.7.10"));
    let (code, ..) = refusal(nothing.decide(&site(TlsMode::None, false, true), Wish::Required).await);
    assert_eq!(code, 550);

    let verified = |names| site(TlsMode::Verified { names }, true, false);
    assert_eq!(refusal(nothing.decide(&verified(Vec::new()), Wish::Required).await).0, 550);
    let by_name = vec![message::Domain::parse("mail.other.test").unwrap()];
    let by_name = nothing.decide(&verified(by_name), Wish::Required).await.unwrap();
    assert_eq!(trust(&by_name), &verified_as("mail.other.test"));

    let fixed = nothing.decide(&site(TlsMode::Opportunistic, false, true), Wish::Required).await.unwrap();
    let signed = nothing.decide(&exchanger(true), Wish::Required).await.unwrap();
    let listed = World::default().policy(DOMAIN, "testing", HOST);
    let listed = listed.decide(&exchanger(false), Wish::Required).await.unwrap();
    for decision in [fixed, signed, listed] {
        assert_eq!((decision.start_tls(), trust(&decision)), (StartTls::Required, &verified_as(HOST)));
        assert!(decision.needs_requiretls());
    }
    let dane = World::default().tlsa(HOST, vec![record(3)], true);
    let dane = dane.decide(&exchanger(true), Wish::Required).await.unwrap();
    assert!(matches!(trust(&dane), Trust::Dane { .. }) && dane.needs_requiretls());
    let unlisted = World::default().policy(DOMAIN, "testing", "mx.elsewhere.test");
    assert_eq!(refusal(unlisted.decide(&exchanger(false), Wish::Required).await).0, 550);
}

#[tokio::test]
async fn without_starttls_nothing_is_tried_unless_a_rule_asks_for_it() {
    let policies = TlsPolicies { starttls: false, ..World::default().policies() };
    let plain = policies.decide(DOMAIN, &exchanger(false), &target(false), Wish::Default).await.unwrap();
    assert_eq!(plain.start_tls(), StartTls::Never);
    let asked = site(TlsMode::Required, true, false);
    let asked = policies.decide(DOMAIN, &asked, &target(false), Wish::Default).await.unwrap();
    assert_eq!(asked.start_tls(), StartTls::Required);
}

#[tokio::test]
async fn a_session_serves_another_domain_only_if_it_meets_that_ones_policy() {
    let strict = World::default().policy(DOMAIN, "enforce", HOST);
    let decision = strict.decide(&exchanger(false), Wish::Default).await.unwrap();
    assert!(matches!(decision.check(None), Err(Fault::Invalid(_))));
    assert_eq!(decision.check(Some(&facts(HOST))), Err(Fault::Untrusted));
    let lax = World::default().decide(&exchanger(false), Wish::Default).await.unwrap();
    assert_eq!((lax.check(None), lax.check(Some(&facts("elsewhere.test")))), (Ok(()), Ok(())));
    let encrypted =
        World::default().decide(&site(TlsMode::Required, true, false), Wish::Default).await.unwrap();
    assert!(encrypted.check(None).is_err() && encrypted.check(Some(&facts(HOST))).is_ok());
}

#[tokio::test]
async fn the_trace_says_by_what_a_host_was_known() {
    let described = async |world: World, site: Site| {
        world.decide(&site, Wish::Default).await.unwrap().describe(&facts(HOST))
    };
    let session = "TLSv1.3 TLS13_AES_256_GCM_SHA384";
    let nothing = described(World::default(), exchanger(false)).await;
    assert_eq!(nothing, format!("{session}, not verified"));
    let sts = described(World::default().policy(DOMAIN, "enforce", HOST), exchanger(false)).await;
    assert_eq!(sts, format!("{session}, verified as mx.remote.test (MTA-STS policy of remote.test)"));
    let dane = described(World::default().tlsa(HOST, vec![record(3)], true), exchanger(true)).await;
    assert_eq!(dane, format!("{session}, verified by DANE (TLSA records of mx.remote.test)"));
    let route = described(World::default(), site(TlsMode::Verified { names: Vec::new() }, true, false)).await;
    assert_eq!(route, format!("{session}, verified as mx.remote.test or remote.test (the rule partners)"));
}

/// A session with a host that signed its own certificate.
fn facts(name: &str) -> TlsFacts {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let certificate: CertificateDer<'static> = certificate.der().clone();
    TlsFacts {
        bindings: ChannelBindings::default(),
        version: "TLSv1.3".into(),
        cipher: "TLS13_AES_256_GCM_SHA384".into(),
        server_name: Some(name.into()),
        certificates: [certificate].into(),
    }
}
