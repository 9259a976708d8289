//! Between SMTP and the contracts: envelopes and replies in both forms, and the trace field of a transaction.

use message::received::{Protocol, Received};
use message::{Address, AddressError, MessageId, ReversePath};
use proto::mail::{BodyType, DsnNotify, DsnReturn, Envelope, Origin, Recipient, Reply};
use smtp::{EnhancedCode, Mail, Notify, OriginalRecipient, Rcpt};

use super::TlsFacts;
use super::server::Context;

/// The envelope of a transaction, as the services pass it on. Its time, account and size are left for the caller.
pub fn envelope(id: MessageId, mail: &Mail, recipients: &[Rcpt], context: &Context) -> Envelope {
    Envelope {
        message_id: id.to_string(),
        reverse_path: mail.reverse_path.to_string(),
        recipients: recipients.iter().map(recipient).collect(),
        body_type: match mail.body {
            smtp::BodyType::SevenBit => BodyType::BodyType7bit,
            smtp::BodyType::EightBitMime => BodyType::BodyType8bitmime,
            smtp::BodyType::BinaryMime => BodyType::Binarymime,
        }
        .into(),
        smtputf8: mail.smtputf8,
        require_tls: mail.require_tls,
        dsn_return: match mail.dsn_return {
            None => DsnReturn::Unspecified,
            Some(smtp::DsnReturn::Full) => DsnReturn::Full,
            Some(smtp::DsnReturn::Headers) => DsnReturn::Headers,
        }
        .into(),
        envelope_id: mail.envelope_id.clone().unwrap_or_default(),
        origin: Some(Origin {
            protocol: context.protocol(mail.smtputf8).into(),
            client_address: context.peer.ip().to_canonical().to_string(),
            helo: context.hello.as_ref().map(|hello| hello.name.clone()).unwrap_or_default(),
            tls: context
                .tls
                .as_ref()
                .map(|tls| format!("{} {}", tls.version, tls.cipher))
                .unwrap_or_default(),
        }),
        size_hint: mail.size.unwrap_or_default(),
        priority: mail.priority.unwrap_or_default().into(),
        ..Envelope::default()
    }
}

fn recipient(rcpt: &Rcpt) -> Recipient {
    let notify = match rcpt.notify {
        None => Vec::new(),
        Some(Notify::Never) => vec![DsnNotify::Never.into()],
        Some(Notify::On { success, failure, delay }) => {
            let events =
                [(success, DsnNotify::Success), (failure, DsnNotify::Failure), (delay, DsnNotify::Delay)];
            events.into_iter().filter(|(wanted, _)| *wanted).map(|(_, event)| event.into()).collect()
        }
    };
    let original = rcpt.original_recipient.as_ref();
    Recipient {
        address: rcpt.address.to_string(),
        original_recipient: original
            .map(|original| format!("{};{}", original.address_type, original.address))
            .unwrap_or_default(),
        notify,
    }
}

/// MAIL with its parameters, for the next hop.
///
/// # Errors
/// If the reverse-path is no address.
pub fn mail(envelope: &Envelope) -> Result<Mail, AddressError> {
    Ok(Mail {
        reverse_path: ReversePath::parse(&envelope.reverse_path)?,
        size: (envelope.size_hint > 0).then_some(envelope.size_hint),
        body: match envelope.body_type() {
            BodyType::Unspecified | BodyType::BodyType7bit => smtp::BodyType::SevenBit,
            BodyType::BodyType8bitmime => smtp::BodyType::EightBitMime,
            BodyType::Binarymime => smtp::BodyType::BinaryMime,
        },
        smtputf8: envelope.smtputf8,
        require_tls: envelope.require_tls,
        dsn_return: match envelope.dsn_return() {
            DsnReturn::Unspecified => None,
            DsnReturn::Full => Some(smtp::DsnReturn::Full),
            DsnReturn::Headers => Some(smtp::DsnReturn::Headers),
        },
        envelope_id: (!envelope.envelope_id.is_empty()).then(|| envelope.envelope_id.clone()),
        priority: i8::try_from(envelope.priority)
            .ok()
            .filter(|priority| (-9..=9).contains(priority) && *priority != 0),
    })
}

