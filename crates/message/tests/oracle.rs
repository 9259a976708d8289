//! Reads real messages beside `mail-parser`, which others wrote: both must see the same.

#![allow(clippy::expect_used, reason = "a test")]

#[path = "../src/corpus.rs"]
mod corpus;

use mail_parser::{Addr, Address as Addresses, Encoding, MessageParser, MessagePart, MimeHeaders, PartType};
use message::address_list::{self, Entry};
use message::conversion::{Plan, Target};
use message::date::DateTime;
use message::mime::{Body, Decoder, Part, Structure};
use message::{charset, header, parameters, words};

/// All parts of a message, those of messages in it included, each before the parts in it.
fn flattened<'a>(message: &'a mail_parser::Message<'a>) -> Vec<&'a MessagePart<'a>> {
    let mut flat = Vec::new();
    let mut open: Vec<(&mail_parser::Message<'_>, usize)> = vec![(message, 0)];
    while let Some((message, index)) = open.pop() {
        let part = &message.parts[index];
        flat.push(part);
        match &part.body {
            PartType::Multipart(children) => {
                open.extend(children.iter().rev().map(|id| (message, *id as usize)));
            }
            PartType::Message(nested) if part.encoding == Encoding::None => open.push((nested, 0)),
            _ => {}
        }
    }
    flat
}

fn decoded_text(octets: &[u8], part: &Part) -> String {
    let decoded = Decoder::decode(&part.encoding, octets);
    match parameters::find(&part.parameters, "charset") {
        Some(name) => charset::decode(name, &decoded),
        // Here we guess, and they do not.
        None => String::from_utf8_lossy(&decoded).into_owned(),
    }
}

#[test]
fn parts_have_the_same_places_and_contents() {
    for (path, message) in corpus::messages() {
        let path = path.display();
        let theirs = MessageParser::default().parse(&message).expect("a message");
        let theirs = flattened(&theirs);
        let structure = Structure::parse(&message);
        assert_eq!(structure.parts().len(), theirs.len(), "{path}: number of parts");
        for (part, their) in structure.parts().iter().zip(theirs) {
            let octets = &message[part.body.clone()];
            match (&part.content, &their.body) {
                // A message that no one may encode (RFC 2045 §6.4): offsets into it would mean nothing.
                (Body::Leaf, PartType::Message(_)) => assert_eq!(part.subtype, "octet-stream", "{path}"),
                // The RFCs' examples of base64 are prose, which they show and we decode.
                (Body::Leaf, _) if their.is_encoding_problem => {}
                (Body::Multipart { .. }, PartType::Multipart(_))
                | (Body::Message { .. }, PartType::Message(_)) => {}
                (Body::Leaf, PartType::Text(text) | PartType::Html(text)) => {
                    assert_eq!(decoded_text(octets, part), text.as_ref(), "{path}: {part:?}");
                }
                (Body::Leaf, PartType::Binary(binary) | PartType::InlineBinary(binary)) => {
                    assert_eq!(Decoder::decode(&part.encoding, octets), binary.as_ref(), "{path}: {part:?}");
                }
                _ => panic!("{path}: {part:?} is {:?}", their.body),
            }
            let name = their.attachment_name();
            let find = |list| parameters::find(list, "filename");
            let ours = part.disposition.as_ref().and_then(|disposition| find(&disposition.parameters));
            let ours = ours.or(parameters::find(&part.parameters, "name"));
            let ours = ours.map(|name| words::decode(name.as_bytes()));
            assert!(same(ours.as_deref(), name), "{path}: {ours:?} is not {name:?}");
        }
    }
}

