//! Message-IDs in header fields (RFC 5322 §3.6.4), in the form that they are compared in.

/// Octets of a message-id at most: what is longer is none.
const MAX_ID: usize = 1_000;

/// All message-ids of a field, without brackets and quoting; what is none is passed over.
pub(super) fn all(value: &[u8]) -> Vec<String> {
    let mut ids = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.iter().position(|octet| *octet == b'<') {
        rest = &rest[start + 1..];
        let Some(end) = rest.iter().position(|octet| matches!(octet, b'>' | b'<')) else { break };
        if rest[end] == b'>' {
            ids.extend(normal(&rest[..end]));
        }
        rest = &rest[end..];
    }
    ids
}

/// Without quotes and folds: `"a"@b` and `a@b` are one id (RFC 5256 §3, REFERENCES).
fn normal(id: &[u8]) -> Option<String> {
    if id.len() > MAX_ID || !id.contains(&b'@') {
        return None;
    }
    let mut normal = Vec::with_capacity(id.len());
    let mut octets = id.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b'"' | b' ' | b'\t' | b'\r' | b'\n' => {}
            b'\\' => normal.extend(octets.next()),
            octet => normal.push(*octet),
        }
    }
    Some(String::from_utf8_lossy(&normal).into_owned())
}
