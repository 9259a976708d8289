//! Rows that hold anything, for fuzzing.

use prost::Message;

use super::keys;
use super::leaf::Leaf;
use super::record::{
    AccountState, AliasState, AnnotationState, BodyRow, Change, Counters, Delivered, Expunged, Flagged,
    MailboxState, Marks, Nothing, Number, Placed, Removed, RightsState, SeenState, SubscriptionState,
};
use super::state::place_of;
use super::table::{self, Value};

/// Reads octets as the row of a kind that the first of them chooses: sealed as it should be, and as they are.
pub(crate) fn read_any_row(input: &[u8]) {
    let Some((kind, input)) = input.split_first() else { return };
    match kind % 19 {
        0 => read::<AccountState>(input),
        1 => read::<AliasState>(input),
        2 => read::<AnnotationState>(input),
        3 => read::<BodyRow>(input),
        4 => read::<Change>(input),
        5 => read::<Counters>(input),
        6 => read::<Delivered>(input),
        7 => read::<Expunged>(input),
        8 => read::<Flagged>(input),
        9 => read::<MailboxState>(input),
        10 => read::<Marks>(input),
        11 => read::<Nothing>(input),
        12 => read::<Number>(input),
        13 => read::<Placed>(input),
        14 => read::<Removed>(input),
        15 => read::<RightsState>(input),
        16 => read::<SubscriptionState>(input),
        17 => read::<SeenState>(input),
        _ => read::<Leaf>(input),
    }
    if let Ok(body) = BodyRow::decode(input) {
        let _ = place_of(&body);
    }
    let (_, _) = (keys::last_u64(input), keys::last_u32(input));
}

fn read<T: Value + PartialEq>(input: &[u8]) {
    let key = keys::MARKS;
    let _ = table::decode::<T>(key, input);
    if let Ok(stored) = table::decode::<T>(key, &table::sealed(key, input)) {
        let again = table::decode::<T>(key, &table::encode(key, stored.at, &stored.value));
        assert!(again.is_ok_and(|again| again.value == stored.value), "what was read is written the same");
    }
}