#[test]
fn fields_mean_the_same() {
    for (path, message) in corpus::messages() {
        let path = path.display();
        let theirs = MessageParser::default().parse(&message).expect("a message");
        let subject = header::first(&message, "Subject").map(words::decode);
        let subject = subject.as_deref().filter(|subject| !subject.is_empty());
        assert!(same(subject, theirs.subject()), "{path}: {subject:?} is not {:?}", theirs.subject());
        let date = header::first(&message, "Date").and_then(DateTime::parse);
        assert_eq!(
            date.map(|date| date.timestamp().as_second()),
            theirs.date().map(mail_parser::DateTime::to_timestamp),
            "{path}"
        );
        for (name, theirs) in [("From", theirs.from()), ("To", theirs.to()), ("Cc", theirs.cc())] {
            let ours = header::first(&message, name).map(address_list::parse).unwrap_or_default();
            let (ours, theirs) = (our_addresses(ours).join(", "), their_addresses(theirs).join(", "));
            assert!(same(Some(&ours), Some(&theirs)), "{path}: {name} is {ours:?}, not {theirs:?}");
        }
    }
}

/// Whether two readings are the same, but for octets in no known charset, at which we guess and they do not.
fn same(ours: Option<&str>, theirs: Option<&str>) -> bool {
    ours == theirs || theirs.is_some_and(|theirs| theirs.contains('\u{fffd}'))
}

/// Name and address as text, of all that have an address.
fn our_addresses(entries: Vec<Entry>) -> Vec<String> {
    let mailbox = |entry| match entry {
        Entry::Mailbox(mailbox) => Some(mailbox),
        Entry::GroupStart(_) | Entry::GroupEnd => None,
    };
    entries
        .into_iter()
        .filter_map(mailbox)
        .filter(|mailbox| !mailbox.domain.is_empty())
        .map(|mailbox| {
            let name = mailbox.name.map(|name| words::decode(name.as_bytes())).unwrap_or_default();
            format!("{name} {}@{}", mailbox.local_part, mailbox.domain)
        })
        .collect()
}

fn their_addresses(addresses: Option<&Addresses<'_>>) -> Vec<String> {
    let text = |addr: &Addr<'_>| {
        format!(
            "{} {}",
            addr.name.as_deref().unwrap_or_default(),
            addr.address.as_deref().unwrap_or_default()
        )
    };
    let addresses = addresses.into_iter().flat_map(Addresses::iter);
    addresses
        .filter(|addr| addr.address.as_deref().is_some_and(|address| address.contains('@')))
        .map(text)
        .collect()
}

#[test]
fn a_converted_message_reads_the_same() {
    let mut converted_some = 0;
    for (path, message) in corpus::messages() {
        let path = path.display();
        let Ok(plan) = Plan::new(&message, Target::SevenBit) else { continue };
        if plan.is_identity() {
            continue;
        }
        converted_some += 1;
        let converted: Vec<u8> = plan.pieces(&message).flatten().collect();
        assert!(converted.is_ascii(), "{path}");
        let before = MessageParser::default().parse(&message).expect("a message");
        let after = MessageParser::default().parse(&converted).expect("a message");
        let (before, after) = (flattened(&before), flattened(&after));
        assert_eq!(before.len(), after.len(), "{path}: number of parts");
        for (before, after) in before.into_iter().zip(after) {
            match (&before.body, &after.body) {
                (PartType::Text(before), PartType::Text(after))
                | (PartType::Html(before), PartType::Html(after)) => {
                    // Where no charset is named, they guess another way once one is.
                    assert!(
                        before == after || before.contains('\u{fffd}'),
                        "{path}: {before:?} is not {after:?}"
                    );
                }
                (
                    PartType::Binary(before) | PartType::InlineBinary(before),
                    PartType::Binary(after) | PartType::InlineBinary(after),
                ) => assert_eq!(before, after, "{path}"),
                (PartType::Multipart(_), PartType::Multipart(_))
                | (PartType::Message(_), PartType::Message(_)) => {}
                (before, after) => panic!("{path}: {before:?} became {after:?}"),
            }
            assert!(same(after.attachment_name(), before.attachment_name()), "{path}");
        }
    }
    assert!(converted_some > 10, "{converted_some}");
}
