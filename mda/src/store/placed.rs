//! Messages as their two rows say: what came with them, and their leaf.
//!
//! The rows are read one after the other while commits go on. The leaf is read first: what is in it and has no other row
//! any more is gone since, what has another row and is not in it came since. Neither is given.

use super::leaf::{FlagState, Leaf};
use super::record::Placed;
use super::table::Table;
use super::{Result, Uid, UidSet, keys};

/// The leaves that the UIDs of a set belong to, each once, ascending.
pub(super) fn leaves_of(table: &Table, mailbox: u64, uids: &UidSet) -> impl Iterator<Item = Result<Leaf>> {
    let mut next = 0;
    uids.ranges().iter().flat_map(move |range| {
        // Many short ranges may belong to one leaf.
        let (first, last) = (Leaf::number_of(*range.start()).max(next), Leaf::number_of(*range.end()));
        next = last + 1;
        let leaves = keys::leaf(mailbox, first)..=keys::leaf(mailbox, last);
        let scan = (first <= last).then(|| table.scan::<Leaf>(leaves));
        scan.into_iter().flatten().map(|row| Ok(row?.1.value))
    })
}

/// The messages of a set, ascending.
pub(super) fn placed_of(table: &Table, mailbox: u64, uids: &UidSet) -> Result<Vec<Placed>> {
    let mut found = Vec::new();
    for leaf in leaves_of(table, mailbox, uids) {
        let leaf = leaf?;
        let wanted = || leaf.messages().map(|(message, _)| message.uid).filter(|uid| uids.contains(*uid));
        let (Some(first), Some(last)) = (wanted().next(), wanted().last()) else { continue };
        for row in table.scan::<Placed>(keys::row(mailbox, first)..=keys::row(mailbox, last)) {
            let placed = row?.1.value;
            let flags = leaf.get(placed.uid).filter(|_| uids.contains(placed.uid));
            found.extend(flags.map(|(_, flags)| with_flags(placed, flags)));
        }
    }
    Ok(found)
}

/// The leaf of a message.
pub(super) fn leaf_of(table: &Table, mailbox: u64, uid: Uid) -> Result<Option<Leaf>> {
    let key = keys::leaf(mailbox, Leaf::number_of(uid));
    Ok(table.get::<Leaf>(&key)?.map(|stored| stored.value))
}

/// What came with a message, and its flags.
pub(super) fn with_flags(placed: Placed, flags: &FlagState) -> Placed {
    Placed { modseq: flags.modseq, flags: flags.flags, keywords: flags.keywords.clone(), ..placed }
}
