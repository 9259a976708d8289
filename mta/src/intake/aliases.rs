//! Aliases among a message's recipients: it goes to those behind them, under its sender's name (RFC 5321 §3.9.1).

use std::collections::HashSet;

use message::Address;
use proto::mail::{DsnNotify, Envelope, Recipient, Reply};
use service::directory::Resolution;

use super::Intake;
use crate::reply::reply;

/// Recipients that a message may come to.
const MAX_RECIPIENTS: usize = 10_000;

impl Intake {
    /// Replaces each alias by the addresses behind it, so that whoever is addressed twice gets one copy. Whether every
    /// recipient is a mailbox of ours then.
    ///
    /// Lists stay, for their mail is a message of its own. So does what the directory cannot tell of now, and what leads
    /// nowhere: the queue finds out.
    pub(super) async fn expand(&self, envelope: &mut Envelope) -> Result<bool, Reply> {
        let addresses: Vec<&str> = envelope.recipients.iter().map(|r| r.address.as_str()).collect();
        let Ok(resolutions) = self.directory.resolve(&addresses).await else { return Ok(false) };
        if !resolutions.contains(&Resolution::Alias) {
            return Ok(resolutions.iter().all(|resolution| *resolution == Resolution::Mailbox));
        }
        // What the sender asked for about an address counts for more than what comes by an alias.
        let (aliases, direct): (Vec<_>, Vec<_>) = std::mem::take(&mut envelope.recipients)
            .into_iter()
            .zip(resolutions)
            .partition(|(_, resolution)| *resolution == Resolution::Alias);
        let mut recipients = Distinct::default();
        for (recipient, _) in direct {
            recipients.push(recipient);
        }
        for (alias, _) in aliases {
            match self.directory.expand(&alias.address).await {
                Ok(Some(found)) if found.owner.is_none() && !found.targets.is_empty() => {
                    for target in targets_of(&alias, &found.targets) {
                        recipients.push(target);
                    }
                }
                _ => recipients.push(alias),
            }
            if recipients.list.len() > MAX_RECIPIENTS {
                return Err(reply(452, "4.5.3", "too many recipients behind the aliases"));
            }
        }
        envelope.recipients = recipients.list;
        // They were just told of, and are looked at again where it matters: at the MDA.
        let addresses: Vec<&str> = envelope.recipients.iter().map(|r| r.address.as_str()).collect();
        let resolutions = self.directory.resolve(&addresses).await.unwrap_or_default();
        let is_here = |resolution: &Resolution| *resolution == Resolution::Mailbox;
        Ok(!resolutions.is_empty() && resolutions.iter().all(is_here))
    }
}

/// Those behind an alias, with what the sender asked for about it (RFC 3461 §5.2.7).
///
/// Behind one address it is asked for as it is (§5.2.7.2). Behind several, each reports what goes wrong
/// (§5.2.7.3 (c)); if success is to be reported, the first does that and whatever else was asked for, and nothing is
/// asked of the others (§5.2.7.3 (b)), for the sender wants to hear it once.
pub(crate) fn targets_of(alias: &Recipient, targets: &[String]) -> Vec<Recipient> {
    let asks_success = alias.notify.contains(&DsnNotify::Success.into());
    let original_recipient = if alias.original_recipient.is_empty() {
        original_of(&alias.address)
    } else {
        alias.original_recipient.clone()
    };
    let target = |(position, address): (usize, &String)| {
        let address = address.clone();
        if position > 0 && asks_success {
            return Recipient { address, ..Recipient::default() };
        }
        let original_recipient = original_recipient.clone();
        Recipient { address, original_recipient, notify: alias.notify.clone() }
    };
    targets.iter().enumerate().map(target).collect()
}

/// The address that the sender wrote, so that a report names one that the sender knows (RFC 3461 §5.2.1: an ORCPT may
/// be added where there is none).
fn original_of(address: &str) -> String {
    let address_type = if address.is_ascii() { "rfc822" } else { "utf-8" };
    format!("{address_type};{address}")
}

/// Recipients, each once.
#[derive(Default)]
struct Distinct {
    list: Vec<Recipient>,
    known: HashSet<String>,
}

impl Distinct {
    fn push(&mut self, recipient: Recipient) {
        let address = &recipient.address;
        let key = Address::parse(address).map_or_else(|_| address.clone(), |address| address.key());
        if self.known.insert(key) {
            self.list.push(recipient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(notify: &[DsnNotify]) -> Recipient {
        let notify = notify.iter().map(|&notify| notify.into()).collect();
        Recipient { address: "info@example.test".into(), original_recipient: String::new(), notify }
    }

    fn targets(addresses: &[&str]) -> Vec<String> {
        addresses.iter().map(|&address| address.to_owned()).collect()
    }

    #[test]
    fn what_was_asked_about_an_alias_goes_on_to_the_one_behind_it() {
        let all = [DsnNotify::Success, DsnNotify::Failure];
        let one = targets_of(&alias(&all), &targets(&["bob@example.test"]));
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].original_recipient, "rfc822;info@example.test");
        assert_eq!(one[0].notify, alias(&all).notify);
        let named = Recipient { original_recipient: "rfc822;old@example.test".into(), ..alias(&[]) };
        let one = targets_of(&named, &targets(&["bob@example.test"]));
        assert_eq!(one[0].original_recipient, "rfc822;old@example.test");
    }

    #[test]
    fn behind_several_success_is_asked_of_one_and_silence_of_all() {
        let two = targets(&["bob@example.test", "carol@remote.test"]);
        let success = targets_of(&alias(&[DsnNotify::Success]), &two);
        assert_eq!(success[0].notify, [i32::from(DsnNotify::Success)]);
        assert_eq!(success[1], Recipient { address: two[1].clone(), ..Recipient::default() });
        for never in targets_of(&alias(&[DsnNotify::Never]), &two) {
            assert_eq!(never.notify, [i32::from(DsnNotify::Never)]);
            assert_eq!(never.original_recipient, "rfc822;info@example.test");
        }
    }
}
