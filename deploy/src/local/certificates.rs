//! The certificates of a pipeline on this machine: one authority, a certificate per role, one for the public listeners.
//!
//! They are made once and kept; what is about to expire, what names the wrong hosts and what another authority signed is
//! made anew.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::files::{self, Access};
use super::layout::Layout;
use crate::failure::{Explain, Failure};

const DAY: Duration = Duration::from_hours(24);
const AUTHORITY_LIFETIME: Duration = DAY.saturating_mul(3650);
const LIFETIME: Duration = DAY.saturating_mul(365);
/// A certificate with less than this ahead of it is made anew; an authority needs that beyond what it signs.
const RENEW_BEFORE: Duration = DAY.saturating_mul(30);
/// Clocks of other machines may be behind.
const BACKDATED: Duration = DAY;

const AUTHORITY: &str = "ca";
/// Roles as the services know them, each with a certificate of its name.
const ROLES: [&str; 4] = ["msa", "mta", "mda", "operator"];
/// The certificate that people's programs and other MTAs see.
pub(crate) const PUBLIC: &str = "mail";

/// Makes what is missing or no longer good, for services of these domains.
pub(crate) fn ensure(layout: &Layout, domains: &[String], now: SystemTime) -> Result<(), Failure> {
    let authority = Authority::ensure(layout, now)?;
    let hosts = hosts(domains);
    for role in ROLES {
        let mut names = hosts.clone();
        names.insert(Name::Uri(format!("urn:waypost:role:{role}")));
        authority.ensure_certificate(layout, role, &names, now)?;
    }
    authority.ensure_certificate(layout, PUBLIC, &hosts, now)
}

/// What a certificate is valid for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Dns(String),
    Ip(IpAddr),
    Uri(String),
}

/// This machine's own names, and those under which mail programs look for the mail host of each domain.
fn hosts(domains: &[String]) -> BTreeSet<Name> {
    let own = [
        Name::Dns("localhost".to_owned()),
        Name::Ip(Ipv4Addr::LOCALHOST.into()),
        Name::Ip(Ipv6Addr::LOCALHOST.into()),
    ];
    let of_domains =
        domains.iter().flat_map(|domain| [domain.clone(), format!("mail.{domain}")]).map(Name::Dns);
    own.into_iter().chain(of_domains).collect()
}

/// Who signs all the others.
struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn ensure(layout: &Layout, now: SystemTime) -> Result<Self, Failure> {
        match read_pair(layout, AUTHORITY)? {
            Some((certificate, key)) if lives_until(&certificate, now + LIFETIME + RENEW_BEFORE) => {
                Self::load(certificate, &key).map_err(|error| unusable(layout, &error))
            }
            _ => Self::make(layout, now),
        }
    }

    fn load(certificate_pem: String, key: &str) -> Result<Self, rcgen::Error> {
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, KeyPair::from_pem(key)?)?;
        Ok(Self { certificate_pem, issuer })
    }

    fn make(layout: &Layout, now: SystemTime) -> Result<Self, Failure> {
        let what = || "cannot make the certificate authority".to_owned();
        let mut params = params("Waypost local authority", now, AUTHORITY_LIFETIME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().explain(what)?;
        let certificate_pem = params.self_signed(&key).explain(what)?.pem();
        write_pair(layout, AUTHORITY, &certificate_pem, &key)?;
        Ok(Self { certificate_pem, issuer: Issuer::new(params, key) })
    }

    fn ensure_certificate(
        &self,
        layout: &Layout,
        file: &str,
        names: &BTreeSet<Name>,
        now: SystemTime,
    ) -> Result<(), Failure> {
        match read_pair(layout, file)? {
            Some((certificate, key)) if self.still_good(&certificate, &key, names, now) => Ok(()),
            _ => self.issue(layout, file, names, now),
        }
    }

    /// Signed by this authority, for these names, for this key, and not about to expire.
    fn still_good(&self, certificate: &str, key: &str, names: &BTreeSet<Name>, now: SystemTime) -> bool {
        let key_matches = |spki: &[u8]| {
            KeyPair::from_pem(key)
                .is_ok_and(|key| rcgen::PublicKeyData::subject_public_key_info(&key) == spki)
        };
        let authority_id = inspect(&self.certificate_pem, key_id).flatten();
        lives_until(certificate, now + RENEW_BEFORE)
            && inspect(certificate, |certificate| {
                names_of(certificate).as_ref() == Some(names)
                    && authority_key_id(certificate) == authority_id
                    && key_matches(certificate.public_key().raw)
            }) == Some(true)
    }

    fn issue(
        &self,
        layout: &Layout,
        file: &str,
        names: &BTreeSet<Name>,
        now: SystemTime,
    ) -> Result<(), Failure> {
        let what = || format!("cannot make the certificate {file}.pem");
        let mut params = params(&format!("Waypost {file}"), now, LIFETIME);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names =
            names.iter().map(subject_alt_name).collect::<Result<_, _>>().explain(what)?;
        let key = KeyPair::generate().explain(what)?;
        let certificate = params.signed_by(&key, &self.issuer).explain(what)?;
        write_pair(layout, file, &certificate.pem(), &key)
    }
}

fn params(common_name: &str, now: SystemTime, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + lifetime).into();
    params
}

fn subject_alt_name(name: &Name) -> Result<SanType, rcgen::Error> {
    Ok(match name {
        Name::Dns(host) => SanType::DnsName(host.as_str().try_into()?),
        Name::Ip(address) => SanType::IpAddress(*address),
        Name::Uri(uri) => SanType::URI(uri.as_str().try_into()?),
    })
}

/// Certificate and key as text; `None` if one of them is not there.
fn read_pair(layout: &Layout, file: &str) -> Result<Option<(String, String)>, Failure> {
    let read = |path: &Path| match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).explain(|| format!("cannot read {}", path.display())),
    };
    Ok(read(&layout.certificate(file))?.zip(read(&layout.key(file))?))
}

/// The key goes first: a certificate is never there without its key.
fn write_pair(layout: &Layout, file: &str, certificate: &str, key: &KeyPair) -> Result<(), Failure> {
    let write = |path: &Path, access, text: &str| {
        files::replace(path, access, text.as_bytes()).explain(|| format!("cannot write {}", path.display()))
    };
    write(&layout.key(file), Access::Private, &key.serialize_pem())?;
    write(&layout.certificate(file), Access::Public, certificate)
}

fn unusable(layout: &Layout, error: &rcgen::Error) -> Failure {
    Failure::new(format!("cannot use the certificate authority in {}", layout.tls().display()), error)
        .advise("remove that folder to have new certificates made")
}

/// What `look` sees in a certificate; `None` if it is none.
fn inspect<T>(certificate_pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
    let (_, pem) = parse_x509_pem(certificate_pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&pem.contents).ok()?;
    Some(look(&certificate))
}

fn lives_until(certificate_pem: &str, moment: SystemTime) -> bool {
    let moment = moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    inspect(certificate_pem, |certificate| certificate.validity().not_after.timestamp())
        .is_some_and(|end| u64::try_from(end).is_ok_and(|end| end >= moment))
}

fn names_of(certificate: &X509Certificate<'_>) -> Option<BTreeSet<Name>> {
    let names = &certificate.subject_alternative_name().ok()??.value.general_names;
    names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(host) => Some(Name::Dns((*host).to_owned())),
            GeneralName::URI(uri) => Some(Name::Uri((*uri).to_owned())),
            GeneralName::IPAddress(octets) => ip_address(octets).map(Name::Ip),
            _ => None,
        })
        .collect()
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

fn key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn authority_key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
