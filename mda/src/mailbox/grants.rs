//! What others may do with a mailbox, as operators see and say it.

use proto::mda;
use tonic::Status;

use super::kept;
use crate::grantees::{self, Identified};
use crate::status::status;
use crate::store::{Account, Grant, Grantee, MailStore, Mailbox, Rights};

pub(super) fn list(
    store: &impl MailStore,
    account: &Account,
    mailbox: &str,
) -> Result<Vec<mda::Grant>, Status> {
    let mailbox = found(store, account, mailbox)?;
    let grants = store.grants(mailbox.id).map_err(|error| status(&error))?;
    let told = grantees::identifiers(store, &grants).map_err(|error| status(&error))?;
    Ok(told.into_iter().map(|(grantee, rights)| mda::Grant { grantee, rights: rights.to_string() }).collect())
}

pub(super) async fn set(
    store: &impl MailStore,
    account: &Account,
    mailbox: &str,
    asked: mda::Grant,
) -> Result<(), Status> {
    let mailbox = found(store, account, mailbox)?;
    let rights = Rights::parse(&asked.rights)
        .map_err(|letter| Status::invalid_argument(format!("there is no right `{letter}`")))?;
    let identified = grantees::identified(store, &asked.grantee).map_err(|error| status(&error))?;
    let Some(Identified { grantee, negative }) = identified else {
        return Err(Status::not_found(format!("there is no account {}", asked.grantee)));
    };
    if grantee == Grantee::Account(account.id) {
        return Err(Status::invalid_argument("the owner has all rights"));
    }
    let granted = store.grant(mailbox.id, Grant { grantee, negative, rights }).await;
    granted.map_err(|error| status(&error))?;
    tracing::info!(
        account = account.name,
        mailbox = %mailbox.name,
        grantee = asked.grantee,
        %rights,
        "rights set"
    );
    Ok(())
}

fn found(store: &impl MailStore, account: &Account, mailbox: &str) -> Result<Mailbox, Status> {
    let name = kept::name(mailbox)?;
    let found = store.mailbox(account.id, &name).map_err(|error| status(&error))?;
    found.ok_or_else(|| Status::not_found(format!("{} has no mailbox {name}", account.name)))
}
