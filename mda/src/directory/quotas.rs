//! Quotas on the wire, and the domains that have some.

use proto::mda::{ListDomainsResponse, LocalDomain, Quota};
use tonic::Status;

use crate::status::status;
use crate::store::{self, MailStore};

pub(super) fn told(quota: store::Quota) -> Quota {
    Quota { messages: quota.messages, octets: quota.octets }
}

pub(super) fn asked(quota: Quota) -> store::Quota {
    store::Quota { messages: quota.messages, octets: quota.octets }
}

pub(super) fn domains(store: &impl MailStore) -> Result<ListDomainsResponse, Status> {
    let read = || {
        let names = store.domains()?.into_iter();
        names
            .map(|name| Ok(LocalDomain { quota: Some(told(store.domain_quota(&name)?)), name }))
            .collect::<store::Result<Vec<_>>>()
    };
    Ok(ListDomainsResponse { domains: read().map_err(|error| status(&error))? })
}
