//! How mail goes over a route.

use std::fmt;
use std::net::IpAddr;

use message::Domain;

/// What a rule says about the connections of its route; the default is that of a route that no rule made.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RouteSettings {
    /// The rule's name, or `route N` by its place, counted from 1; empty if no rule made the route.
    pub(crate) name: String,
    pub(crate) tls: TlsMode,
    /// TLS from the first octet (RFC 8314 §3.3) in place of STARTTLS.
    pub(crate) implicit_tls: bool,
    /// To log in with, by whatever mechanism the host offers; without that, the host is of no use.
    pub(crate) credentials: Option<Credentials>,
    /// Addresses to send from; empty leaves the choice to the kernel. If there are addresses of one family only, hosts
    /// are dialled over that family only: mail leaves from these addresses or not at all.
    pub(crate) sources: Vec<IpAddr>,
    /// What to say in EHLO in place of this host's name.
    pub(crate) ehlo: Option<Domain>,
    /// The port of hosts that name none, in place of the usual one.
    pub(crate) port: Option<u16>,
}

impl RouteSettings {
    /// Whether an address can be dialled with these settings.
    pub(crate) fn reaches(&self, address: IpAddr) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|source| source.is_ipv4() == address.is_ipv4())
    }

    /// The addresses to send from to `address`: the sources of its family. None leaves the choice to the kernel.
    pub(crate) fn sources_for(&self, address: IpAddr) -> impl Iterator<Item = IpAddr> {
        let sources = self.sources.iter().copied();
        sources.filter(move |source| source.is_ipv4() == address.is_ipv4())
    }

    /// So many addresses share what goes to a site, whichever family its hosts have; at least 1.
    pub(crate) fn sharing(&self) -> u32 {
        let four = self.sources.iter().filter(|source| source.is_ipv4()).count();
        let of_families = [four, self.sources.len() - four];
        let sharing = of_families.into_iter().filter(|&count| count > 0).min();
        sharing.and_then(|sharing| u32::try_from(sharing).ok()).unwrap_or(1)
    }

    /// What of them holds for another host that mail is rerouted to: the TLS that they ask for. `None` if that is no more
    /// than mail by no rule gets.
    pub(super) fn rerouted(&self) -> Option<Self> {
        match self.tls {
            TlsMode::None | TlsMode::Opportunistic => None,
            TlsMode::Required | TlsMode::Verified { .. } | TlsMode::Fingerprint(_) => {
                // Its sites are not those of the rule, whose hosts are met in another way.
                let name = format!("{}, rerouted", self.name);
                Some(Self { name, tls: self.tls.clone(), ..Self::default() })
            }
        }
    }

    /// Whether a connection is made as on a route that no rule made, so that both kinds can share it.
    pub(crate) fn is_plain(&self) -> bool {
        self.connects_like(&Self::default())
    }

    /// Whether connections are made in the same way with both.
    pub(crate) fn connects_like(&self, other: &Self) -> bool {
        *self == Self { name: self.name.clone(), ..other.clone() }
    }
}

/// What TLS a route asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum TlsMode {
    /// Never, whatever policies the recipient's domain publishes.
    None,
    /// Where it is offered, whoever the certificate names (RFC 7435); policies of the recipient's domain may ask for
    /// more.
    #[default]
    Opportunistic,
    /// Encrypted or not at all, whoever the certificate names.
    Required,
    /// With a certificate that a public authority signed.
    Verified {
        /// One of these must stand in the certificate. Empty means the name of the host, or, where an MX record names it
        /// that could be forged, the recipient's domain or a host below it.
        names: Vec<Domain>,
    },
    /// With one of these certificates, whoever signed them.
    Fingerprint(Vec<Fingerprint>),
}

/// The SHA-256 of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(pub(crate) [u8; 32]);

impl Fingerprint {
    /// Reads 64 hexadecimal digits, with or without colons between the octets, as `openssl x509 -fingerprint -sha256`
    /// prints it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text.bytes().filter(|&octet| octet != b':').collect();
        if digits.len() != 64 {
            return None;
        }
        let mut octets = [0; 32];
        for (octet, pair) in octets.iter_mut().zip(digits.chunks(2)) {
            let digit = |position: usize| char::from(pair[position]).to_digit(16);
            *octet = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Self(octets))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// A user name and its password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}
