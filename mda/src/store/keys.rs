//! The keys of the one tree that holds all rows.
//!
//! The first octet tells the kind of row; numbers are big-endian, so that keys sort as what they stand for.

use super::StoreError;

/// The greatest numbers taken so far.
pub(super) const MARKS: &[u8] = b"gmarks";
/// The last journal position whose change is in the rows.
pub(super) const APPLIED: &[u8] = b"gapplied";

/// All keys that begin with `prefix`, as the bounds of a scan.
pub(super) fn within(prefix: &[u8]) -> std::ops::Range<Vec<u8>> {
    let mut end = prefix.to_vec();
    // No prefix here consists of 0xff alone: the first octet is a letter.
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    prefix.to_vec()..end
}

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(kind);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// A row is not there although others say so.
pub(super) fn missing(key: &[u8]) -> StoreError {
    StoreError::CorruptState { what: format!("row {}: is missing", key.escape_ascii()) }
}

/// Account → its state.
pub(super) fn account(id: u64) -> Vec<u8> {
    key(b'a', &[&id.to_be_bytes()])
}

/// Prefix of all accounts.
pub(super) const ACCOUNTS: &[u8] = b"a";

/// Address and account: who gets an address' mail. Two accounts may hold one only while old records are replayed.
pub(super) fn address(address: &str, account: u64) -> Vec<u8> {
    key(b'n', &[address.as_bytes(), &[0], &account.to_be_bytes()])
}

/// Prefix of [`address`] for one address.
pub(super) fn address_prefix(address: &str) -> Vec<u8> {
    key(b'n', &[address.as_bytes(), &[0]])
}

/// Prefix of all addresses.
pub(super) const ADDRESSES: &[u8] = b"n";

/// A local domain.
pub(super) fn domain(name: &str) -> Vec<u8> {
    key(b'd', &[name.as_bytes()])
}

/// Prefix of all domains.
pub(super) const DOMAINS: &[u8] = b"d";

/// Domain → what was decided about it.
pub(super) fn domain_state(name: &str) -> Vec<u8> {
    key(b'j', &[name.as_bytes()])
}

/// Prefix of [`domain_state`].
pub(super) const DOMAIN_STATES: &[u8] = b"j";

/// Alias → its state.
pub(super) fn alias(address: &str) -> Vec<u8> {
    key(b't', &[address.as_bytes()])
}

/// Prefix of all aliases.
pub(super) const ALIASES: &[u8] = b"t";

/// Target and alias: which aliases lead to an address.
pub(super) fn alias_target(target: &str, address: &str) -> Vec<u8> {
    key(b'w', &[target.as_bytes(), &[0], address.as_bytes()])
}

/// Prefix of [`alias_target`] for one target.
pub(super) fn alias_targets(target: &str) -> Vec<u8> {
    key(b'w', &[target.as_bytes(), &[0]])
}

/// Prefix of all targets.
pub(super) const ALIAS_TARGETS: &[u8] = b"w";

/// Mailbox → its state.
pub(super) fn mailbox(id: u64) -> Vec<u8> {
    key(b'm', &[&id.to_be_bytes()])
}

/// Prefix of all mailboxes.
pub(super) const MAILBOXES: &[u8] = b"m";

/// Account, name and mailbox: the list of an account's mailboxes.
pub(super) fn listed(account: u64, name: &str, mailbox: u64) -> Vec<u8> {
    key(b'l', &[&account.to_be_bytes(), name.as_bytes(), &[0], &mailbox.to_be_bytes()])
}

/// Prefix of [`listed`] for one name.
pub(super) fn listed_name(account: u64, name: &str) -> Vec<u8> {
    key(b'l', &[&account.to_be_bytes(), name.as_bytes(), &[0]])
}

/// Prefix of [`listed`] for one account.
pub(super) fn listed_account(account: u64) -> Vec<u8> {
    key(b'l', &[&account.to_be_bytes()])
}

/// Prefix of [`listed`] for all accounts.
pub(super) const LISTED: &[u8] = b"l";

/// Account and name → whether it is subscribed.
pub(super) fn subscription(account: u64, name: &str) -> Vec<u8> {
    key(b'u', &[&account.to_be_bytes(), name.as_bytes()])
}

/// Prefix of an account's subscriptions.
pub(super) fn subscriptions(account: u64) -> Vec<u8> {
    key(b'u', &[&account.to_be_bytes()])
}

/// Prefix of all subscriptions.
pub(super) const SUBSCRIPTIONS: &[u8] = b"u";

/// Mailbox → its counters.
pub(super) fn counters(mailbox: u64) -> Vec<u8> {
    key(b'c', &[&mailbox.to_be_bytes()])
}

