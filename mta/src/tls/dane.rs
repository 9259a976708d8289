//! TLSA records of a host (RFC 7672 §2.2).

use service::dns::{Dns, DnsError};
use tls_policy::dane::{Tlsa, TlsaSet, record_name};

use crate::site::Target;

/// Records of one host that are looked at; each costs a comparison in the handshake.
const MOST_RECORDS: usize = 50;

/// Looks TLSA records up.
pub(super) struct Dane {
    pub(super) dns: Dns,
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
        match self.dns.tlsa(&record_name(base, port)).await {
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
