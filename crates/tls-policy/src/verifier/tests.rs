//! Handshakes in memory, and judgements after them.

use std::io::{Read as _, Write as _};

use aws_lc_rs::digest;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use super::*;
use crate::dane::{Tlsa, public_key};

const HOST: &str = "mx.example.test";

/// A root, an authority below it, and what that one issues.
struct World {
    root: CertifiedIssuer<'static, KeyPair>,
    middle: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with what stands behind it, and its key.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl World {
    fn new() -> Self {
        let root = CertifiedIssuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap();
        let middle =
            CertifiedIssuer::signed_by(authority("middle"), KeyPair::generate().unwrap(), &root).unwrap();
        Self { root, middle }
    }

    /// With a chain of its own certificate, the authority and the root.
    fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (params, key) = (params(names, change), KeyPair::generate().unwrap());
        let own: Certificate = params.signed_by(&key, &*self.middle).unwrap();
        let chain = vec![own.der().clone(), self.middle.der().clone(), self.root.der().clone()];
        Identity { chain, key }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).unwrap();
        Arc::new(roots)
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(&[], |_| {});
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn params(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    change(&mut params);
    params
}

fn self_signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let key = KeyPair::generate().unwrap();
    let own = params(names, change).self_signed(&key).unwrap();
    Identity { chain: vec![own.der().clone()], key }
}

fn expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2001, 1, 1);
}

/// What a handshake with this server comes to.
fn shake(identity: &Identity, trust: Trust, roots: &Arc<RootCertStore>) -> Result<(), Fault> {
    let provider = Arc::new(default_provider());
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), key)
        .unwrap();
    let verifier = Arc::new(Verifier::new(trust, Arc::clone(roots), Arc::clone(&provider)));
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Verifier>::clone(&verifier))
        .with_no_client_auth();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), HOST.try_into().unwrap()).unwrap();
    let shaken = pump(&mut client, &mut server);
    let judged = verifier.judge(&identity.chain, UnixTime::now());
    match shaken {
        Ok(()) => {
            assert_eq!(judged, Ok(()), "the same judgement afterwards");
            let shown = client.peer_certificates().unwrap();
            assert_eq!(shown, identity.chain);
            client.writer().write_all(b"EHLO").unwrap();
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            let mut heard = [0; 4];
            server.reader().read_exact(&mut heard).unwrap();
            Ok(())
        }
        Err(error) => {
            let fault = fault_of(&std::io::Error::other(error)).unwrap();
            assert_eq!(judged, Err(fault.clone()), "the same judgement afterwards");
            Err(fault)
        }
    }
}

fn pump(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), Error> {
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(())
}

fn tlsa(usage: u8, selector: u8, matching: u8, certificate: &CertificateDer<'_>) -> Tlsa {
    let octets = match selector {
        0 => certificate.to_vec(),
        _ => public_key(certificate).unwrap(),
    };
    let data = match matching {
        0 => octets,
        1 => digest::digest(&digest::SHA256, &octets).as_ref().to_vec(),
        _ => digest::digest(&digest::SHA512, &octets).as_ref().to_vec(),
    };
    Tlsa { usage, selector, matching, data }
}

fn dane(records: Vec<Tlsa>) -> Trust {
    let records = TlsaSet::new(records);
    assert!(records.is_usable());
    Trust::Dane { records, names: vec![HOST.into(), "example.test".into()] }
}

fn pkix(name: &str) -> Trust {
    Trust::Pkix { names: vec![name.into()] }
}

fn nobody() -> Arc<RootCertStore> {
    Arc::new(RootCertStore::empty())
}

const ALL: [(u8, u8); 6] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)];

#[test]
fn dane_ee_names_the_servers_certificate_whatever_it_says_of_names_and_dates() {
    let identities = [
        World::new().issue(&[HOST], |_| {}),
        self_signed(&["elsewhere.test"], |_| {}),
        self_signed(&[], expired),
    ];
    for identity in &identities {
        for (selector, matching) in ALL {
            let record = tlsa(3, selector, matching, &identity.chain[0]);
            assert_eq!(shake(identity, dane(vec![record]), &nobody()), Ok(()), "3 {selector} {matching}");
        }
    }
}

#[test]
fn dane_ee_of_another_certificate_is_no_match() {
    let (server, other) = (self_signed(&[HOST], |_| {}), self_signed(&[HOST], |_| {}));
    for (selector, matching) in ALL {
        let record = tlsa(3, selector, matching, &other.chain[0]);
        assert_eq!(
            shake(&server, dane(vec![record]), &nobody()),
            Err(Fault::NotNamed),
            "3 {selector} {matching}"
        );
    }
    // The authority's certificate is not the server's.
    let server = World::new().issue(&[HOST], |_| {});
    let record = tlsa(3, 1, 1, &server.chain[1]);
    assert_eq!(shake(&server, dane(vec![record]), &nobody()), Err(Fault::NotNamed));
}

#[test]
fn one_record_that_fits_is_enough() {
    let (server, next) = (self_signed(&[HOST], |_| {}), self_signed(&[HOST], |_| {}));
    let records =
        vec![tlsa(3, 1, 1, &next.chain[0]), tlsa(2, 1, 1, &next.chain[0]), tlsa(3, 1, 1, &server.chain[0])];
    assert_eq!(shake(&server, dane(records), &nobody()), Ok(()));
}