/// Prefix of all counters.
pub(super) const COUNTERS: &[u8] = b"c";

/// Mailbox and UID → what came with the message; its flags are in its leaf.
pub(super) fn row(mailbox: u64, uid: u32) -> Vec<u8> {
    key(b'r', &[&mailbox.to_be_bytes(), &uid.to_be_bytes()])
}

/// Prefix of a mailbox's rows.
pub(super) fn rows(mailbox: u64) -> Vec<u8> {
    key(b'r', &[&mailbox.to_be_bytes()])
}

/// Prefix of all rows of messages.
pub(super) const ROWS: &[u8] = b"r";

/// Mailbox and UIDs divided by [`super::leaf::UIDS`] → the messages with these UIDs and their flags.
pub(super) fn leaf(mailbox: u64, number: u32) -> Vec<u8> {
    key(b'f', &[&mailbox.to_be_bytes(), &number.to_be_bytes()])
}

/// Prefix of a mailbox's leaves.
pub(super) fn leaves(mailbox: u64) -> Vec<u8> {
    key(b'f', &[&mailbox.to_be_bytes()])
}

/// Prefix of all leaves.
pub(super) const LEAVES: &[u8] = b"f";

/// Mailbox and modseq → what was expunged then.
pub(super) fn vanished(mailbox: u64, modseq: u64) -> Vec<u8> {
    key(b'v', &[&mailbox.to_be_bytes(), &modseq.to_be_bytes()])
}

/// Prefix of what was expunged from a mailbox, by modseq.
pub(super) fn vanished_all(mailbox: u64) -> Vec<u8> {
    key(b'v', &[&mailbox.to_be_bytes()])
}

/// Prefix of all that was expunged, by mailbox and modseq.
pub(super) const VANISHED: &[u8] = b"v";

/// Mailbox and first UID of a range of expunged ones → its last UID.
pub(super) fn expunged(mailbox: u64, first: u32) -> Vec<u8> {
    key(b'e', &[&mailbox.to_be_bytes(), &first.to_be_bytes()])
}

/// Prefix of a mailbox's expunged ranges.
pub(super) fn expunged_all(mailbox: u64) -> Vec<u8> {
    key(b'e', &[&mailbox.to_be_bytes()])
}

/// Prefix of all expunged ranges.
pub(super) const EXPUNGED: &[u8] = b"e";

/// Mailbox and UID → flags that came before their message, in a replay whose order reclaim has changed.
pub(super) fn early_flags(mailbox: u64, uid: u32) -> Vec<u8> {
    key(b'o', &[&mailbox.to_be_bytes(), &uid.to_be_bytes()])
}

/// Prefix of a mailbox's early flags.
pub(super) fn early_flags_all(mailbox: u64) -> Vec<u8> {
    key(b'o', &[&mailbox.to_be_bytes()])
}

/// Prefix of all early flags.
pub(super) const EARLY_FLAGS: &[u8] = b"o";

/// Body → where it lies and how many rows show it.
pub(super) fn body(email: u64) -> Vec<u8> {
    key(b'b', &[&email.to_be_bytes()])
}

/// Prefix of all bodies.
pub(super) const BODIES: &[u8] = b"b";

/// Body → where the record of its outline stands, if that is not the body's own.
pub(super) fn outline(email: u64) -> Vec<u8> {
    key(b'h', &[&email.to_be_bytes()])
}

/// Prefix of [`outline`].
pub(super) const OUTLINES: &[u8] = b"h";

/// Message id and recipient → the first placement.
pub(super) fn delivered(message_id: &[u8], recipient: &str) -> Vec<u8> {
    key(b'k', &[message_id, recipient.as_bytes()])
}

/// Prefix of the deliveries of one message.
pub(super) fn delivered_all(message_id: &[u8]) -> Vec<u8> {
    key(b'k', &[message_id])
}

/// Prefix of all deliveries.
pub(super) const DELIVERED: &[u8] = b"k";

/// Mailbox, account and entry → a value that is noted there; see [`super::record::AnnotationState`] for what 0 means.
pub(super) fn annotation(mailbox: u64, account: u64, entry: &str) -> Vec<u8> {
    key(b'p', &[&mailbox.to_be_bytes(), &account.to_be_bytes(), entry.as_bytes()])
}

/// Prefix of what is noted at a mailbox.
pub(super) fn annotations(mailbox: u64) -> Vec<u8> {
    key(b'p', &[&mailbox.to_be_bytes()])
}

/// Prefix of what is noted at a mailbox and seen by one account.
pub(super) fn annotations_of(mailbox: u64, account: u64) -> Vec<u8> {
    key(b'p', &[&mailbox.to_be_bytes(), &account.to_be_bytes()])
}

