//! CANCELUPDATE (RFC 5267 §5).

use super::cursor::{Cursor, Invalid};

/// Tags in one command.
const MOST: usize = 256;

/// `1*(SP quoted)`
pub(super) fn tags(cursor: &mut Cursor) -> Result<Vec<String>, Invalid> {
    let mut tags = Vec::new();
    loop {
        cursor.space()?;
        if tags.len() == MOST {
            return Err(cursor.invalid("fewer tags"));
        }
        tags.push(String::from_utf8_lossy(&cursor.string()?).into_owned());
        if cursor.peek() != Some(b' ') {
            return Ok(tags);
        }
    }
}
