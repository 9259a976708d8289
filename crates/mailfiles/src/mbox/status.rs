//! Flags in the header of a message.

/// Letters for flags, the field that they stand in, and what IMAP calls them.
const LETTERS: [(&str, char, &str); 5] = [
    ("Status", 'R', "\\Seen"),
    ("X-Status", 'A', "\\Answered"),
    ("X-Status", 'F', "\\Flagged"),
    ("X-Status", 'D', "\\Deleted"),
    ("X-Status", 'T', "\\Draft"),
];

/// All letters that programs put there: also O (it is old), N (new), U (unread) and S (seen).
const KNOWN: &str = "RAFDTONUS";

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

/// Takes the fields out of a header, and of nothing behind it; gives the flags.
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

/// A line of one of the fields. What holds other text than such letters is a field that others made for themselves.
fn field(line: &[u8]) -> Option<(&'static str, &str)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let name = NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
    let value = value.trim();
    (name == KEYWORDS || value.chars().all(|letter| KNOWN.contains(letter))).then_some((name, value))
}

/// Whether a header is that of the message in which UW-IMAP and Pine keep what they know of the file.
pub(super) fn is_of_the_file(header: &[u8]) -> bool {
    let has = |name: &[u8], text: &[u8]| {
        header.split(|octet| *octet == b'\n').any(|line| {
            line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
                && line.windows(text.len()).any(|part| part == text)
        })
    };
    has(b"Subject:", b"FOLDER INTERNAL DATA") && (has(b"X-IMAP:", b" ") || has(b"X-IMAPbase:", b" "))
}

fn read(name: &str, value: &str, flags: &mut Vec<String>) {
    if name == KEYWORDS {
        // A keyword is no system flag, whatever somebody wrote.
        let keywords = value.split_ascii_whitespace().filter(|keyword| !keyword.starts_with('\\'));
        flags.extend(keywords.map(str::to_owned));
        return;
    }
    let set = LETTERS.iter().filter(|(of, letter, _)| *of == name && value.contains(*letter));
    flags.extend(set.map(|(_, _, flag)| (*flag).to_owned()));
}