/// Account and mailbox, 0 for the server: where an account has annotations that it alone sees.
pub(super) fn noted_at(account: u64, mailbox: u64) -> Vec<u8> {
    key(b'i', &[&account.to_be_bytes(), &mailbox.to_be_bytes()])
}

/// Prefix of [`noted_at`] for one account.
pub(super) fn noted(account: u64) -> Vec<u8> {
    key(b'i', &[&account.to_be_bytes()])
}

/// Prefix of all [`noted_at`].
pub(super) const NOTED: &[u8] = b"i";

/// Mailbox and grantee → rights.
pub(super) fn rights(mailbox: u64, account: u64, negative: bool) -> Vec<u8> {
    key(b'y', &[b"m", &mailbox.to_be_bytes(), &account.to_be_bytes(), &[u8::from(negative)]])
}

/// Prefix of all rights.
pub(super) const RIGHTS: &[u8] = b"ym";

/// Prefix of [`granted_at`].
pub(super) const GRANTED: &[u8] = b"ya";

/// Prefix of [`withdrawn_at`].
pub(super) const WITHDRAWN: &[u8] = b"yz";

/// Prefix of all annotations.
pub(super) const ANNOTATIONS: &[u8] = b"p";

/// Prefix of all rights at a mailbox.
pub(super) fn rights_of(mailbox: u64) -> Vec<u8> {
    key(b'y', &[b"m", &mailbox.to_be_bytes()])
}

/// Grantee and mailbox: where somebody has rights, or is denied some.
pub(super) fn granted_at(account: u64, mailbox: u64) -> Vec<u8> {
    key(b'y', &[b"a", &account.to_be_bytes(), &mailbox.to_be_bytes()])
}

/// Prefix of the mailboxes at which somebody has rights.
pub(super) fn granted(account: u64) -> Vec<u8> {
    key(b'y', &[b"a", &account.to_be_bytes()])
}

/// Grantee and mailbox: where somebody had rights that were taken back.
pub(super) fn withdrawn_at(account: u64, mailbox: u64) -> Vec<u8> {
    key(b'y', &[b"z", &account.to_be_bytes(), &mailbox.to_be_bytes()])
}

/// Prefix of the mailboxes at which somebody's rights were taken back.
pub(super) fn withdrawn(account: u64) -> Vec<u8> {
    key(b'y', &[b"z", &account.to_be_bytes()])
}

/// Mailbox, user and block of UIDs → what the user has seen.
pub(super) fn seen(mailbox: u64, account: u64, block: u32) -> Vec<u8> {
    key(b'q', &[&mailbox.to_be_bytes(), &account.to_be_bytes(), &block.to_be_bytes()])
}

/// Prefix of what a user has seen of a mailbox.
pub(super) fn seen_by(mailbox: u64, account: u64) -> Vec<u8> {
    key(b'q', &[&mailbox.to_be_bytes(), &account.to_be_bytes()])
}

/// Prefix of what users have seen of a mailbox.
pub(super) fn seen_all(mailbox: u64) -> Vec<u8> {
    key(b'q', &[&mailbox.to_be_bytes()])
}

/// Prefix of all that users have seen.
pub(super) const SEEN: &[u8] = b"q";

/// An account that is gone for good.
pub(super) fn removed_account(id: u64) -> Vec<u8> {
    key(b'x', &[b"a", &id.to_be_bytes()])
}

/// A mailbox that is gone for good.
pub(super) fn removed_mailbox(id: u64) -> Vec<u8> {
    key(b'x', &[b"m", &id.to_be_bytes()])
}

/// A mailbox that is gone and may have rows left.
pub(super) fn leftover(mailbox: u64) -> Vec<u8> {
    key(b'x', &[b"l", &mailbox.to_be_bytes()])
}

/// Prefix of [`leftover`].
pub(super) const LEFTOVERS: &[u8] = b"xl";

/// Prefix of [`removed_mailbox`].
pub(super) const REMOVED_MAILBOXES: &[u8] = b"xm";

/// Prefix of [`removed_account`].
pub(super) const REMOVED_ACCOUNTS: &[u8] = b"xa";

/// Prefix of all that is gone for good.
pub(super) const REMOVED: &[u8] = b"x";

/// Journal segment → octets in it that are needed.
pub(super) fn segment(id: u64) -> Vec<u8> {
    key(b's', &[&id.to_be_bytes()])
}

/// Prefix of all segments.
pub(super) const SEGMENTS: &[u8] = b"s";

/// The number that ends a key.
pub(super) fn last_u64(key: &[u8]) -> u64 {
    key.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The number that ends a key.
pub(super) fn last_u32(key: &[u8]) -> u32 {
    key.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
