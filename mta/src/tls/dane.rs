//! TLSA records of a host (RFC 7672 §2.2).

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use service::dns::{Answer, Dns, DnsError};
use tls_policy::dane::{Tlsa, TlsaSet, record_name};

use crate::site::Target;

/// Records of one host that are looked at; each costs a comparison in the handshake.
const MOST_RECORDS: usize = 50;

/// Looks TLSA records up.
pub(super) struct Dane(pub(super) Box<dyn Lookup>);

/// Where TLSA records stand: DNS.
pub(super) trait Lookup: Send + Sync {
    /// The records at a name, as [`Dns::tlsa`] gives them.
    fn tlsa(&self, name: String) -> BoxFuture<'_, Result<Answer<service::dns::Tlsa>, DnsError>>;
}

impl Lookup for Dns {
    fn tlsa(&self, name: String) -> BoxFuture<'_, Result<Answer<service::dns::Tlsa>, DnsError>> {
        async move { Self::tlsa(self, &name).await }.boxed()
    }
}

/// What DNS says of a host.
pub(super) enum Found {
    /// There are no records, or none that DNSSEC proves: DANE does not apply.
    Nothing,
    /// Records.
    Records {
        /// The TLSA base domain: the name under which they stand (RFC 7672 §2.2.3).
        base: String,
        records: TlsaSet,
    },
    /// The lookup failed. It may be under attack, so that the host gets no mail now (RFC 7672 §2.1.1, §2.2).
    Unknown(String),
}

impl Dane {
    /// The records of a host whose address DNSSEC proves: under its canonical name first (RFC 7672 §2.2.2).
    pub(super) async fn lookup(&self, target: &Target) -> Found {
        let found = self.lookup_at(&target.canonical, target.address.port()).await;
        if matches!(found, Found::Nothing) && target.host != target.canonical {
            return self.lookup_at(&target.host, target.address.port()).await;
        }
        found
    }

    async fn lookup_at(&self, base: &str, port: u16) -> Found {
        match self.0.tlsa(record_name(base, port)).await {
            Ok(answer) if answer.secure => {
                let records = answer.records.into_iter().take(MOST_RECORDS);
                let record = |record: service::dns::Tlsa| Tlsa {
                    usage: record.usage,
                    selector: record.selector,
                    matching: record.matching,
                    data: record.data,
                };
                Found::Records { base: base.to_owned(), records: TlsaSet::new(records.map(record).collect()) }
            }
            Ok(_) | Err(DnsError::NoSuchDomain(_) | DnsError::NoData(_) | DnsError::InvalidName(_)) => {
                Found::Nothing
            }
            Err(error) => Found::Unknown(error.to_string()),
        }
    }
}
