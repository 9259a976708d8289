//! Flags in the header of a message.

/// Letters for flags, the field that they stand in, and what IMAP calls them.
const LETTERS: [(&str, char, &str); 5] = [
    ("Status", 'R', "\\Seen"),
    ("X-Status", 'A', "\\Answered"),
    ("X-Status", 'F', "\\Flagged"),
    ("X-Status", 'D', "\\Deleted"),
    ("X-Status", 'T', "\\Draft"),
];

const KEYWORDS: &str = "X-Keywords";

/// The fields, in the order in which ours stand.
const NAMES: [&str; 3] = ["Status", "X-Status", KEYWORDS];

/// The fields that say what flags a message has.
pub(super) fn fields(flags: &[String]) -> String {
    let letters = |field: &str| -> String {
        let set = LETTERS
            .iter()
            .filter(|(of, _, name)| *of == field && flags.iter().any(|flag| flag.eq_ignore_ascii_case(name)));
        set.map(|(_, letter, _)| *letter).collect()
    };
    let keywords: Vec<&str> =
        flags.iter().map(String::as_str).filter(|flag| !flag.starts_with('\\')).collect();
    // O: it is not new. All three are always there, so that those of the message itself are known for what they are.
    let (status, others, keywords) = (letters("Status"), letters("X-Status"), keywords.join(" "));
    format!("Status: {status}O\nX-Status: {others}\n{KEYWORDS}: {keywords}\n")
}

/// Takes the fields out of a header; gives the flags.
pub(super) fn take(header: &mut Vec<u8>) -> Vec<String> {
    let lines: Vec<&[u8]> = header.split_inclusive(|octet| *octet == b'\n').collect();
    let first = lines.iter().take(NAMES.len()).map_while(|line| field(line)).map(|(name, _)| name);
    let ours = if first.eq(NAMES) { NAMES.len() } else { 0 };
    let mut flags = Vec::new();
    let mut rest = Vec::with_capacity(header.len());
    let mut within = false;
    for (at, line) in lines.iter().enumerate() {
        let is_continued = line.first().is_some_and(|octet| matches!(octet, b' ' | b'\t'));
        match field(line).filter(|_| ours == 0 || at < ours) {
            Some((name, value)) => {
                within = true;
                read(name, value, &mut flags);
            }
            // The line before it was taken out.
            None if is_continued && within => {}
            None => {
                within = false;
                rest.extend_from_slice(line);
            }
        }
    }
    *header = rest;
    flags
}

/// A line of one of the fields.
fn field(line: &[u8]) -> Option<(&'static str, &str)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let name = NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
    Some((name, value.trim()))
}

fn read(name: &str, value: &str, flags: &mut Vec<String>) {
    if name == KEYWORDS {
        flags.extend(value.split_ascii_whitespace().map(str::to_owned));
        return;
    }
    let set = LETTERS.iter().filter(|(of, letter, _)| *of == name && value.contains(*letter));
    flags.extend(set.map(|(_, _, flag)| (*flag).to_owned()));
}
