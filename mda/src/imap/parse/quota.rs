//! QUOTA (RFC 9208 §4.1).

use bytes::Bytes;

use super::cursor::{Cursor, Invalid};

/// Resources in one SETQUOTA.
const RESOURCES: usize = 16;

/// `setquota = "SETQUOTA" SP quota-root-name SP setquota-list`: the root.
///
/// Limits are the operator's to set, so what they would be is read and not kept.
pub(super) fn set(cursor: &mut Cursor) -> Result<Bytes, Invalid> {
    cursor.space()?;
    let root = cursor.astring()?;
    cursor.space()?;
    cursor.expect(b'(')?;
    let mut resources = 0;
    while !cursor.take(b')') {
        if resources > 0 {
            cursor.space()?;
        }
        if resources == RESOURCES {
            return Err(cursor.invalid("at most 16 resources"));
        }
        resources += 1;
        cursor.atom()?;
        cursor.space()?;
        cursor.number64()?;
    }
    Ok(root)
}
