//! Aliases among a message's recipients: it goes to those behind them, under its sender's name (RFC 5321 §3.9.1).

use std::collections::HashSet;

use message::Address;
use proto::mail::{DsnNotify, Envelope, Recipient};
use service::directory::Resolution;

use super::Intake;
use crate::spool::MAX_RECIPIENTS;

impl Intake {
    /// Replaces each alias by the addresses behind it, so that whoever is addressed twice gets one copy. Whether every
    /// recipient is a mailbox of ours then.
    ///
    /// Lists stay, for their mail is a message of its own; so do aliases of several if their sender is to hear that the
    /// message went on, and those of so many that the message would come to too many recipients. So does what the directory
    /// cannot tell of now, and what leads nowhere: the queue finds out.
    pub(super) async fn expand(&self, envelope: &mut Envelope) -> bool {
        let addresses: Vec<&str> = envelope.recipients.iter().map(|r| r.address.as_str()).collect();
        let Ok(resolutions) = self.directory.resolve(&addresses).await else { return false };
        if !resolutions.contains(&Resolution::Alias) {
            return resolutions.iter().all(|resolution| resolution.is_mailbox());
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
        let mut left = aliases.len();
        for (alias, _) in aliases {
            left -= 1;
            let room = MAX_RECIPIENTS.saturating_sub(recipients.list.len() + left);
            match self.directory.expand(&alias.address).await {
                Ok(Some(found))
                    if found.owner.is_none()
                        && can_be_replaced(&alias, &found.targets)
                        && found.targets.len() <= room =>
                {
                    for target in targets_of(&alias, &found.targets) {
                        recipients.push(target);
                    }
                }
                _ => recipients.push(alias),
            }
        }
        envelope.recipients = recipients.list;
        // They were just told of, and are looked at again where it matters: at the MDA.
        let addresses: Vec<&str> = envelope.recipients.iter().map(|r| r.address.as_str()).collect();
        let resolutions = self.directory.resolve(&addresses).await.unwrap_or_default();
        !resolutions.is_empty() && resolutions.iter().all(|resolution| resolution.is_mailbox())
    }
}

/// Whether an alias may vanish from the envelope: its sender is owed no report on the alias itself.
fn can_be_replaced(alias: &Recipient, targets: &[String]) -> bool {
    !targets.is_empty() && (targets.len() == 1 || !asks_success(alias))
}

fn asks_success(recipient: &Recipient) -> bool {
    recipient.notify.contains(&DsnNotify::Success.into())
}

/// Those behind an alias, with what the sender asked for about it (RFC 3461 §5.2.7).
///
/// Behind one address it is asked for as it is (§5.2.7.2). Behind several, each reports what goes wrong and none that it
/// went well, for the sender hears once that the message was sent on to them (§5.2.7.3 (c)).
pub(crate) fn targets_of(alias: &Recipient, targets: &[String]) -> Vec<Recipient> {
    let original_recipient = if alias.original_recipient.is_empty() {
        original_of(&alias.address)
    } else {
        alias.original_recipient.clone()
    };
    let mut notify = alias.notify.clone();
    if targets.len() > 1 && asks_success(alias) {
        notify.retain(|event| *event != i32::from(DsnNotify::Success));
        if notify.is_empty() {
            // Success was all that was asked for. Asking for nothing would mean failures (RFC 3461 §4.1).
            notify.push(DsnNotify::Never.into());
        }
    }
    let target = |address: &String| {
        let (original_recipient, notify) = (original_recipient.clone(), notify.clone());
        Recipient { address: address.clone(), original_recipient, notify }
    };
    targets.iter().map(target).collect()
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
    fn behind_several_all_is_asked_of_each_but_success() {
        let two = targets(&["bob@example.test", "carol@remote.test"]);
        let failure = i32::from(DsnNotify::Failure);
        for (asked, expected) in [
            (&[DsnNotify::Success, DsnNotify::Failure][..], &[failure][..]),
            (&[DsnNotify::Success], &[DsnNotify::Never.into()]),
            (&[DsnNotify::Never], &[DsnNotify::Never.into()]),
            (&[], &[]),
        ] {
            for target in targets_of(&alias(asked), &two) {
                assert_eq!(target.notify, expected, "{asked:?}");
                assert_eq!(target.original_recipient, "rfc822;info@example.test");
            }
        }
    }

    #[test]
    fn an_alias_of_several_stays_if_its_sender_is_to_hear_of_it() {
        let (one, two) =
            (targets(&["bob@example.test"]), targets(&["bob@example.test", "carol@remote.test"]));
        let (silent, asking) = (alias(&[DsnNotify::Failure]), alias(&[DsnNotify::Success]));
        assert!(can_be_replaced(&silent, &two) && can_be_replaced(&asking, &one));
        assert!(!can_be_replaced(&asking, &two) && !can_be_replaced(&silent, &[]));
    }
}