/// RCPT with its parameters, for the next hop.
///
/// # Errors
/// If the recipient is no address.
pub fn rcpt(recipient: &Recipient) -> Result<Rcpt, AddressError> {
    let asked = |event: DsnNotify| recipient.notify.contains(&event.into());
    let (success, failure, delay) =
        (asked(DsnNotify::Success), asked(DsnNotify::Failure), asked(DsnNotify::Delay));
    let notify = if asked(DsnNotify::Never) {
        Some(Notify::Never)
    } else {
        // What a newer peer may ask for beside these is not known here: NOTIFY without a value would be no parameter.
        (success || failure || delay).then_some(Notify::On { success, failure, delay })
    };
    Ok(Rcpt {
        address: Address::parse(&recipient.address)?,
        notify,
        original_recipient: OriginalRecipient::from_decoded(&recipient.original_recipient),
    })
}

/// The Received field of the host `by` for a transaction (RFC 5321 §4.4).
pub fn received(id: MessageId, mail: &Mail, recipients: &[Rcpt], context: &Context, by: &str) -> String {
    let hello = context.hello.as_ref();
    let protocol = if hello.is_some_and(|hello| hello.esmtp) {
        Protocol::Esmtp {
            utf8: mail.smtputf8,
            tls: context.tls.is_some(),
            authenticated: context.authenticated,
        }
    } else {
        Protocol::Smtp
    };
    let tls = context.tls.as_ref().map(tls_text);
    let only_recipient = match recipients {
        [only] => Some(&only.address),
        _ => None,
    };
    Received {
        helo: hello.map_or("", |hello| &hello.name),
        client: Some(context.peer.ip().to_canonical()),
        by,
        protocol,
        tls: tls.as_deref(),
        id,
        only_recipient,
        at: id.timestamp(),
    }
    .to_string()
}

fn tls_text(tls: &TlsFacts) -> String {
    format!("{} {}", tls.version, tls.cipher)
}

/// A typed reply as it goes over the wire.
pub fn to_wire(reply: &Reply) -> smtp::Reply {
    smtp::Reply {
        // RFC 5321 §4.2: a client cannot do anything with other codes.
        code: u16::try_from(reply.code).ok().filter(|code| (200..=599).contains(code)).unwrap_or(451),
        enhanced: EnhancedCode::parse(&reply.enhanced),
        text: reply.text.clone().into(),
    }
}

/// A reply that came over the wire, typed.
pub fn from_wire(reply: &smtp::Reply) -> Reply {
    Reply {
        code: reply.code.into(),
        enhanced: reply.enhanced.map(|code| code.to_string()).unwrap_or_default(),
        text: reply.text.clone().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context::new("[::ffff:192.0.2.7]:4711".parse().unwrap(), "192.0.2.1:25".parse().unwrap())
    }

    #[test]
    fn parameters_survive_the_way_through_the_contracts() {
        let sender = Mail {
            reverse_path: ReversePath::parse("alice@example.test").unwrap(),
            size: Some(4_711),
            body: smtp::BodyType::EightBitMime,
            smtputf8: true,
            require_tls: true,
            dsn_return: Some(smtp::DsnReturn::Headers),
            envelope_id: Some("QQ314159".into()),
            priority: Some(-3),
        };
        let recipients = [
            Rcpt::new(Address::parse("bob@remote.test").unwrap()),
            Rcpt {
                address: Address::parse("carol@remote.test").unwrap(),
                notify: Some(Notify::On { success: true, failure: false, delay: true }),
                original_recipient: OriginalRecipient::from_decoded("rfc822;carol@list.test"),
            },
            Rcpt { notify: Some(Notify::Never), ..Rcpt::new(Address::parse("dave@remote.test").unwrap()) },
        ];
        let typed = envelope(MessageId::new(), &sender, &recipients, &context());
        assert_eq!(mail(&typed).unwrap(), sender);
        let back: Vec<Rcpt> = typed.recipients.iter().map(|recipient| rcpt(recipient).unwrap()).collect();
        assert_eq!(back, recipients);
        assert_eq!(typed.origin.unwrap().client_address, "192.0.2.7");
    }

    #[test]
    fn the_null_reverse_path_stays_null() {
        let typed = envelope(MessageId::new(), &Mail::default(), &[], &context());
        assert_eq!(mail(&typed).unwrap().reverse_path, ReversePath::Null);
    }
}