#[test]
fn dane_ta_names_an_authority_of_the_chain() {
    let server = World::new().issue(&[HOST], |_| {});
    for (selector, matching) in ALL {
        for authority in [1, 2] {
            let record = tlsa(2, selector, matching, &server.chain[authority]);
            assert_eq!(
                shake(&server, dane(vec![record]), &nobody()),
                Ok(()),
                "2 {selector} {matching} {authority}"
            );
        }
    }
}

#[test]
fn dane_ta_may_stand_in_the_record_alone() {
    let world = World::new();
    let mut server = world.issue(&[HOST], |_| {});
    let (whole, digest) = (tlsa(2, 0, 0, &server.chain[2]), tlsa(2, 0, 1, &server.chain[2]));
    server.chain.truncate(2);
    assert_eq!(shake(&server, dane(vec![whole]), &nobody()), Ok(()));
    assert_eq!(shake(&server, dane(vec![digest]), &nobody()), Err(Fault::NoAnchor));
}

#[test]
fn dane_ta_needs_name_date_and_signature() {
    let world = World::new();
    let anchor = || vec![tlsa(2, 0, 1, world.root.der())];
    let domain = world.issue(&["example.test"], |_| {});
    assert_eq!(shake(&domain, dane(anchor()), &nobody()), Ok(()), "the domain's name will do as well");
    let wildcard = world.issue(&["*.example.test"], |_| {});
    assert_eq!(shake(&wildcard, dane(anchor()), &nobody()), Ok(()));
    let other = world.issue(&["mx.elsewhere.test"], |_| {});
    let names = Fault::Name("mx.example.test, example.test".into());
    assert_eq!(shake(&other, dane(anchor()), &nobody()), Err(names));
    let old = world.issue(&[HOST], expired);
    assert_eq!(shake(&old, dane(anchor()), &nobody()), Err(Fault::Expired));
    // A chain that shows the right authority, which has not signed the certificate.
    let mut forged = World::new().issue(&[HOST], |_| {});
    forged.chain = vec![forged.chain[0].clone(), world.middle.der().clone(), world.root.der().clone()];
    assert_eq!(shake(&forged, dane(anchor()), &nobody()), Err(Fault::Untrusted));
}

#[test]
fn trusted_authorities_are_no_part_of_dane() {
    let world = World::new();
    let server = world.issue(&[HOST], |_| {});
    let elsewhere = World::new().issue(&[HOST], |_| {});
    let records = vec![tlsa(3, 1, 1, &elsewhere.chain[0])];
    assert_eq!(shake(&server, dane(records), &world.roots()), Err(Fault::NotNamed));
}

#[test]
fn verified_means_a_trusted_authority_and_the_right_name_in_time() {
    let world = World::new();
    let server = world.issue(&[HOST], |_| {});
    assert_eq!(shake(&server, pkix(HOST), &world.roots()), Ok(()));
    let either = Trust::Pkix { names: vec!["mx.elsewhere.test".into(), HOST.to_uppercase()] };
    assert_eq!(shake(&server, either, &world.roots()), Ok(()));
    let name = "mx.elsewhere.test";
    assert_eq!(shake(&server, pkix(name), &world.roots()), Err(Fault::Name(name.into())));
    assert_eq!(shake(&server, pkix(HOST), &World::new().roots()), Err(Fault::Untrusted));
    assert_eq!(shake(&self_signed(&[HOST], |_| {}), pkix(HOST), &world.roots()), Err(Fault::Untrusted));
    assert_eq!(shake(&world.issue(&[HOST], expired), pkix(HOST), &world.roots()), Err(Fault::Expired));
    let early = world.issue(&[HOST], |params| params.not_before = date_time_ymd(2999, 1, 1));
    assert_eq!(shake(&early, pkix(HOST), &world.roots()), Err(Fault::NotYetValid));
}

#[test]
fn a_fingerprint_is_of_the_certificate_or_of_its_key() {
    let server = self_signed(&[], expired);
    let of = |octets: &[u8]| {
        let digest = digest::digest(&digest::SHA256, octets);
        Fingerprint::new(digest.as_ref().try_into().unwrap())
    };
    let certificate = of(&server.chain[0]);
    let key = of(&public_key(&server.chain[0]).unwrap());
    let other = of(b"another");
    assert_eq!(shake(&server, Trust::Fingerprint(vec![other.clone(), certificate]), &nobody()), Ok(()));
    assert_eq!(shake(&server, Trust::Fingerprint(vec![key]), &nobody()), Ok(()));
    assert_eq!(shake(&server, Trust::Fingerprint(vec![other]), &nobody()), Err(Fault::Fingerprint));
}

#[test]
fn any_certificate_will_do_if_that_is_said() {
    assert_eq!(shake(&self_signed(&[], expired), Trust::Any, &nobody()), Ok(()));
}

#[test]
fn no_certificate_is_never_good() {
    let verifier = Verifier::new(Trust::Any, nobody(), Arc::new(default_provider()));
    assert_eq!(verifier.judge(&[], UnixTime::now()), Err(Fault::NoCertificate));
}
